/** A count of what happened lately: everything counted loses half of its weight in a given time. Sums and means of such counts decay alike. */

/** One count. */
export class DecayingCount {
  readonly #halfMs: number
  #value = 0
  #atMs = 0

  constructor(halfMs: number) {
    this.#halfMs = halfMs
  }

  /** @param nowMs monotonic. */
  add(count: number, nowMs: number): void {
    this.#value = this.at(nowMs) + count
    this.#atMs = nowMs
  }

  /** What is left of it. */
  at(nowMs: number): number {
    return this.#value * 2 ** ((this.#atMs - nowMs) / this.#halfMs)
  }
}
