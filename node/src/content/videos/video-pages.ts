/**
 * The videos of one peer as pages, which are objects named by their digests: whoever keeps the list of a peer fetches those that changed.
 * Where a page ends follows from the names on it, so that a video more or less leaves the other pages as they are. Pure.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { isKairoError, KairoError } from '../../errors.ts'
import { videoLimits as limits } from '../../limits/videos.ts'
import { type VideoPage, VideoPageSchema } from '../../protocol/generated/videos_pb.js'
import { encodeUvarint } from '../../protocol/uvarint.ts'
import { encodeVideo, type VideoRecord, videoOf } from './video-record.ts'

const VERSION = 1
/** Field 2, length-delimited. */
const VIDEO_TAG = Buffer.of(0x12)
/** One name in four: pages are a little larger than `pageBytesMin`. */
const LAST_ON_PAGE = /[a-h]$/

/** Own videos as they are told to others. */
export interface PagedVideos {
  readonly videos: readonly VideoRecord[]
  readonly pages: readonly Buffer[]
  /** Videos that the list has no room for, the oldest ones, and those that break a rule; and why. */
  readonly leftOut: readonly { readonly video: VideoRecord; readonly error: KairoError }[]
}

interface Sized {
  readonly video: VideoRecord
  readonly bytes: Uint8Array
}

/** The pages of this peer's videos, in the order of their names. */
export function encodeVideoPages(owner: string, all: readonly VideoRecord[]): PagedVideos {
  const { sized, leftOut } = chooseVideos(owner, all)
  const pages: Buffer[] = []
  let page: Uint8Array[] = []
  let length = 0
  for (const [index, { video, bytes }] of sized.entries()) {
    page.push(bytes)
    length += bytes.byteLength
    const next = sized[index + 1]?.bytes.byteLength ?? limits.pageBytesMax
    const isFull = length + next > limits.pageBytesMax - limits.pageBytesMin
    const isEnd = length >= limits.pageBytesMin && LAST_ON_PAGE.test(video.id)
    if (!isFull && !isEnd) continue
    pages.push(encodePage(page))
    page = []
    length = 0
  }
  return { videos: sized.map(({ video }) => video), pages, leftOut }
}

/** Those that may be told and fit, in the order of their names. */
function chooseVideos(
  owner: string,
  all: readonly VideoRecord[],
): { readonly sized: Sized[]; readonly leftOut: { video: VideoRecord; error: KairoError }[] } {
  let room = limits.ownerBytesMax - limits.pageBytesMax
  const sized: Sized[] = []
  const leftOut: { video: VideoRecord; error: KairoError }[] = []
  for (const video of all.toSorted((a, b) => b.createdAtMs - a.createdAtMs)) {
    try {
      const bytes = encodeVideo(owner, video)
      if (bytes.byteLength > room) throw new KairoError('ERR_LIMIT', 'the list of videos is full')
      room -= bytes.byteLength
      sized.push({ video, bytes })
    } catch (error) {
      if (!isKairoError(error)) throw error
      leftOut.push({ video, error })
    }
  }
  sized.sort((a, b) => (a.video.id < b.video.id ? -1 : 1))
  return { sized, leftOut }
}

/**
 * The videos on a page of a list of the peer `owner`.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`, `ERR_VERIFICATION` for a video that is not that peer's.
 */
export function decodeVideoPage(owner: string, bytes: Uint8Array): VideoRecord[] {
  if (bytes.byteLength > limits.pageBytesMax) {
    throw new KairoError('ERR_LIMIT', `a page of ${bytes.byteLength} bytes is too large`)
  }
  let page: VideoPage
  try {
    page = fromBinary(VideoPageSchema, bytes)
  } catch (cause) {
    throw new KairoError('ERR_PROTOCOL', 'not a page of videos', { cause })
  }
  if (page.version !== VERSION) {
    throw new KairoError('ERR_PROTOCOL', `a page of version ${page.version} is not known here`)
  }
  // A page of nothing would be every owner's.
  if (page.videos.length === 0) throw new KairoError('ERR_PROTOCOL', 'a page without videos')
  return page.videos.map((video) => videoOf(owner, video))
}

/** A message is its fields one after the other (protobuf encoding), so videos are put together as they were encoded. */
function encodePage(videos: readonly Uint8Array[]): Buffer {
  const head = toBinary(VideoPageSchema, create(VideoPageSchema, { version: VERSION }))
  const fields = videos.flatMap((bytes) => [VIDEO_TAG, encodeUvarint(bytes.byteLength), bytes])
  return Buffer.concat([head, ...fields])
}
