/** Remembers at which presentation times the source has keyframes, from the unit to its decoded picture. Pure. */

/** Keyframes between a decoder's input and its output; more are those of pictures that never came out. */
const WAITING_MAX = 64

/** The times that wait, in the order in which they came. */
export class KeyframeTimes {
  #waiting: number[] = []

  /** A keyframe goes into the decoder. `pts` in 1/90000 s. */
  add(pts: number): void {
    this.#waiting.push(Math.round(pts))
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift()
  }

  /**
   * True when the picture at `pts` is a keyframe, or the first one after a keyframe that did not come out: the group must begin
   * somewhere.
   */
  take(pts: number): boolean {
    const passed = this.#waiting.filter((time) => time <= pts).length
    if (passed === 0) return false
    this.#waiting = this.#waiting.filter((time) => time > pts)
    return true
  }
}
