/** A published segment as archives know it. */
import { strict as assert } from 'node:assert'
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import type { SegmentNotice } from '../content/publication/open-segment.ts'

/** The description of the segment that a notice is about. */
export function segmentOf(notice: SegmentNotice): ArchivedSegment {
  const first = notice.entries[0]
  const digest = notice.entries.at(-1)?.segmentDigest
  assert(first !== undefined && digest !== undefined, 'a notice is about a whole segment')
  return {
    msn: notice.msn,
    digest,
    bytes: notice.entries.reduce((sum, entry) => sum + entry.bytes, 0),
    durationUs: notice.entries.reduce((sum, entry) => sum + entry.durationUs, 0),
    startUs: notice.startUs,
    programDateTimeMs: first.programDateTimeMs,
    discontinuity: first.discontinuity,
    initDigest: first.initDigest,
  }
}
