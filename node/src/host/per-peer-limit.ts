/** Counts what is going on, in all and for each peer, so that no single peer takes everything. */
export class PerPeerLimit {
  readonly #totalMax: number
  readonly #perPeerMax: number
  readonly #counts = new Map<string, number>()
  #total = 0

  constructor(init: { readonly totalMax: number; readonly perPeerMax: number }) {
    this.#totalMax = init.totalMax
    this.#perPeerMax = init.perPeerMax
  }

  /** Takes a slot, to be given back by {@link PerPeerLimit.leave}; a sentence saying why when there is none. */
  enter(peer: string): string | undefined {
    const count = this.#counts.get(peer) ?? 0
    if (this.#total >= this.#totalMax) return 'this peer serves as many others as it can'
    if (count >= this.#perPeerMax) return 'this peer serves you as much as it does at once'
    this.#counts.set(peer, count + 1)
    this.#total += 1
    return undefined
  }

  /** Gives a slot back. */
  leave(peer: string): void {
    const count = this.#counts.get(peer) ?? 0
    this.#total -= 1
    if (count > 1) this.#counts.set(peer, count - 1)
    else this.#counts.delete(peer)
  }
}
