/** Publications: the window players see, over sessions, restarts and renditions that come late. */
import { createHash } from 'node:crypto'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { IndexWindow } from '../../../src/content/index/index-window.ts'
import type { SegmentNotice } from '../../../src/content/publication/open-segment.ts'
import { Publication, type PublishedPart } from '../../../src/content/publication/publication.ts'
import { ContentStore } from '../../../src/content/store/store.ts'
import type { StreamRecord } from '../../../src/content/stream.ts'
import { generateStreamKey } from '../../../src/content/stream-key.ts'
import { contentLimits } from '../../../src/limits.ts'
import { silentLogger } from '../../../src/logger.ts'
import { audioInfo, MemorySequence, never, sourceInfo } from '../../support/content-peer.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

const key = generateStreamKey()

function setUp(sequence = new MemorySequence()) {
  const clock = new ManualClock()
  const registry = new Registry()
  const store = new ContentStore(
    { clock, logger: silentLogger, registry },
    { memoryBytesMax: 1e8, diskBytesMax: 0 },
  )
  const records: StreamRecord[] = []
  const publication = new Publication(
    { clock, registry, store, sequence },
    {
      key,
      alias: 'test',
      title: 'Test',
      peerId: 'me',
      windowSegments: 3,
      onRecord: (record) => records.push(record),
    },
  )
  return { clock, store, publication, records, sequence }
}

function setupOf(info = sourceInfo, discontinuitiesBefore = 0) {
  return { info, partTargetUs: 200_000, targetDurationS: 2, discontinuitiesBefore }
}

const init = Buffer.from('init segment')

function part(msn: number, number: number, changes: Partial<PublishedPart> = {}): PublishedPart {
  return {
    rendition: 'source',
    msn,
    part: number,
    data: Buffer.from(`${msn}.${number}`),
    durationUs: 200_000,
    independent: number === 0,
    endOfSegment: number === 1,
    programDateTimeMs: number === 0 ? 1_700_000_000_000 : undefined,
    discontinuity: false,
    init,
    ...changes,
  }
}

/** The discontinuity sequence number of each segment in a window. */
function discontinuities(rendition: {
  head: { discontinuitySequence: number }
  entries: readonly { msn: number; discontinuity: boolean }[]
}): Record<number, number> {
  let count = rendition.head.discontinuitySequence
  const found: Record<number, number> = {}
  for (const entry of rendition.entries) {
    if (entry.discontinuity) count += 1
    found[entry.msn] = count
  }
  return found
}

test('publication', async (t) => {
  await t.test('stores parts, signs the window, keeps its length', async (t) => {
    const { publication, store, records } = setUp()
    t.equal(publication.status, 'origin')
    t.equal(publication.sourcePeer, 'me')
    t.same(publication.route(), ['me'])
    t.equal(publication.record.state, 'ended')
    await t.rejects(publication.rendition('source'), { code: 'ERR_NOT_FOUND' })
    t.throws(() => publication.addPart(part(0, 0)), { code: 'ERR_ASSERTION' })
    publication.setRenditions([setupOf()])
    const rendition = await publication.rendition('source')
    const waiting = rendition.wait(0, 1, { signal: never })
    for (let msn = 0; msn < 6; msn += 1) {
      publication.addPart(part(msn, 0))
      publication.addPart(part(msn, 1, msn === 4 ? { durationUs: 250_000 } : {}))
    }
    await waiting
    t.equal(rendition.head.firstMsn, 3)
    t.equal(rendition.head.partTargetUs, 200_000, 'one longer part leaves the target as it is')
    t.same(
      rendition.entries.map(({ msn, part }) => `${msn}.${part}`),
      ['3.0', '3.1', '4.0', '4.1', '5.0', '5.1'],
    )
    const last = rendition.entry(5, 1)
    t.equal(last?.digest, digestOf(Buffer.from('5.1')))
    t.equal(last?.segmentDigest, createHash('sha256').update('5.05.1').digest('hex'))
    t.equal(last?.initDigest, digestOf(init))
    t.ok(publication.peek(last?.digest ?? '')?.equals(Buffer.from('5.1')))
    t.ok((await publication.read(last?.initDigest ?? '', { signal: never })).equals(init))
    t.equal(publication.nextMsn, 6)
    const { window } = rendition
    IndexWindow.verify(key, {
      head: window.headBytes,
      entries: window.encodedEntries,
      signature: rendition.signature,
    })
    t.equal(records.length, 1)
    t.match(records[0], {
      state: 'live',
      alias: 'test',
      originPeer: 'me',
      renditions: [sourceInfo],
    })
    t.throws(() => publication.addPart(part(6, 0, { rendition: 'none' })), {
      code: 'ERR_ASSERTION',
    })
    publication.touch()
    await publication.close()
    t.equal(records.at(-1)?.state, 'ended')
    t.ok((records.at(-1)?.sequence ?? 0) > (records[0]?.sequence ?? 0))
    t.ok(store.has(last?.digest ?? ''))
  })

  await t.test('the numbering counts discontinuities, in the window or gone from it', async (t) => {
    const { publication, sequence } = setUp()
    const used: number[] = []
    sequence.note = (_, discontinuitySequence) => used.push(discontinuitySequence)
    publication.setRenditions([setupOf()])
    for (let msn = 0; msn < 8; msn += 1) {
      publication.addPart(part(msn, 0, { discontinuity: msn === 1 || msn === 6 }))
      publication.addPart(part(msn, 1))
    }
    t.same(used, [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2])
    publication.end()
    publication.setRenditions([setupOf()])
    publication.addPart(part(8, 0))
    t.equal(used.at(-1), 3, 'the next session begins with one')
  })

  await t.test('a session after another goes on with a discontinuity', async (t) => {
    const { publication, records, clock } = setUp()
    publication.setRenditions([setupOf()])
    publication.addPart(part(0, 0))
    publication.addPart(part(0, 1))
    publication.addPart(part(1, 0))
    publication.end()
    publication.end()
    const rendition = await publication.rendition('source')
    t.equal(rendition.head.ended, true)
    t.throws(() => publication.addPart(part(1, 1)), { code: 'ERR_ASSERTION' })
    clock.advance(60_000)
    publication.setRenditions([setupOf({ ...sourceInfo, width: 640 })])
    t.equal(rendition.info.width, 640)
    t.equal(rendition.head.ended, true, 'until its first part')
    publication.addPart(part(2, 0))
    publication.addPart(part(2, 1))
    t.equal(rendition.head.ended, false)
    t.same(
      rendition.entries.map(({ msn, discontinuity }) => [msn, discontinuity]),
      [
        [0, false],
        [0, false],
        [1, false],
        [2, true],
        [2, false],
      ],
    )
    t.equal(records.at(-1)?.startedAtMs, clock.now())
    for (let msn = 3; msn < 9; msn += 1) publication.addPart(part(msn, 0, { endOfSegment: true }))
    t.throws(() => publication.addPart(part(9, 1)), 'a session or segment begins with part 0')
    t.equal(rendition.head.discontinuitySequence, 1)
  })

  await t.test('after a restart of the process numbers go on beyond those reserved', async (t) => {
    const sequence = new MemorySequence()
    const first = setUp(sequence)
    first.publication.setRenditions([setupOf()])
    first.publication.addPart(part(0, 0))
    first.publication.addPart(part(0, 1))
    const second = setUp(sequence.restart(64))
    t.equal(second.publication.nextMsn, 65)
    second.publication.setRenditions([setupOf(), setupOf(audioInfo)])
    second.publication.addPart(part(65, 0))
    second.publication.addPart(part(65, 0, { rendition: 'audio' }))
    for (const rendition of second.publication.followed()) {
      t.equal(rendition.head.firstMsn, 65)
      t.equal(rendition.head.discontinuitySequence, 64)
      t.equal(rendition.entries[0]?.discontinuity, true)
    }
  })

  await t.test('renditions count discontinuities alike, whenever they appear', async (t) => {
    const { publication } = setUp()
    publication.setRenditions([setupOf()])
    const segment = (msn: number, changes: Partial<PublishedPart> = {}): void =>
      publication.addPart(part(msn, 0, { endOfSegment: true, ...changes }))
    segment(0)
    segment(1, { discontinuity: true })
    publication.setRenditions([setupOf(), setupOf(audioInfo, 1)])
    const [video, audio] = [
      await publication.rendition('source'),
      await publication.rendition('audio'),
    ]
    segment(2)
    segment(2, { rendition: 'audio' })
    t.equal(discontinuities(audio)[2], discontinuities(video)[2])
    segment(3, { discontinuity: true })
    segment(3, { discontinuity: true, rendition: 'audio' })
    t.equal(discontinuities(audio)[3], discontinuities(video)[3])
    publication.end()
    publication.setRenditions([setupOf(), setupOf(audioInfo)])
    segment(4)
    segment(5)
    segment(6)
    segment(6, { rendition: 'audio' })
    t.equal(audio.entries.length, 1, 'a gap cannot be written down: its window begins anew')
    t.equal(discontinuities(audio)[6], discontinuities(video)[6])
    segment(7, { rendition: 'audio', discontinuity: true })
    segment(7, { discontinuity: true })
    t.equal(discontinuities(audio)[7], discontinuities(video)[7])
  })

  await t.test('the number of entries is limited, whatever the window length', async (t) => {
    const { publication } = setUp()
    publication.setRenditions([setupOf()])
    const parts = contentLimits.segmentPartsMax
    for (let msn = 0; msn < 2; msn += 1) {
      for (let number = 0; number < parts; number += 1) {
        publication.addPart(part(msn, number, { endOfSegment: number === parts - 1 }))
      }
    }
    publication.addPart(part(2, 0))
    const rendition = await publication.rendition('source')
    t.equal(rendition.head.firstMsn, 1)
    t.equal(rendition.entries.length, parts + 1)
  })

  await t.test(
    'tells of each whole segment after players were woken, and of the end',
    async (t) => {
      const { publication } = setUp()
      const events: string[] = []
      const notices: SegmentNotice[] = []
      publication.onSegment(() => {
        throw new Error('a listener that fails')
      })
      const stop = publication.onSegment((notice) => {
        events.push(`segment ${notice.msn}`)
        notices.push(notice)
      })
      publication.onEnded(() => events.push('ended'))
      publication.setRenditions([setupOf()])
      const rendition = await publication.rendition('source')
      void rendition.wait(0, undefined, { signal: never }).then(() => events.push('player'))
      await settle()
      publication.addPart(part(0, 0, { startUs: 7_000_000 }))
      publication.addPart(part(0, 1))
      await settle()
      t.same(events, ['player', 'segment 0'])
      t.match(notices[0], { info: sourceInfo, msn: 0, startUs: 7_000_000, targetDurationS: 2 })
      t.same(notices[0]?.parts.map(String), ['0.0', '0.1'])
      t.same(notices[0]?.entries, rendition.segment(0))
      t.ok(notices[0]?.initBytes.equals(init))
      publication.addPart(part(1, 0))
      publication.addPart(part(1, 1))
      await settle()
      t.equal(notices[1]?.startUs, 7_400_000, 'counted where nobody says')
      stop()
      publication.addPart(part(2, 0, { endOfSegment: true }))
      publication.end()
      await settle()
      t.same(events, ['player', 'segment 0', 'segment 1', 'ended'])
    },
  )

  await t.test('a rendition that is taken off leaves nobody waiting', async (t) => {
    const { publication, records } = setUp()
    publication.dropRendition('source')
    publication.setRenditions([setupOf(), setupOf(audioInfo)])
    publication.addPart(part(0, 0))
    publication.addPart(part(0, 0, { rendition: 'audio', endOfSegment: true }))
    const rendition = await publication.rendition('audio')
    const waiting = rendition.wait(4, 0, { signal: never })
    publication.dropRendition('audio')
    await t.rejects(waiting, { code: 'ERR_NOT_FOUND' })
    await t.rejects(rendition.wait(4, 0, { signal: never }), { code: 'ERR_NOT_FOUND' })
    await t.rejects(publication.rendition('audio'), { code: 'ERR_NOT_FOUND' })
    t.same(
      records.at(-1)?.renditions.map(({ name }) => name),
      ['source'],
    )
    publication.addPart(part(0, 1, { discontinuity: false }))
    publication.setRenditions([setupOf(), setupOf(audioInfo)])
    publication.addPart(part(1, 0))
    publication.addPart(part(1, 0, { rendition: 'audio' }))
    const again = await publication.rendition('audio')
    t.not(again, rendition)
    t.equal(again.head.firstMsn, 1)
    const source = await publication.rendition('source')
    t.equal(discontinuities(again)[1], discontinuities(source)[1])
  })
})
