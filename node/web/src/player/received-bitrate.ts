/** The bitrate of what arrived, from the bytes and the play time of the newest parts. */

/** Play time over which the rate is taken. */
const windowS = 4

/** Parts of one track kept; at 200 ms a part the window takes 20. */
const partsMax = 64

interface Received {
  readonly bytes: number
  readonly durationS: number
}

/** Collects parts by track and adds the tracks up. */
export class ReceivedBitrate {
  readonly #tracks = new Map<string, Received[]>()

  /** Counts one part (or whole segment) of a track. */
  add(track: string, bytes: number, durationS: number): void {
    if (durationS <= 0) return
    let parts = this.#tracks.get(track)
    if (parts === undefined) {
      parts = []
      this.#tracks.set(track, parts)
    }
    parts.push({ bytes, durationS })
    let total = parts.reduce((sum, part) => sum + part.durationS, 0)
    while (parts.length > 1 && (total > windowS || parts.length > partsMax)) {
      total -= parts.shift()?.durationS ?? 0
    }
  }

  /** Bits a second of all tracks together; 0 before the first part. */
  get bps(): number {
    let bps = 0
    for (const parts of this.#tracks.values()) {
      const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
      const seconds = parts.reduce((sum, part) => sum + part.durationS, 0)
      if (seconds > 0) bps += (bytes * 8) / seconds
    }
    return bps
  }
}
