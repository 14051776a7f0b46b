/** Small segments for tests of what is kept on disk; their bytes are no media unless a test needs media. */
import type { ArchivedSegment } from '../../src/content/archive/presentation.ts'
import type { SegmentWrite } from '../../src/content/archive/segment-file.ts'
import { digestOf } from '../../src/content/digest.ts'
import type { RenditionInfo } from '../../src/content/stream.ts'

/** A rendition of pictures. */
export const videoInfo: RenditionInfo = {
  name: '720p',
  kind: 'video',
  codecs: 'avc1.64001f',
  bandwidthBps: 2_500_000,
  width: 1280,
  height: 720,
  frameRate: 30,
  channels: 0,
}

/** Segment `msn` of two parts; `init` chooses its init segment. */
export function segmentWrite(msn: number, init = 0, size = 40): SegmentWrite {
  const parts = [Buffer.alloc(size, msn + 1), Buffer.from(`end of ${msn}`)]
  const initBytes = Buffer.from(`init segment ${init}`)
  const bytes = Buffer.concat(parts)
  const segment: ArchivedSegment = {
    msn,
    digest: digestOf(bytes),
    bytes: bytes.byteLength,
    durationUs: 2_000_000,
    startUs: msn * 2_000_000,
    programDateTimeMs: msn % 2 === 0 ? 1_700_000_000_000 + msn * 2_000 : undefined,
    discontinuity: msn % 5 === 4,
    initDigest: digestOf(initBytes),
  }
  return { segment, init: initBytes, parts }
}
