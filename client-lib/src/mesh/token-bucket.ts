/** How much of something may happen: a bucket that begins full and gains tokens with time. */
import type { Clock } from '../clock.ts'

/** A bucket of tokens. */
export class TokenBucket {
  readonly #clock: Clock
  #burst: number
  #perSecond: number
  #tokens: number
  #filledMs: number

  constructor(clock: Clock, burst: number, perSecond: number) {
    this.#clock = clock
    this.#burst = burst
    this.#perSecond = perSecond
    this.#tokens = burst
    this.#filledMs = clock.nowMs()
  }

  /** Another rate from now on. */
  set(burst: number, perSecond: number): void {
    this.#fill()
    this.#burst = burst
    this.#perSecond = perSecond
    this.#tokens = Math.min(this.#tokens, burst)
  }

  /** Takes so many, if they are there. */
  take(count: number): boolean {
    if (this.tokens < count) return false
    this.#tokens -= count
    return true
  }

  /** Takes so many, on credit if need be. */
  spend(count: number): void {
    this.#tokens -= count
  }

  /** What is there; below zero after credit. */
  get tokens(): number {
    this.#fill()
    return this.#tokens
  }

  /** In how many milliseconds so many are there. */
  msUntil(count: number): number {
    return ((count - this.tokens) * 1_000) / this.#perSecond
  }

  #fill(): void {
    const nowMs = this.#clock.nowMs()
    const gained = ((nowMs - this.#filledMs) * this.#perSecond) / 1_000
    this.#tokens = Math.min(this.#burst, this.#tokens + gained)
    this.#filledMs = nowMs
  }
}
