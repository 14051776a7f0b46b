/** The cues of one caption track by time; parts of a live stream bring some twice. */

/** What a cue list needs of a cue. */
export interface TimedCue {
  readonly id: string
  readonly startTime: number
  readonly endTime: number
  readonly text: string
}

/** Cues kept of one track: three hours of talk at one cue a second. The oldest go. */
const cuesMax = 10_800

/** The same words at times this near, in seconds, are the same cue. */
const sameS = 0.1

/** Cues in the order of their beginning. */
export class CueList<T extends TimedCue> {
  #cues: T[] = []

  /** Adds cues that are not there yet. */
  add(cues: readonly T[]): void {
    for (const cue of cues) {
      const at = this.#firstAfter(cue.startTime)
      if (this.#has(cue)) continue
      this.#cues.splice(at, 0, cue)
    }
    if (this.#cues.length > cuesMax) this.#cues.splice(0, this.#cues.length - cuesMax)
  }

  /** The cues that are due at a time, in seconds. */
  at(timeS: number): readonly T[] {
    const end = this.#firstAfter(timeS)
    // A cue stays for minutes at the most, so what began long ago need not be looked at.
    return this.#cues.slice(Math.max(0, end - 50), end).filter(({ endTime }) => endTime > timeS)
  }

  /** How many there are. */
  get length(): number {
    return this.#cues.length
  }

  /** A cue that goes on in the next segment comes again with it, its times rounded another way. */
  #has(cue: T): boolean {
    for (let i = this.#firstAfter(cue.startTime + sameS) - 1; i >= 0; i--) {
      const other = this.#cues[i] as T
      if (other.startTime < cue.startTime - sameS) return false
      if (other.text === cue.text && Math.abs(other.endTime - cue.endTime) <= sameS) return true
    }
    return false
  }

  /** Index of the first cue that begins after `timeS`. */
  #firstAfter(timeS: number): number {
    let low = 0
    let high = this.#cues.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#cues[middle] as T).startTime <= timeS) low = middle + 1
      else high = middle
    }
    return low
  }
}
