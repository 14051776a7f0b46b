/**
 * A video as its peer tells others of it: everything that players need but its segments, of which it names the pages. What comes from
 * others is checked here field by field before anybody uses it.
 */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { KairoError } from '../../errors.ts'
import { videoRecordLimits as limits, videoLimits } from '../../limits/videos.ts'
import { contentLimits, recordLimits } from '../../limits.ts'
import {
  VideoSchema,
  type PagedRendition as WireRendition,
  type Video as WireVideo,
} from '../../protocol/generated/videos_pb.js'
import type { VodStoryboard } from '../../protocol/generated/vod_pb.js'
import type { CaptionFile, Storyboard } from '../archive/presentation.ts'
import { type Digest, digestFromBytes, digestToBytes } from '../digest.ts'
import { checkRendition, cleanTitle, renditionOf } from '../records/stream-record.ts'
import { LANGUAGE_TAG, RENDITION_NAME, type RenditionInfo } from '../stream.ts'
import { segmentPageCount } from './segment-pages.ts'
import { isVideoIdOf } from './video-id.ts'

/** One rendition of a video. */
export interface PagedRendition {
  readonly info: RenditionInfo
  readonly targetDurationS: number
  readonly segments: number
  /** SHA-256 of each page of its segments. */
  readonly pages: readonly Digest[]
}

/** A video in its peer's list. */
export interface VideoRecord {
  readonly id: string
  readonly title: string
  /** Wall milliseconds when it was made or the recording began. */
  readonly createdAtMs: number
  readonly durationUs: number
  readonly origin: 'upload' | 'recording'
  /** Of all its objects. */
  readonly bytes: number
  readonly renditions: readonly PagedRendition[]
  readonly captions: readonly CaptionFile[]
  readonly storyboard: Storyboard | undefined
}

function videoMessage(video: VideoRecord): MessageInitShape<typeof VideoSchema> {
  const { id, title, createdAtMs, durationUs, origin, bytes, renditions, captions } = video
  const { storyboard } = video
  return {
    ...{ id, title, origin, createdAtMs: BigInt(createdAtMs) },
    ...{ durationUs: BigInt(durationUs), bytes: BigInt(bytes) },
    renditions: renditions.map(({ info, targetDurationS, segments, pages }) => ({
      ...{ info: { ...info }, targetDurationS, segments, pages: pages.map(digestToBytes) },
    })),
    captions: captions.map((file) => ({ ...file, digest: digestToBytes(file.digest) })),
    ...(storyboard === undefined
      ? {}
      : { storyboard: { ...storyboard, sprites: storyboard.sprites.map(digestToBytes) } }),
  }
}

/** Encoded own videos: a list is made anew with each change of one of them. */
const encoded = new WeakMap<VideoRecord, { readonly owner: string; readonly bytes: Uint8Array }>()

/**
 * Encodes a video of the peer `owner`, who is about to tell of it, after checking it.
 * @throws KairoError `ERR_INVALID_INPUT` when a field breaks its rule, `ERR_LIMIT` when it is too large.
 */
export function encodeVideo(owner: string, video: VideoRecord): Uint8Array {
  const known = encoded.get(video)
  if (known?.owner === owner) return known.bytes
  try {
    checkVideo(owner, video)
  } catch (cause) {
    throw new KairoError('ERR_INVALID_INPUT', (cause as Error).message, { cause })
  }
  const bytes = toBinary(VideoSchema, create(VideoSchema, videoMessage(video)))
  if (bytes.byteLength > videoLimits.videoBytesMax) {
    throw new KairoError('ERR_LIMIT', `a video of ${bytes.byteLength} bytes in a list is too large`)
  }
  encoded.set(video, { owner, bytes })
  return bytes
}

/**
 * A video of a list of the peer `owner`.
 * @throws KairoError `ERR_PROTOCOL` when a field breaks its rule, `ERR_VERIFICATION` when the name is another peer's.
 */
export function videoOf(owner: string, wire: WireVideo): VideoRecord {
  const video: VideoRecord = {
    ...{ id: wire.id, title: cleanTitle(wire.title) },
    createdAtMs: Number(wire.createdAtMs),
    durationUs: Number(wire.durationUs),
    // Checked with all the rest.
    origin: wire.origin as VideoRecord['origin'],
    bytes: Number(wire.bytes),
    renditions: wire.renditions.map(pagedRenditionOf),
    captions: wire.captions.map(({ name, language, label, digest }) => ({
      ...{ name, language, label: cleanTitle(label), digest: digestFromBytes(digest) },
    })),
    storyboard: wire.storyboard && storyboardOf(wire.storyboard),
  }
  checkVideo(owner, video)
  return video
}

function pagedRenditionOf(wire: WireRendition): PagedRendition {
  check(wire.info !== undefined, 'a rendition')
  const { targetDurationS, segments } = wire
  return {
    ...{ info: renditionOf(wire.info), targetDurationS, segments },
    pages: wire.pages.map(digestFromBytes),
  }
}

function storyboardOf(wire: VodStoryboard): Storyboard {
  const { intervalMs, width, height, columns, rows, count } = wire
  const sprites = wire.sprites.map(digestFromBytes)
  return { intervalMs, width, height, columns, rows, count, sprites }
}

function checkVideo(owner: string, video: VideoRecord): void {
  const { id, title, createdAtMs, durationUs, origin, bytes, renditions, captions } = video
  if (!isVideoIdOf(owner, id)) {
    throw new KairoError('ERR_VERIFICATION', 'a video has a name that its peer did not make')
  }
  check(title !== '', 'the title')
  check(isDate(createdAtMs), 'the time of making')
  check(Number.isSafeInteger(durationUs) && durationUs > 0, 'the duration')
  check(origin === 'upload' || origin === 'recording', 'the origin')
  check(Number.isSafeInteger(bytes), 'the size')
  check(renditions.length > 0, 'the set of renditions')
  if (renditions.length > contentLimits.renditionsMax) {
    throw new KairoError('ERR_LIMIT', `more than ${contentLimits.renditionsMax} renditions`)
  }
  for (const rendition of renditions) checkPagedRendition(rendition)
  check(captions.length <= limits.captionsMax, 'the number of captions')
  for (const file of captions) checkCaptions(file)
  const names = [...renditions.map(({ info }) => info.name), ...captions.map(({ name }) => name)]
  check(new Set(names).size === names.length, 'the set of names')
  if (video.storyboard !== undefined) checkStoryboard(video.storyboard)
}

function checkPagedRendition({ info, targetDurationS, segments, pages }: PagedRendition): void {
  checkRendition(info)
  check(isBetween(targetDurationS, 1, 3_600), 'a target duration')
  check(isBetween(segments, 1, limits.segmentsMax), 'a number of segments')
  check(pages.length === segmentPageCount(segments), 'a number of pages')
}

function checkCaptions({ name, language, label }: CaptionFile): void {
  check(RENDITION_NAME.test(name), 'the name of a caption file')
  check(LANGUAGE_TAG.test(language), 'the language of a caption file')
  check(label.length <= recordLimits.labelLengthMax, 'the label of a caption file')
}

function checkStoryboard(board: Storyboard): void {
  const { intervalMs, width, height, columns, rows, count, sprites } = board
  const { pictureSideMax, picturesMax, spriteGridMax, spritesMax } = limits
  check(isBetween(intervalMs, 1, 86_400_000), 'the interval of pictures')
  check(isBetween(width, 1, pictureSideMax) && isBetween(height, 1, pictureSideMax), 'a picture')
  check(isBetween(columns, 1, spriteGridMax) && isBetween(rows, 1, spriteGridMax), 'a sprite')
  check(isBetween(sprites.length, 1, spritesMax), 'the number of sprites')
  const places = columns * rows * sprites.length
  check(isBetween(count, 1, Math.min(picturesMax, places)), 'the number of pictures')
}

function isBetween(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max
}

/** What `Date` takes (ECMA-262 21.4.1.1). */
function isDate(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms <= 8.64e15
}

function check(fits: boolean, what: string): asserts fits {
  if (!fits) throw new KairoError('ERR_PROTOCOL', `${what} of a video breaks its rule`)
}
