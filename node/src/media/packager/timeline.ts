/**
 * Puts the publisher's timestamps on the stream's own timeline, one for all renditions. It starts at zero and never goes
 * back, also over discontinuities, so a recording of the parts is a valid file; and it knows the wall time of each tick.
 */

import { TICKS_PER_MS } from '../access-unit.ts'

/** Where the tracks of a stretch find their times. All in 1/90000 s. */
export interface MediaTimeline {
  /** A unit's tick on the stream's timeline. */
  out(tick: number): number
  /** Wall time of a tick of the stream's timeline, Unix milliseconds. */
  wallMs(outTick: number): number
}

/** Where a stretch of continuous timestamps begins. */
export interface TimelineInit {
  /** Publisher's tick that is `outOrigin` on the stream's timeline. */
  readonly inOrigin: number
  readonly outOrigin: number
  /** A publisher's tick and the wall time (Unix milliseconds) at which it arrived. */
  readonly anchorTick: number
  readonly anchorWallMs: number
}

/** The mapping of one stretch of continuous timestamps. All times in 1/90000 s. */
export class Timeline implements MediaTimeline {
  readonly #init: TimelineInit

  constructor(init: TimelineInit) {
    this.#init = init
  }

  /** A publisher's tick on the stream's timeline. */
  out(tick: number): number {
    return tick - this.#init.inOrigin + this.#init.outOrigin
  }

  /** Wall time of a tick of the stream's timeline, Unix milliseconds. */
  wallMs(outTick: number): number {
    const { inOrigin, outOrigin, anchorTick, anchorWallMs } = this.#init
    return anchorWallMs + (outTick - outOrigin + inOrigin - anchorTick) / TICKS_PER_MS
  }
}
