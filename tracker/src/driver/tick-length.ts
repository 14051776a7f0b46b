/**
 * How long a tick is here, given what T was announced. It follows a shorter T at once. A longer one only when every lease that counts now
 * began after the others were told of it: a leader that ticked slower at once would trust a lease for longer than followers keep it, who
 * heard of nothing but the shorter T.
 */
import { driverLimits } from './driver-limits.ts'

/** The length of a tick. */
export class TickLength {
  #tickMs = Number.POSITIVE_INFINITY
  #risingMs = 0
  /** Ticks since the longer one is announced. */
  #ticks = 0

  get tickMs(): number {
    return this.#tickMs
  }

  /** Takes a length at once: no lease counts. */
  begin(announcedMs: number): void {
    this.#tickMs = announcedMs
    this.#risingMs = 0
  }

  /** @param announcedMs the tick that is announced from now on; `ticks` have passed since the last call */
  follow(announcedMs: number, ticks: number): void {
    if (announcedMs <= this.#tickMs) {
      this.#tickMs = announcedMs
      this.#risingMs = 0
      return
    }
    if (this.#risingMs === 0) {
      this.#risingMs = announcedMs
      this.#ticks = 0
      return
    }
    // What all that was announced meanwhile allows.
    this.#risingMs = Math.min(this.#risingMs, announcedMs)
    this.#ticks += ticks
    // No lease outlasts an election timeout.
    if (this.#ticks <= driverLimits.electionTicks) return
    this.#tickMs = this.#risingMs
    this.#risingMs = 0
  }
}
