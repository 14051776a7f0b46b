/** What of a recording stays: the renditions that can be played from beginning to end. Pure. */
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import { recordingLimits as limits } from '../limits/recording.ts'

/** Segments of one rendition. */
export interface RecordedTrack {
  readonly name: string
  readonly segments: readonly Pick<ArchivedSegment, 'msn'>[]
}

/** What stays of a recording. */
export interface Selection {
  /** The rendition that the others are measured by; undefined when there is nothing. */
  readonly lead: string | undefined
  /** Renditions, and how many of their segments: up to the first gap. */
  readonly kept: ReadonlyMap<string, number>
  /** Renditions that were not there all the time. */
  readonly leftOut: readonly string[]
}

/**
 * Chooses what stays. Players need every rendition from the beginning to the end without gaps; encoders that were started late, or
 * stopped, have less. The source always stays. Pure.
 */
export function selectRenditions(tracks: readonly RecordedTrack[]): Selection {
  const whole = tracks
    .map(({ name, segments }) => ({ name, count: withoutGap(segments), segments }))
    .filter(({ count }) => count > 0)
  const lead =
    whole.find(({ name }) => name === 'source') ??
    whole.reduce<(typeof whole)[number] | undefined>(
      (most, one) => (most === undefined || one.count > most.count ? one : most),
      undefined,
    )
  const kept = new Map<string, number>()
  const leftOut: string[] = []
  if (lead === undefined) {
    return { lead: undefined, kept, leftOut: tracks.map(({ name }) => name) }
  }
  const from = firstOf(lead)
  const to = from + lead.count
  // Of a short recording half must be there.
  const slack = Math.min(limits.missingSegmentsMax, Math.floor(lead.count / 2))
  for (const one of whole) {
    const starts = firstOf(one) <= from + slack
    const lasts = firstOf(one) + one.count >= to - slack
    if (one === lead || (starts && lasts)) kept.set(one.name, one.count)
  }
  for (const { name } of tracks) if (!kept.has(name)) leftOut.push(name)
  return { lead: lead.name, kept, leftOut }
}

function withoutGap(segments: RecordedTrack['segments']): number {
  const first = segments[0]
  if (first === undefined) return 0
  const gap = segments.findIndex(({ msn }, index) => msn !== first.msn + index)
  return gap === -1 ? segments.length : gap
}

function firstOf({ segments }: RecordedTrack): number {
  return segments[0]?.msn ?? 0
}
