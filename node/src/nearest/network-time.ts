/**
 * The time by which adverts are signed and judged: the wall clock as it was at the start, carried on by the monotonic one. So a wall
 * clock that jumps while the peer runs neither makes it mute nor lets it forget everybody. A clock that was wrong at the start and was set
 * right since is found out by what others sign: when their time fits the wall clock's and not this one, the wall clock counts anew.
 */
import type { Clock } from '../clock.ts'
import { nearestLimits } from '../limits/nearest.ts'

/** The time of one peer. */
export class NetworkTime {
  readonly #clock: Pick<Clock, 'now' | 'monotonicMs'>
  #offsetMs = 0

  constructor(clock: Pick<Clock, 'now' | 'monotonicMs'>) {
    this.#clock = clock
    this.reset()
  }

  /** Unix milliseconds, whole. */
  now(): number {
    return Math.floor(this.#offsetMs + this.#clock.monotonicMs())
  }

  /** True when what another peer has signed at this time by its clock fits the wall clock's time, and not this one. */
  isOff(signedAtMs: number): boolean {
    return !isNear(signedAtMs, this.now()) && isNear(signedAtMs, this.#clock.now())
  }

  /** From now on the wall clock counts, as it is now. */
  reset(): void {
    this.#offsetMs = this.#clock.now() - this.#clock.monotonicMs()
  }
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= nearestLimits.clockSkewMsMax
}
