/** A clock that stands still until a test moves it; timers fire in order of their time, and of being set. */
import type { CancelTimer, Clock } from '../../src/clock.ts'

interface Timer {
  readonly atMs: number
  readonly callback: () => void
}

/** Wall and monotonic time move together by {@link advance}; wall time alone by {@link jumpMs}. */
export class ManualClock implements Clock {
  /** Added to wall time: what somebody who sets the clock does. */
  jumpMs = 0
  #elapsedMs = 0
  readonly #waiting = new Set<Timer>()

  now(): number {
    return 1_700_000_000_000 + this.#elapsedMs + this.jumpMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    const timer = { atMs: this.#elapsedMs + delayMs, callback }
    this.#waiting.add(timer)
    return () => this.#waiting.delete(timer)
  }

  /** Timers that have neither fired nor been cancelled. */
  get timers(): number {
    return this.#waiting.size
  }

  /** Moves time on and fires what is due. */
  advance(ms: number): void {
    const endMs = this.#elapsedMs + ms
    for (;;) {
      let next: Timer | undefined
      for (const timer of this.#waiting)
        if (timer.atMs <= endMs && (next === undefined || timer.atMs < next.atMs)) next = timer
      if (next === undefined) break
      this.#waiting.delete(next)
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs)
      next.callback()
    }
    this.#elapsedMs = endMs
  }
}
