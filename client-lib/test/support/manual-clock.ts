/** A clock that stands still until a test moves it; timers fire in order of their time, those of one moment in the order in which they were set. */
import type { CancelTimer, Clock } from '../../src/clock.ts'

interface Timer {
  readonly atMs: number
  readonly callback: () => void
}

/** Time as tests and simulations drive it. */
export class ManualClock implements Clock {
  #nowMs: number
  readonly #waiting = new Set<Timer>()

  /** @param startMs what the clock says at first. */
  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  after(ms: number, callback: () => void): CancelTimer {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), callback }
    this.#waiting.add(timer)
    return () => this.#waiting.delete(timer)
  }

  /** Timers that have neither fired nor been cancelled. */
  get timers(): number {
    return this.#waiting.size
  }

  /** Moves time on and fires what is due, all in this turn: promises run afterwards. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms
    while (this.#fireNext(endMs));
    this.#nowMs = endMs
  }

  /** Moves time on, and after each timer that fires lets promises that are ready run, so that they may set timers too. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await settle()
    while (this.#fireNext(endMs)) await settle()
    this.#nowMs = endMs
  }

  #fireNext(endMs: number): boolean {
    let next: Timer | undefined
    for (const timer of this.#waiting) {
      if (timer.atMs <= endMs && (next === undefined || timer.atMs < next.atMs)) next = timer
    }
    if (next === undefined) return false
    this.#waiting.delete(next)
    this.#nowMs = Math.max(this.#nowMs, next.atMs)
    next.callback()
    return true
  }
}

/** Lets promises that are ready run, to some depth. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
