/** A rate over the time in which bytes flowed: what was measured longer ago counts less, and time in which nothing was asked for does not count. */
import { schedulerLimits } from './limits.ts'

/** Bits a second. What is assumed at first counts as `rateFirstMs` of measurement. */
export class Rate {
  #bits: number
  #ms: number = schedulerLimits.rateFirstMs
  #bytes = 0

  /** @param firstBps what is assumed until there is a measurement */
  constructor(firstBps: number) {
    this.#bits = (firstBps * this.#ms) / 1_000
  }

  /** So many bytes came in so much time; 0 where nothing came although it was asked for. */
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
    return Math.max(1, (this.#bits * 1_000) / this.#ms)
  }
}
