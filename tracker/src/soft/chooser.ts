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
   * @param except a place that is left out; -1 for none
   * @param into where the places go
   * @returns how many there are
   */
  some(count: number, wants: number, except: number, into: Uint32Array): number {
    const left = except === -1 ? count : count - 1
    const chosen = Math.min(left, wants)
    // Where few would be left over, drawing until a new one comes takes long: shuffle all of them.
    if (left <= wants * 2) this.#shuffle(left, chosen, into)
    else this.#apart(left, chosen, into)
    if (except === -1) return chosen
    // The places behind the one that is left out were drawn as if it were not there.
    for (let at = 0; at < chosen; at++) {
      const place = into[at] as number
      if (place >= except) into[at] = place + 1
    }
    return chosen
  }

  /** The front of a shuffle (Fisher and Yates). */
  #shuffle(count: number, chosen: number, into: Uint32Array): void {
    const places = this.#places
    for (let place = 0; place < count; place++) places[place] = place
    for (let at = 0; at < chosen; at++) {
      const other = at + this.draw(count - at)
      into[at] = places[other] as number
      places[other] = places[at] as number
    }
  }

  #apart(count: number, chosen: number, into: Uint32Array): void {
    this.#stamp = (this.#stamp + 1) >>> 0
    for (let at = 0; at < chosen; ) {
      const place = this.draw(count)
      if (this.#isNew(place)) into[at++] = place
    }
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
