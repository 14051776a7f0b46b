/** Until when the player needs a part, from what its media element has in its buffer. */
import { hlsLimits as limits } from './limits.ts'

/** Where playback is. */
export interface Playhead {
  readonly positionS: number
  /** In a row from the position on; 0: nothing can be played there. */
  readonly bufferedS: number
  /** Media seconds a second. */
  readonly rate: number
}

/** A part in media time. */
export interface Span {
  readonly startS: number
  readonly durationS: number
  /** A partial segment of LL-HLS. */
  readonly isPart: boolean
}

/** When a part is needed; see `PartRequest`. */
export interface Deadline {
  readonly deadlineMs: number
  readonly isUrgent: boolean
}

/** What of a media element is looked at. */
export type Media = Pick<HTMLMediaElement, 'buffered' | 'currentTime' | 'playbackRate'>

/** Reads the playhead; a paused player may go on at any moment, so it counts as one that plays. */
export function readPlayhead({ buffered, currentTime, playbackRate }: Media): Playhead {
  let endS = currentTime
  for (let index = 0; index < buffered.length; index++) {
    const isBefore = buffered.start(index) <= endS + limits.holeS
    if (isBefore && buffered.end(index) > endS) endS = buffered.end(index)
  }
  return {
    positionS: currentTime,
    bufferedS: endS - currentTime,
    rate: playbackRate > 0 ? playbackRate : 1,
  }
}

/**
 * The deadline of a part: when playback comes to it, or to the end of the buffer where the part replaces some of that, less what appending takes. Urgent
 * with an empty buffer, wherever the part is (a live player has its position only after its first part), or with a nearly empty one and the part next.
 * @param playhead undefined: no media element, which is a player before its first frame
 */
export function deadlineOf(span: Span, playhead: Playhead | undefined, nowMs: number): Deadline {
  if (playhead === undefined || playhead.bufferedS <= 0) {
    return { deadlineMs: nowMs, isUrgent: true }
  }
  const { positionS, bufferedS, rate } = playhead
  const awayS = span.startS - positionS
  const leastS = span.isPart ? span.durationS : Math.min(limits.urgentS, span.durationS / 2)
  const isNext = awayS <= bufferedS + leastS
  const leftMs = (Math.max(awayS, bufferedS) * 1_000) / rate - limits.appendMs
  return {
    deadlineMs: nowMs + Math.max(0, leftMs),
    isUrgent: isNext && bufferedS < leastS * rate,
  }
}
