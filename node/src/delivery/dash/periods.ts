/**
 * Periods of a live manifest: stretches in which time and configuration go on in every rendition. Their ids and starts must
 * stay what they are while the window moves on, and be the same at every peer, so they follow from the signed index.
 */
import type { TimedSegment } from './segment-timeline.ts'

/** One Period. */
export interface Period {
  readonly id: string
  /** First segment; for the first Period the first that is left. */
  readonly firstMsn: number
  /** First segment of the next Period; infinite for the last. */
  readonly endMsn: number
  /** Wall time of the Period's start, Unix milliseconds. */
  readonly startMs: number
  /** Time on the stream's timeline at the Period's start, microseconds. */
  readonly offsetUs: number
}

/** What Periods are made from. */
export interface PeriodsInit {
  /** Segments of the rendition that leads: never empty. */
  readonly lead: readonly TimedSegment[]
  /** Discontinuities of the leading rendition before its first segment. */
  readonly discontinuitySequence: number
  /** Segments of the other renditions that are followed. */
  readonly others: readonly (readonly TimedSegment[])[]
  /** Earliest start there may be, Unix milliseconds. */
  readonly earliestMs: number
  /** The Periods found last time, to keep what has left the window. */
  readonly before: readonly Period[]
}

/** The Periods of a window, in order. */
export function periodsOf(init: PeriodsInit): readonly Period[] {
  const { lead } = init
  const firstMsn = lead[0]?.msn ?? 0
  const boundaries = [lead, ...init.others]
    .flatMap(boundariesOf)
    .filter((msn) => msn > firstMsn && lead.some((segment) => segment.msn === msn))
  const starts = [firstMsn, ...[...new Set(boundaries)].sort((a, b) => a - b)]
  let discontinuities = init.discontinuitySequence
  let scanned = 0
  return starts.map((msn, index) => {
    let isDiscontinuity = false
    for (; scanned < lead.length && (lead[scanned]?.msn ?? 0) <= msn; scanned += 1) {
      if (lead[scanned]?.discontinuity !== true) continue
      discontinuities += 1
      isDiscontinuity = lead[scanned]?.msn === msn
    }
    const endMsn = starts[index + 1] ?? Number.POSITIVE_INFINITY
    const id = isDiscontinuity || index === 0 ? `${discontinuities}` : `${discontinuities}-${msn}`
    return periodAt({ ...init, msn, endMsn, id, begins: isDiscontinuity || index > 0 })
  })
}

/** Segments with which a rendition's time or configuration does not go on. */
function boundariesOf(segments: readonly TimedSegment[]): number[] {
  return segments.flatMap((segment, index) => {
    const before = segments[index - 1]
    const changes = before !== undefined && before.initDigest !== segment.initDigest
    return segment.discontinuity || changes ? [segment.msn] : []
  })
}

function periodAt(
  at: PeriodsInit & {
    readonly msn: number
    readonly endMsn: number
    readonly id: string
    /** The Period's own first segment is there. */
    readonly begins: boolean
  },
): Period {
  const { lead, before, msn, endMsn, id, begins, earliestMs } = at
  const segment = lead.find((each) => each.msn === msn)
  const wallMs = segment?.wallMs ?? earliestMs
  const startUs = segment?.startUs ?? 0
  const known = begins
    ? before.find((period) => period.id === id)
    : before.findLast((period) => period.firstMsn <= msn && idNumber(period) === id)
  const sameMapping =
    known !== undefined &&
    Math.abs(known.startMs - known.offsetUs / 1_000 - (wallMs - startUs / 1_000)) < 2
  if (known !== undefined && sameMapping) return { ...known, endMsn, firstMsn: msn }
  if (begins) return { id, firstMsn: msn, endMsn, startMs: wallMs, offsetUs: startUs }
  // Where its first segment has left the window, a Period begins at zero of its timeline: what every peer can compute.
  const zeroMs = Math.round(wallMs - startUs / 1_000)
  const startMs = Math.max(zeroMs, earliestMs)
  return { id, firstMsn: msn, endMsn, startMs, offsetUs: (startMs - zeroMs) * 1_000 }
}

/** The count of discontinuities in an id. */
function idNumber(period: Period): string {
  return period.id.split('-')[0] ?? ''
}
