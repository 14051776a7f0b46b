/** What a row of segments says about its rendition as a whole. */
import type { ArchivedSegment } from '../content/archive/presentation.ts'

/** EXT-X-TARGETDURATION: no segment's duration, rounded, is above it (RFC 8216bis 4.4.3.1). Whole seconds, at least 1. */
export function targetDurationS(segments: readonly ArchivedSegment[]): number {
  return segments.reduce((max, one) => Math.max(max, Math.round(one.durationUs / 1e6)), 1)
}

/** Duration of all segments together, microseconds. */
export function totalUs(segments: readonly ArchivedSegment[]): number {
  return segments.reduce((sum, one) => sum + one.durationUs, 0)
}

/** Bit rates: the highest of one segment, as HLS declares it, and the mean. */
export function bitrates(segments: readonly ArchivedSegment[]): {
  readonly peakBps: number
  readonly meanBps: number
} {
  const rate = (bytes: number, us: number): number => Math.round((bytes * 8e6) / Math.max(1, us))
  const bytes = segments.reduce((sum, one) => sum + one.bytes, 0)
  // A short last segment says little about the rate.
  const full = segments.filter((one) => one.durationUs >= 1e6)
  const peakBps = (full.length > 0 ? full : segments).reduce(
    (max, one) => Math.max(max, rate(one.bytes, one.durationUs)),
    0,
  )
  return { peakBps, meanBps: rate(bytes, totalUs(segments)) }
}
