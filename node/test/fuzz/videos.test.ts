/**
 * Lists of videos from strangers: whatever bytes come, reading ends in what they mean or in a KairoError, and no changed head passes
 * its signature.
 */
import fc from 'fast-check'
import { test } from 'tap'
import { digestOf } from '../../src/content/digest.ts'
import { decodeSegmentPage, encodeSegmentPage } from '../../src/content/videos/segment-pages.ts'
import { decodeSignedList, encodeSignedList } from '../../src/content/videos/signed-list.ts'
import { decodeVideoPage, encodeVideoPages } from '../../src/content/videos/video-pages.ts'
import { KairoError } from '../../src/errors.ts'
import { newSigner } from '../support/adverts.ts'
import { makeVideo } from '../support/videos.ts'

const signer = await newSigner()
const owner = signer.peerId
const { record, segments } = makeVideo(owner, 'A video', { segments: 5 })
const [page = Buffer.alloc(0)] = encodeVideoPages(owner, [record]).pages
const head = encodeSignedList(signer, { sequence: 9, expiresAtMs: 99, pages: [digestOf(page)] })

const subjects: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => unknown])[] = [
  ['a page of segments', encodeSegmentPage(segments, 0), decodeSegmentPage],
  ['a page of videos', page, (bytes) => decodeVideoPage(owner, bytes)],
  ['a head', head, decodeSignedList],
]

function isRead(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    read(bytes)
    return true
  } catch (error) {
    if (error instanceof KairoError) return false
    throw error
  }
}

const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), cut: fc.nat(8) })
const edits = fc.array(fc.tuple(edit, fc.uint8Array({ maxLength: 8 })), {
  minLength: 1,
  maxLength: 3,
})

function edited(
  original: Uint8Array,
  changes: typeof edits extends fc.Arbitrary<infer T> ? T : never,
) {
  let bytes: Uint8Array = original
  for (const [{ at, cut }, insert] of changes) {
    const start = Math.floor(at * bytes.byteLength)
    bytes = Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(start + cut)])
  }
  return bytes
}

for (const [what, original, read] of subjects) {
  test(what, async (t) => {
    t.ok(isRead(read, original))
    const random = fc.property(
      fc.uint8Array({ maxLength: 300 }),
      (bytes) => void isRead(read, bytes),
    )
    fc.assert(random, { numRuns: 5_000 })
    let read2 = 0
    const changed = fc.property(edits, (changes) => {
      if (isRead(read, edited(original, changes))) read2 += 1
    })
    fc.assert(changed, { numRuns: 10_000 })
    t.ok(read2 > 0, 'some changes are not noticed by form')
  })
}

test('no changed head passes its signature', async () => {
  const expected = JSON.stringify(decodeSignedList(head).head)
  const property = fc.property(edits, (changes) => {
    const bytes = edited(head, changes)
    if (!isRead(decodeSignedList, bytes)) return
    const unchecked = decodeSignedList(bytes)
    if (JSON.stringify(unchecked.head) === expected) return
    if (isRead(() => unchecked.verify(), bytes)) throw new Error('a changed head was believed')
  })
  fc.assert(property, { numRuns: 10_000 })
})
