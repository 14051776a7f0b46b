/** What a row of segments says about its rendition as a whole. */
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import { TICKS_PER_SECOND } from '../media/access-unit.ts'

/** EXT-X-TARGETDURATION: no segment's duration, rounded, is above it (RFC 8216bis 4.4.3.1). Whole seconds, at least 1. */
export function targetDurationS(segments: readonly ArchivedSegment[]): number {
  return segments.reduce((max, one) => Math.max(max, Math.round(one.durationUs / 1e6)), 1)
}

/** 1/90000 s in whole microseconds. */
export function microseconds(ticks: number): number {
  return Math.round((ticks * 1e6) / TICKS_PER_SECOND)
}

/** Duration of all segments together, microseconds. */
export function totalUs(segments: readonly ArchivedSegment[]): number {
  return segments.reduce((sum, one) => sum + one.durationUs, 0)
}

/** The bit rate that HLS declares: the highest of one segment, bits a second. */
export function peakBps(segments: readonly ArchivedSegment[]): number {
  // A short last segment says little about the rate.
  const full = segments.filter((one) => one.durationUs >= 1e6)
  return (full.length > 0 ? full : segments).reduce(
    (max, { bytes, durationUs }) =>
      Math.max(max, Math.round((bytes * 8e6) / Math.max(1, durationUs))),
    0,
  )
}
