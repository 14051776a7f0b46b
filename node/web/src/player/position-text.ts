/** Moments of a stream in figures. */

import { clockTime } from '../shared/format.ts'
import type { Timeline } from './timeline.ts'

/** A moment in figures: from the beginning of a video, behind the edge of a live stream. */
export function positionText(timeline: Timeline, timeS: number): string {
  if (!timeline.live) return clockTime(timeS)
  const behindS = timeline.endS - timeS
  return behindS < 1 ? 'Live' : `−${clockTime(behindS)}`
}
