/** What peers tell of videos: what is encoded comes back, what breaks a rule does not, and small changes change few pages. */
import { createHash, randomBytes } from 'node:crypto'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { test } from 'tap'
import { type Digest, digestOf, digestToBytes } from '../../../src/content/digest.ts'
import { decodeSegmentPage, encodeSegmentPage } from '../../../src/content/videos/segment-pages.ts'
import { decodeSignedList, encodeSignedList } from '../../../src/content/videos/signed-list.ts'
import { isVideoIdOf, makeVideoId } from '../../../src/content/videos/video-id.ts'
import { decodeVideoPage, encodeVideoPages } from '../../../src/content/videos/video-pages.ts'
import type { VideoRecord } from '../../../src/content/videos/video-record.ts'
import { videoLimits, videoRecordLimits } from '../../../src/limits/videos.ts'
import {
  SegmentPageSchema,
  VideoPageSchema,
  type VideoSchema,
} from '../../../src/protocol/generated/videos_pb.js'
import { newSigner } from '../../support/adverts.ts'
import { makeVideo } from '../../support/videos.ts'

const OWNER = '12D3KooWLxFaUbhMrtHhjXCsmqGHch9ZLdTFRNHXJiwF3xCWpUap'
const OTHER = '12D3KooWN9JWaoZ7W4HVewsr8dvuxBbADbo8vyXYNMvXFSaXwsPV'

test("a name is one peer's", async (t) => {
  const id = makeVideoId(OWNER, randomBytes)
  t.match(id, /^[a-z2-7]{32}$/)
  t.ok(isVideoIdOf(OWNER, id))
  t.notOk(isVideoIdOf(OTHER, id))
  t.notOk(isVideoIdOf(OWNER, `${id.slice(0, 31)}${id[31] === 'a' ? 'b' : 'a'}`))
  t.notOk(isVideoIdOf(OWNER, `${id[0] === 'a' ? 'b' : 'a'}${id.slice(1)}`))
})

test('segments', async (t) => {
  const count = videoRecordLimits.segmentsPerPage + 2
  const { segments } = makeVideo(OWNER, 'long', { segments: count })
  const live = segments.map((segment) => ({
    ...segment,
    ...{ msn: segment.msn + 70_000, programDateTimeMs: 1_700_000_000_000 + segment.msn },
    ...{ discontinuity: segment.msn === 1_025 },
    initDigest: digestOf(Buffer.from(`init ${Math.floor(segment.msn / 600)}`)),
  }))
  for (const all of [segments, live]) {
    const pages = [0, 1].map((page) => encodeSegmentPage(all, page))
    t.same(pages.flatMap(decodeSegmentPage), all)
    t.ok(pages.every(({ byteLength }) => byteLength < videoRecordLimits.segmentPageBytesMax))
  }

  const good = { digest: randomBytes(32), bytes: 1, durationUs: 1n, startUs: 0n, init: 0 }
  const page = (change: object, segment: object = {}): Uint8Array =>
    toBinary(
      SegmentPageSchema,
      create(SegmentPageSchema, {
        ...{ version: 1, firstMsn: 5n, inits: [randomBytes(32)] },
        segments: [{ ...good, ...segment }],
        ...change,
      }),
    )
  t.equal(decodeSegmentPage(page({})).length, 1)
  const broken: readonly (readonly [string, Uint8Array])[] = [
    ['version', page({ version: 2 })],
    ['no segments', page({ segments: [] })],
    ['too many', page({ segments: Array(videoRecordLimits.segmentsPerPage + 1).fill(good) })],
    ['init segments that nobody needs', page({ inits: [randomBytes(32), randomBytes(32)] })],
    ['numbers', page({ firstMsn: 2n ** 53n })],
    ['short digest', page({}, { digest: randomBytes(31) })],
    ['no bytes', page({}, { bytes: 0 })],
    ['too many bytes', page({}, { bytes: 2 ** 30 })],
    ['duration', page({}, { durationUs: 2n ** 60n })],
    ['start', page({}, { startUs: 2n ** 60n })],
    ['init segment', page({}, { init: 1 })],
    ['wall time', page({}, { programDateTimeMs: 2n ** 60n })],
    ['no message', Buffer.from('not a page')],
  ]
  for (const [what, bytes] of broken) {
    t.throws(() => decodeSegmentPage(bytes), { code: 'ERR_PROTOCOL' }, what)
  }
  const long = Buffer.alloc(videoRecordLimits.segmentPageBytesMax + 1)
  t.throws(() => decodeSegmentPage(long), { code: 'ERR_LIMIT' })
})

test('videos', async (t) => {
  const videos = ['one', 'two', 'three'].map((title) => makeVideo(OWNER, title).record)
  const { pages, leftOut } = encodeVideoPages(OWNER, videos)
  t.equal(pages.length, 1)
  t.same(leftOut, [])
  const sorted = videos.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  t.same(
    pages.flatMap((page) => decodeVideoPage(OWNER, page)),
    sorted,
  )
  t.throws(() => pages.map((page) => decodeVideoPage(OTHER, page)), { code: 'ERR_VERIFICATION' })

  const [good] = videos
  if (good === undefined) return
  const [rendition] = good.renditions
  const [captions] = good.captions
  const { storyboard } = good
  if (rendition === undefined || captions === undefined || storyboard === undefined) return
  const renditions = (change: object): Partial<VideoRecord> => ({
    renditions: [{ ...rendition, ...change }],
  })
  const broken: readonly (readonly [string, Partial<VideoRecord>])[] = [
    ['title', { title: '' }],
    ['title of nothing', { title: '\u202e\n' }],
    ['time of making', { createdAtMs: 9e15 }],
    ['no duration', { durationUs: 0 }],
    ['origin', { origin: 'elsewhere' as 'upload' }],
    ['no renditions', { renditions: [] }],
    ['a name twice', { renditions: [rendition, rendition] }],
    ['rendition name', renditions({ info: { ...rendition.info, name: '../x' } })],
    ['codecs', renditions({ info: { ...rendition.info, codecs: 'a"b' } })],
    ['target duration', renditions({ targetDurationS: 0 })],
    ['no segments', renditions({ segments: 0, pages: [] })],
    ['pages', renditions({ segments: 2_000 })],
    ['caption name', { captions: [{ ...captions, name: 'A' }] }],
    ['caption language', { captions: [{ ...captions, language: 'en"' }] }],
    ['caption name of a rendition', { captions: [{ ...captions, name: 'source' }] }],
    ['sprites', { storyboard: { ...storyboard, sprites: [] } }],
    ['pictures', { storyboard: { ...storyboard, count: 101 } }],
    ['grid', { storyboard: { ...storyboard, columns: 1_000 } }],
    ['interval', { storyboard: { ...storyboard, intervalMs: 0 } }],
    ['width', { storyboard: { ...storyboard, width: 0 } }],
  ]
  for (const [what, change] of broken) {
    const video = { ...good, ...change }
    const page = create(VideoPageSchema, { version: 1, videos: [wireOf(video)] })
    const bytes = toBinary(VideoPageSchema, page)
    t.throws(() => decodeVideoPage(OWNER, bytes), { code: 'ERR_PROTOCOL' }, what)
    const told = encodeVideoPages(OWNER, [video, ...videos.slice(1)])
    // What is shown is made clean on both sides; a name that is nothing then is nobody's to tell.
    if (what !== 'title of nothing') t.equal(told.leftOut[0]?.error.code, 'ERR_INVALID_INPUT', what)
  }
  const foreign = encodeVideoPages(OTHER, videos)
  t.equal(foreign.leftOut.length, 3, "another peer's videos are not told as own ones")
  const empty = toBinary(VideoPageSchema, create(VideoPageSchema, { version: 1 }))
  t.throws(() => decodeVideoPage(OWNER, empty), { code: 'ERR_PROTOCOL' })
  const newer = toBinary(VideoPageSchema, create(VideoPageSchema, { version: 2 }))
  t.throws(() => decodeVideoPage(OWNER, newer), { code: 'ERR_PROTOCOL' })
  t.throws(() => decodeVideoPage(OWNER, Buffer.from('what')), { code: 'ERR_PROTOCOL' })
  const long = Buffer.alloc(videoLimits.pageBytesMax + 1)
  t.throws(() => decodeVideoPage(OWNER, long), { code: 'ERR_LIMIT' })
})

/** Bytes that are drawn from a number. */
function hashed(index: number): (length: number) => Buffer {
  return (length) => createHash('sha512').update(`${index}`).digest().subarray(0, length)
}

test('a long list: pages are small, and a change is one page', async (t) => {
  const one = makeVideo(OWNER, 'one').record
  const videos = Array.from({ length: 600 }, (_, index) => ({
    ...one,
    // The same each time: where pages end depends on it, so now and then one change moves many ends.
    ...{ id: makeVideoId(OWNER, hashed(index)), createdAtMs: 1_700_000_000_000 + index },
  }))
  const before = encodeVideoPages(OWNER, videos)
  t.ok(before.pages.length > 3, `${before.pages.length} pages`)
  t.ok(before.pages.every(({ byteLength }) => byteLength <= videoLimits.pageBytesMax))
  t.equal(before.pages.flatMap((page) => decodeVideoPage(OWNER, page)).length, 600)
  const after = encodeVideoPages(OWNER, videos.slice(1))
  const known = new Set(before.pages.map(digestOf))
  const changed = after.pages.filter((page) => !known.has(digestOf(page)))
  t.ok(changed.length <= 3, `${changed.length} pages changed`)

  const many = Array.from({ length: 30_000 }, (_, index) => videos[index % 600] ?? one)
  const { leftOut, pages } = encodeVideoPages(OWNER, many)
  t.ok(leftOut.length > 0, 'a list is bounded')
  t.equal(leftOut[0]?.error.code, 'ERR_LIMIT')
  const bytes = pages.reduce((sum, { byteLength }) => sum + byteLength, 0)
  t.ok(bytes <= videoLimits.ownerBytesMax && pages.length <= videoLimits.pagesMax)
})

test('signed heads', async (t) => {
  const [signer, other] = [await newSigner(), await newSigner()]
  const fields = { sequence: 5, expiresAtMs: 500, pages: [digestOf(Buffer.from('a'))] }
  const bytes = encodeSignedList(signer, fields)
  const { head, verify } = decodeSignedList(bytes)
  t.same(head, { ...fields, owner: signer.peerId })
  t.doesNotThrow(verify)
  const forged = encodeSignedList(
    { peerId: signer.peerId, sign: (text) => other.sign(text) },
    fields,
  )
  t.throws(() => decodeSignedList(forged).verify(), { code: 'ERR_VERIFICATION' })
  const broken: readonly (readonly [string, Partial<typeof fields>])[] = [
    ['sequence', { sequence: 0 }],
    ['expiry', { expiresAtMs: 5 }],
    ['life', { expiresAtMs: 5 + videoLimits.listTtlMsMax + 1 }],
    ['pages', { pages: Array(videoLimits.pagesMax + 1).fill(fields.pages[0]) }],
  ]
  for (const [what, change] of broken) {
    const text = encodeSignedList(signer, { ...fields, ...change })
    t.throws(() => decodeSignedList(text), { code: 'ERR_PROTOCOL' }, what)
  }
  t.throws(() => decodeSignedList(Buffer.from('what')), { code: 'ERR_PROTOCOL' })
  t.throws(() => decodeSignedList(encodeSignedList({ ...signer, peerId: '../x' }, fields)), {
    code: 'ERR_PROTOCOL',
  })
  const long = Buffer.alloc(videoLimits.listBytesMax + 1)
  t.throws(() => decodeSignedList(long), { code: 'ERR_LIMIT' })
})

/** The message of a video, whatever it says. */
function wireOf(video: VideoRecord): MessageInitShape<typeof VideoSchema> {
  const raw = (digests: readonly Digest[]): Buffer[] => digests.map(digestToBytes)
  return {
    ...{ id: video.id, title: video.title, origin: video.origin, bytes: BigInt(video.bytes) },
    ...{ createdAtMs: BigInt(video.createdAtMs), durationUs: BigInt(video.durationUs) },
    renditions: video.renditions.map((one) => ({
      ...{ ...one, info: { ...one.info }, pages: raw(one.pages) },
    })),
    captions: video.captions.map((one) => ({ ...one, digest: digestToBytes(one.digest) })),
    ...(video.storyboard && {
      storyboard: { ...video.storyboard, sprites: raw(video.storyboard.sprites) },
    }),
  }
}
