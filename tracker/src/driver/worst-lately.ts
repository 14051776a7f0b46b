/**
 * The worst but one of what was measured lately. A single stall (a stopped process, a sleeping machine) tells nothing of the next
 * minute; two of them do.
 */
export class WorstLately {
  readonly #windowMs: number
  #since = Number.NEGATIVE_INFINITY
  #worst = 0
  #second = 0
  /** Of the window before. */
  #before = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  note(value: number, nowMs: number): void {
    this.#turnOver(nowMs)
    if (value > this.#worst) {
      this.#second = this.#worst
      this.#worst = value
    } else if (value > this.#second) {
      this.#second = value
    }
  }

  value(nowMs: number): number {
    this.#turnOver(nowMs)
    return Math.max(this.#second, this.#before)
  }

  #turnOver(nowMs: number): void {
    const age = nowMs - this.#since
    if (age < this.#windowMs) return
    this.#before = age < 2 * this.#windowMs ? this.#second : 0
    this.#since = nowMs
    this.#worst = 0
    this.#second = 0
  }
}
