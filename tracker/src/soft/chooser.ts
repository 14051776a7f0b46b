/** Drawing some of many, each set as likely as any other. */

/** Places that were drawn already stand in a small table with open addressing, at least three quarters empty. */
const SEEN_BITS = 8
const SEEN = 1 << SEEN_BITS

/** Draws for one shard. */
export class Chooser {
  #state: number
  readonly #places = new Uint32Array(SEEN)
  readonly #stamps = new Uint32Array(SEEN)
  #stamp = 0

  /** @param random gives 0 up to 1; asked once */
  constructor(random: () => number) {
    this.#state = (Math.floor(random() * 0xffff_ffff) | 1) >>> 0
  }

  /** A whole number in `[0, below)`: xorshift of 32 bits (Marsaglia 2003), because a peer's random source may be slow. */
  draw(below: number): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return Math.floor(((state >>> 0) / 0x1_0000_0000) * below)
  }

  /**
   * Draws up to `wants` (64 at most) of `count` places.
   * @param pick what a place stands for; -1 leaves it out, as it does at most one place
   * @returns how many were written to `into`
   */
  some(count: number, wants: number, into: Uint32Array, pick: (place: number) => number): number {
    // Where few would be left over, drawing until a new one comes takes long: go through all of them.
    return count <= wants * 2 + 1
      ? this.#inOrder(count, wants, into, pick)
      : this.#apart(count, wants, into, pick)
  }

  /** Draws without order, then takes from the front: a shuffle of all places, of which there are few. */
  #inOrder(
    count: number,
    wants: number,
    into: Uint32Array,
    pick: (place: number) => number,
  ): number {
    const places = this.#places
    for (let place = 0; place < count; place++) places[place] = place
    let chosen = 0
    for (let from = 0; from < count && chosen < wants; from++) {
      const other = from + this.draw(count - from)
      const place = places[other] as number
      places[other] = places[from] as number
      const found = pick(place)
      if (found !== -1) into[chosen++] = found
    }
    return chosen
  }

  #apart(count: number, wants: number, into: Uint32Array, pick: (place: number) => number): number {
    this.#stamp = (this.#stamp + 1) >>> 0
    let chosen = 0
    while (chosen < wants) {
      const place = this.draw(count)
      if (!this.#isNew(place)) continue
      const found = pick(place)
      if (found !== -1) into[chosen++] = found
    }
    return chosen
  }

  #isNew(place: number): boolean {
    let at = Math.imul(place, 0x9e37_79b1) >>> (32 - SEEN_BITS)
    while (this.#stamps[at] === this.#stamp) {
      if (this.#places[at] === place) return false
      at = (at + 1) & (SEEN - 1)
    }
    this.#stamps[at] = this.#stamp
    this.#places[at] = place
    return true
  }
}
