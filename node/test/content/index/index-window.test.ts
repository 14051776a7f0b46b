/** Signed index windows: what a follower accepts, and everything it must not. */
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import {
  decodeEntry,
  decodeHead,
  encodeEntry,
  encodeHead,
  isRenditionName,
} from '../../../src/content/index/index-codec.ts'
import { IndexWindow } from '../../../src/content/index/index-window.ts'
import type { IndexEntry, IndexHead } from '../../../src/content/stream.ts'
import { generateStreamKey, type StreamKey } from '../../../src/content/stream-key.ts'
import { contentLimits } from '../../../src/limits.ts'

const key = generateStreamKey()

const head: IndexHead = {
  rendition: 'source',
  firstMsn: 5,
  discontinuitySequence: 2,
  targetDurationS: 2,
  partTargetUs: 200_000,
  ended: false,
}

function entry(msn: number, part: number, changes: Partial<IndexEntry> = {}): IndexEntry {
  return {
    msn,
    part,
    digest: digestOf(Buffer.from(`${msn}.${part}`)),
    bytes: 1_000,
    durationUs: 200_000,
    independent: part === 0,
    endOfSegment: part === 2,
    segmentDigest: part === 2 ? digestOf(Buffer.from(`${msn}`)) : undefined,
    programDateTimeMs: part === 0 ? 1_700_000_000_000 : undefined,
    discontinuity: false,
    initDigest: digestOf(Buffer.from('init')),
    ...changes,
  }
}

function filled(): IndexWindow {
  let window = IndexWindow.create(key, head)
  for (const msn of [5, 6, 7]) {
    for (const part of [0, 1, 2]) window = window.append(key, head, entry(msn, part))
  }
  return window
}

function encodedOf(window: IndexWindow) {
  return { head: window.headBytes, entries: window.encodedEntries, signature: window.signature }
}

test('index codec', async (t) => {
  const full = entry(9, 0, { discontinuity: true })
  t.same(decodeEntry(encodeEntry(full)), full)
  t.same(decodeEntry(encodeEntry(entry(2 ** 53 - 1, 2))), entry(2 ** 53 - 1, 2))
  t.same(decodeHead(encodeHead(head)), head)
  t.same(decodeHead(encodeHead({ ...head, ended: true })), { ...head, ended: true })
  const bad: Partial<IndexEntry>[] = [
    { msn: -1 },
    { msn: 1.5 },
    { part: contentLimits.segmentPartsMax, discontinuity: false, programDateTimeMs: undefined },
    { bytes: 0 },
    { bytes: contentLimits.objectBytesMax + 1 },
    { durationUs: 0 },
    { durationUs: contentLimits.partUsMax + 1 },
    { endOfSegment: true },
    { segmentDigest: digestOf(Buffer.from('x')) },
    { part: 1, programDateTimeMs: undefined, discontinuity: true },
    { part: 1 },
    { programDateTimeMs: 1e16 },
  ]
  for (const changes of bad) {
    t.throws(
      () => encodeEntry(entry(5, 0, changes)),
      { code: 'ERR_ASSERTION' },
      JSON.stringify(changes),
    )
  }
  const badHeads: Partial<IndexHead>[] = [
    { rendition: 'Source' },
    { rendition: '' },
    { firstMsn: -1 },
    { discontinuitySequence: 0.5 },
    { targetDurationS: 0 },
    { partTargetUs: 0 },
  ]
  for (const changes of badHeads) {
    t.throws(() => encodeHead({ ...head, ...changes }), { code: 'ERR_ASSERTION' })
  }
  t.throws(() => decodeHead(new Uint8Array()), { code: 'ERR_PROTOCOL' })
  t.throws(() => decodeEntry(new Uint8Array()), { code: 'ERR_PROTOCOL' })
  t.throws(() => decodeEntry(Uint8Array.of(0xff, 0xff)), { code: 'ERR_PROTOCOL' })
  // msn 2^63, as a varint.
  const huge = Buffer.concat([
    Buffer.from('0880808080808080808001', 'hex'),
    encodeEntry(entry(0, 0)),
  ])
  t.throws(() => decodeEntry(Buffer.concat([encodeEntry(entry(0, 0)), huge.subarray(0, 11)])), {
    code: 'ERR_PROTOCOL',
  })
  t.ok(isRenditionName('audio-2'))
  t.notOk(isRenditionName('../x'))
})

test('index window', async (t) => {
  await t.test(
    'what was signed verifies, from any mixture of whole windows and steps',
    async (t) => {
      const window = filled()
      let follower = IndexWindow.verify(key, encodedOf(window))
      t.same(follower.entries, window.entries)
      const nextHead = { ...head, firstMsn: 6 }
      const next = window.append(key, nextHead, entry(8, 0))
      follower = follower.appendVerified(key, {
        head: next.headBytes,
        entry: next.lastEncoded,
        signature: next.signature,
      })
      t.equal(follower.entries[0]?.msn, 6)
      t.same(follower.entries, next.entries)
      t.same(encodedOf(follower), encodedOf(next))
      const ended = next.withHead(key, { ...nextHead, ended: true })
      follower = follower.withHeadVerified(key, {
        head: ended.headBytes,
        signature: ended.signature,
      })
      t.equal(follower.head.ended, true)
      t.same(IndexWindow.verify(key, encodedOf(ended)).head, follower.head)
      const resumed = ended.append(
        key,
        { ...nextHead, firstMsn: 7 },
        entry(9, 0, { discontinuity: true }),
      )
      follower = follower.appendVerified(key, {
        head: resumed.headBytes,
        entry: resumed.lastEncoded,
        signature: resumed.signature,
      })
      t.equal(follower.last?.msn, 9)
    },
  )

  await t.test(
    'a window is signed once, when it is asked for, whatever was asked before',
    async (t) => {
      let signed = 0
      const counting: StreamKey = {
        ...key,
        sign: (message) => {
          signed += 1
          return key.sign(message)
        },
      }
      // Bit n of `asked` says whether the window after part n is read before the next part comes.
      for (let asked = 0; asked < 2 ** 7; asked += 1) {
        signed = 0
        let expected = 0
        let window = IndexWindow.create(counting, head)
        for (let part = 0; part < 7; part += 1) {
          const msn = 5 + Math.floor(part / 3)
          window = window.append(
            counting,
            { ...head, firstMsn: part < 4 ? 5 : 6 },
            entry(msn, part % 3),
          )
          if ((asked & (1 << part)) === 0) continue
          expected += 1
          t.same(IndexWindow.verify(key, encodedOf(window)).entries, window.entries)
          window.withHead(counting, window.head)
        }
        t.equal(signed, expected, `asked ${asked.toString(2)}`)
        const next = window.withHead(counting, { ...window.head, ended: true, firstMsn: 7 })
        t.same(IndexWindow.verify(key, encodedOf(next)).entries, [entry(7, 0)])
      }
    },
  )

  await t.test('what cannot be encoded is refused at once, not when it is asked for', async (t) => {
    const window = filled()
    t.throws(() => window.append(key, head, entry(8, 0, { bytes: 0 })), { code: 'ERR_ASSERTION' })
    t.throws(() => window.append(key, { ...head, targetDurationS: 0 }, entry(8, 0)), {
      code: 'ERR_ASSERTION',
    })
    t.throws(() => window.withHead(key, { ...head, partTargetUs: 0 }), { code: 'ERR_ASSERTION' })
    t.throws(() => IndexWindow.create(key, { ...head, rendition: '' }), { code: 'ERR_ASSERTION' })
  })

  await t.test('finds parts and segments', async (t) => {
    const window = filled()
    t.equal(window.entry(6, 1), window.entries[4])
    t.equal(window.entry(6, 3), undefined)
    t.equal(window.entry(4, 0), undefined)
    t.equal(window.entry(99, 0), undefined)
    t.same(
      window.segment(7).map(({ part }) => part),
      [0, 1, 2],
    )
    t.same(window.segment(8), [])
    t.same(window.segment(4), [])
    t.equal(window.indexAtOrAfter({ msn: 0, part: 0 }), 0)
    t.equal(window.indexAtOrAfter({ msn: 6, part: 3 }), 6)
    t.throws(() => IndexWindow.create(key, head).lastEncoded, RangeError)
  })

  await t.test('any change of what was signed is found', async (t) => {
    const encoded = encodedOf(filled())
    const other = generateStreamKey()
    t.throws(() => IndexWindow.verify(other, encoded), { code: 'ERR_VERIFICATION' })
    const swapped = encodedOf(filled())
    const changed = encodeEntry(entry(7, 2, { bytes: 1_001 }))
    t.throws(
      () =>
        IndexWindow.verify(key, {
          ...swapped,
          entries: [...swapped.entries.slice(0, -1), changed],
        }),
      { code: 'ERR_VERIFICATION' },
    )
    t.throws(() => IndexWindow.verify(key, { ...encoded, entries: encoded.entries.slice(0, -1) }), {
      code: 'ERR_VERIFICATION',
    })
    t.throws(() => IndexWindow.verify(key, { ...encoded, entries: [] }), {
      code: 'ERR_VERIFICATION',
    })
    t.throws(
      () =>
        IndexWindow.verify(key, { ...encoded, head: encodeHead({ ...head, targetDurationS: 3 }) }),
      { code: 'ERR_VERIFICATION' },
    )
    for (const bytes of [0, 63, 65]) {
      t.throws(() => IndexWindow.verify(key, { ...encoded, signature: Buffer.alloc(bytes, 1) }), {
        code: 'ERR_VERIFICATION',
      })
    }
  })

  await t.test(
    'windows that a correct publisher would not sign are refused although signed',
    async (t) => {
      const wrong: [string, IndexHead, IndexEntry[]][] = [
        ['gap in parts', head, [entry(5, 0), entry(5, 2)]],
        ['repeated part', head, [entry(5, 0), entry(5, 0)]],
        ['open segment left', head, [entry(5, 0), entry(6, 0)]],
        [
          'segment left out',
          head,
          [entry(5, 0, { endOfSegment: true, segmentDigest: digestOf(Buffer.of(1)) }), entry(7, 0)],
        ],
        [
          'part after the end of a segment',
          head,
          [...[0, 1, 2].map((part) => entry(5, part)), entry(5, 3)],
        ],
        ['begins late', head, [entry(6, 0)]],
        ['begins in the middle', head, [entry(5, 1)]],
      ]
      for (const [what, itsHead, entries] of wrong) {
        const encoded = {
          head: encodeHead(itsHead),
          entries: entries.map(encodeEntry),
          signature: Buffer.alloc(64),
        }
        t.throws(() => IndexWindow.verify(key, encoded), { code: 'ERR_PROTOCOL' }, what)
      }
      const many = Array.from({ length: contentLimits.windowEntriesMax + 1 }, () =>
        encodeEntry(entry(5, 0)),
      )
      t.throws(
        () =>
          IndexWindow.verify(key, {
            head: encodeHead(head),
            entries: many,
            signature: Buffer.alloc(64),
          }),
        { code: 'ERR_PROTOCOL' },
      )
      const afterDiscontinuity = IndexWindow.create(key, head)
        .append(key, head, entry(5, 0))
        .append(key, head, entry(6, 0, { discontinuity: true }))
      t.equal(
        afterDiscontinuity.entries.length,
        2,
        'a session that broke off leaves its segment open',
      )
    },
  )

  await t.test('an index never goes back', async (t) => {
    const window = filled()
    const steps: [string, IndexHead, IndexEntry | undefined][] = [
      ['first segment', { ...head, firstMsn: 4 }, undefined],
      ['discontinuities', { ...head, discontinuitySequence: 1 }, undefined],
      ['another rendition', { ...head, rendition: 'audio' }, undefined],
      ['an older part', head, entry(7, 2)],
      ['an older segment', head, entry(6, 0)],
    ]
    for (const [what, nextHead, next] of steps) {
      if (next === undefined)
        t.throws(() => window.withHead(key, nextHead), { code: 'ERR_PROTOCOL' }, what)
      else t.throws(() => window.append(key, nextHead, next), { code: 'ERR_PROTOCOL' }, what)
    }
    const ended = window.withHead(key, { ...head, ended: true })
    t.throws(() => ended.withHead(key, head), { code: 'ERR_PROTOCOL' })
    t.throws(() => ended.append(key, head, entry(8, 0)), { code: 'ERR_PROTOCOL' })
  })
})
