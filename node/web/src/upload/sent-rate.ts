/** How fast a file goes, over the last seconds. */

/** Time over which the rate is taken. */
const windowMs = 5_000

/** Collects what had been sent when. */
export class SentRate {
  #marks: { readonly bytes: number; readonly atMs: number }[] = []

  /** Notes that so many bytes had been sent in all. */
  add(bytes: number, atMs: number): void {
    const last = this.#marks.at(-1)
    // Less than before: a piece is sent again, and the count begins anew.
    if (last !== undefined && bytes < last.bytes) this.#marks = []
    this.#marks.push({ bytes, atMs })
    while (this.#marks.length > 2 && atMs - (this.#marks[1]?.atMs ?? atMs) > windowMs) {
      this.#marks.shift()
    }
  }

  /** Bytes a second; 0 while unknown. */
  bytesPerSecond(nowMs: number): number {
    const [first] = this.#marks
    const last = this.#marks.at(-1)
    if (first === undefined || last === undefined || last === first) return 0
    return ((last.bytes - first.bytes) / Math.max(1, nowMs - first.atMs)) * 1_000
  }
}
