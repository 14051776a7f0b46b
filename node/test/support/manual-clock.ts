/**
 * A clock that stands still until a test moves it; timers fire in order of their time.
 */
import type { CancelTimer, Clock } from '../../src/clock.ts'

interface Timer {
  readonly atMs: number
  readonly callback: () => void
}

/** Wall and monotonic time move together by {@link advance} or {@link pass}. */
export class ManualClock implements Clock {
  #elapsedMs = 0
  readonly #startMs: number
  readonly #waiting = new Set<Timer>()

  /** @param startMs wall time at the start. */
  constructor(startMs = 1_700_000_000_000) {
    this.#startMs = startMs
  }

  now(): number {
    return this.#startMs + this.#elapsedMs
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

  /** Moves time on and fires what is due, all in this turn: promises run afterwards. */
  advance(ms: number): void {
    const endMs = this.#elapsedMs + ms
    while (this.#fireNext(endMs));
    this.#elapsedMs = endMs
  }

  /** Moves time on, and after each timer that fires lets promises that are ready run, so that they may set timers too. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms
    await settle()
    while (this.#fireNext(endMs)) await settle()
    this.#elapsedMs = endMs
  }

  #fireNext(endMs: number): boolean {
    let next: Timer | undefined
    for (const timer of this.#waiting) {
      if (timer.atMs <= endMs && (next === undefined || timer.atMs < next.atMs)) next = timer
    }
    if (next === undefined) return false
    this.#waiting.delete(next)
    this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs)
    next.callback()
    return true
  }
}

/** Lets promises that are ready run, to some depth. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
