/** A measure that is too high from one mark on and well again below another, so that it does not flutter between. */
import { overloadLimits as limits } from '../../limits/shelter.ts'

/** Counts looks in a row. */
export class Watermark {
  readonly #high: number
  readonly #low: number
  #isHigh = false
  #looks = 0

  constructor({ high, low }: { readonly high: number; readonly low: number }) {
    this.#high = high
    this.#low = low
  }

  /** True from the rise to the fall. */
  get isHigh(): boolean {
    return this.#isHigh
  }

  /** Takes a look; true when that changed the state. */
  look(value: number): boolean {
    const disagrees = this.#isHigh ? value < this.#low : value > this.#high
    this.#looks = disagrees ? this.#looks + 1 : 0
    if (this.#looks < (this.#isHigh ? limits.looksToFall : limits.looksToRise)) return false
    this.#isHigh = !this.#isHigh
    this.#looks = 0
    return true
  }
}
