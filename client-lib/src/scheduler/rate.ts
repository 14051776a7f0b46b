/** A rate over the time in which bytes flowed: what was measured longer ago counts less, and time in which nothing was asked for does not count. */
import { schedulerLimits } from './limits.ts'

/** Bits a second. */
export class Rate {
  readonly #firstBps: number
  #bits = 0
  #ms = 0
  #bytes = 0

  /** @param firstBps what is assumed until there is a measurement */
  constructor(firstBps: number) {
    this.#firstBps = firstBps
  }

  /** So many bytes came in so much time. */
  add(bytes: number, ms: number): void {
    const kept = 0.5 ** (ms / schedulerLimits.rateHalfMs)
    this.#bits = this.#bits * kept + bytes * 8
    this.#ms = this.#ms * kept + ms
    this.#bytes += bytes
  }

  /** Whether it is more than an assumption. */
  get isMeasured(): boolean {
    return this.#bytes >= schedulerLimits.rateBytesMin
  }

  get bps(): number {
    if (!this.isMeasured) return this.#firstBps
    return Math.max(1, (this.#bits * 1_000) / Math.max(1, this.#ms))
  }
}
