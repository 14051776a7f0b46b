/** Bytes of memory that a group of transfers may hold together. */

/** A bound that is taken from and given back to. */
export class BytesBudget {
  readonly #bytesMax: number
  #used = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Bytes taken now. */
  get used(): number {
    return this.#used
  }

  /** Takes bytes; false, and nothing taken, when there is no room for them. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#bytesMax) return false
    this.#used += bytes
    return true
  }

  /** Gives bytes back. */
  give(bytes: number): void {
    this.#used -= bytes
  }
}
