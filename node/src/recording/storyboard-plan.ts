/** Which of the pictures that were made while a recording ran become its storyboard. Pure. */
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import { liveStoryboardLimits as limits } from '../limits/live-storyboard.ts'

/** When each picture of a storyboard is, and how far they are apart. */
export interface StoryboardPlan {
  readonly intervalMs: number
  /** Segment numbers of the pictures, in order. */
  readonly msns: readonly number[]
}

/**
 * Chooses a picture for every interval of a recording: the last one that is not after the middle of the interval, else the first
 * there is. Pure.
 */
export function planStoryboard(
  segments: readonly Pick<ArchivedSegment, 'msn' | 'durationUs'>[],
  pictures: ReadonlySet<number>,
): StoryboardPlan | undefined {
  const at: { readonly msn: number; readonly ms: number }[] = []
  let totalMs = 0
  for (const { msn, durationUs } of segments) {
    if (pictures.has(msn)) at.push({ msn, ms: totalMs })
    totalMs += durationUs / 1_000
  }
  const first = at[0]
  if (first === undefined) return undefined
  const intervalMs = Math.ceil(Math.max(limits.intervalMs, totalMs / limits.recordedMax))
  const msns: number[] = []
  let next = 0
  let current = first.msn
  for (let ms = 0; ms < totalMs; ms += intervalMs) {
    for (; (at[next]?.ms ?? Number.POSITIVE_INFINITY) <= ms + intervalMs / 2; next += 1) {
      current = at[next]?.msn ?? current
    }
    msns.push(current)
  }
  return { intervalMs, msns }
}
