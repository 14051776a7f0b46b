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
import { newSigner } from '../support/adverts.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { mutate, mutations } from '../support/mutate.ts'
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

for (const [what, original, read] of subjects) {
  test(what, async (t) => {
    t.ok(parseOrRefuse(() => read(original)))
    const random = fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      parseOrRefuse(() => read(bytes))
    })
    fc.assert(random, { numRuns: fuzzRuns(3_000) })
    let understood = 0
    const changed = fc.property(mutations(), (changes) => {
      const bytes = mutate(Buffer.from(original), changes)
      if (parseOrRefuse(() => read(bytes)) !== undefined) understood += 1
    })
    fc.assert(changed, { numRuns: fuzzRuns(3_000) })
    t.ok(understood > 0, 'not every change is one of form')
  })
}

test('no changed head passes its signature', async (t) => {
  const expected = JSON.stringify(decodeSignedList(head).head)
  let forged = 0
  const property = fc.property(mutations(), (changes) => {
    const unchecked = parseOrRefuse(() => decodeSignedList(mutate(Buffer.from(head), changes)))
    if (unchecked === undefined || JSON.stringify(unchecked.head) === expected) return
    if (parseOrRefuse(() => unchecked.verify() ?? true) === true) forged += 1
  })
  fc.assert(property, { numRuns: fuzzRuns(3_000) })
  t.equal(forged, 0)
})
