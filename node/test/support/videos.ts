/** Videos and what they are made of, for tests. */
import { randomBytes } from 'node:crypto'
import type { ArchivedSegment } from '../../src/content/archive/presentation.ts'
import { type Digest, digestOf } from '../../src/content/digest.ts'
import { encodeSegmentPage, segmentPageCount } from '../../src/content/videos/segment-pages.ts'
import { makeVideoId } from '../../src/content/videos/video-id.ts'
import type { VideoRecord } from '../../src/content/videos/video-record.ts'
import { audioInfo, sourceInfo } from './content-peer.ts'

/** A video, and the objects that it is made of. */
export interface MadeVideo {
  readonly record: VideoRecord
  readonly objects: ReadonlyMap<Digest, Buffer>
  /** Segments of the first rendition. */
  readonly segments: readonly ArchivedSegment[]
}

/** A video of two renditions with so many segments of random bytes each. */
export function makeVideo(
  owner: string,
  title: string,
  options: { readonly segments?: number; readonly createdAtMs?: number } = {},
): MadeVideo {
  const { segments: count = 3, createdAtMs = 1_700_000_000_000 } = options
  const objects = new Map<Digest, Buffer>()
  const store = (bytes: Buffer): Digest => {
    const digest = digestOf(bytes)
    objects.set(digest, bytes)
    return digest
  }
  const made = [sourceInfo, audioInfo].map((info) => {
    const initDigest = store(Buffer.concat([Buffer.from('init '), randomBytes(20)]))
    const segments = Array.from({ length: count }, (_, msn): ArchivedSegment => {
      const bytes = randomBytes(100 + msn)
      return {
        ...{ msn, digest: store(bytes), bytes: bytes.byteLength, durationUs: 4_000_000 },
        ...{ startUs: msn * 4_000_000, programDateTimeMs: undefined, discontinuity: false },
        initDigest,
      }
    })
    const pages = Array.from({ length: segmentPageCount(count) }, (_, page) =>
      store(encodeSegmentPage(segments, page)),
    )
    return { segments, rendition: { info, targetDurationS: 4, segments: count, pages } }
  })
  const record: VideoRecord = {
    ...{ id: makeVideoId(owner, randomBytes), title, createdAtMs, origin: 'upload' },
    ...{ durationUs: count * 4_000_000, bytes: 1_000 * count },
    renditions: made.map(({ rendition }) => rendition),
    captions: [
      {
        name: 'captions-en',
        language: 'en',
        label: 'English',
        digest: store(Buffer.from('WEBVTT\n')),
      },
    ],
    storyboard: {
      ...{ intervalMs: 2_000, width: 160, height: 90, columns: 10, rows: 10, count: 6 },
      sprites: [store(randomBytes(50))],
    },
  }
  return { record, objects, segments: made[0]?.segments ?? [] }
}
