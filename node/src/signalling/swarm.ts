/** One swarm of browsers: who is in it, found by id, and chosen at random in constant time however many there are. */
import assert from 'node:assert/strict'
import type { SwarmCounts } from './tracker-answer.ts'

/** Where a peer of a swarm is reached. */
export interface PeerLine {
  /** Passes an offer on; false when it did not go out. */
  giveOffer(text: string): boolean
  /** Passes on an answer of `from`; false when it did not go out, or that one was given no such offer. */
  giveAnswer(offerId: string, from: PeerLine, text: string): boolean
  /** The peer lost its place to another connection of the same client. */
  displaced(infoHash: string, peerId: string): void
  /** Who the client is, for others that come under the same id; empty where a proxy does not tell. */
  readonly address: string
}

/** A peer in a swarm. */
export interface SwarmPeer {
  readonly id: string
  readonly line: PeerLine
  readonly isComplete: boolean
}

/** A swarm. */
export class Swarm {
  /** In no order; a peer's place is in `#places`. */
  readonly #peers: SwarmPeer[] = []
  readonly #places = new Map<string, number>()
  #complete = 0

  /** Peers in it. */
  get size(): number {
    return this.#peers.length
  }

  get counts(): SwarmCounts {
    return { complete: this.#complete, incomplete: this.size - this.#complete }
  }

  /** The peer of an id. */
  find(id: string): SwarmPeer | undefined {
    const place = this.#places.get(id)
    return place === undefined ? undefined : this.#peers[place]
  }

  /** Takes a peer in, in the place of the one with its id if there is one. */
  set(peer: SwarmPeer): void {
    this.delete(peer.id)
    this.#places.set(peer.id, this.#peers.length)
    this.#peers.push(peer)
    this.#complete += peer.isComplete ? 1 : 0
  }

  /** Lets a peer go. */
  delete(id: string): void {
    const place = this.#places.get(id)
    if (place === undefined) return
    const last = this.#peers.length - 1
    this.#complete -= this.#peers[place]?.isComplete ? 1 : 0
    this.#swap(place, last)
    this.#peers.pop()
    this.#places.delete(id)
  }

  /** Up to `count` peers, each other one as likely as any but the one with this id. */
  pick(count: number, exceptId: string, random: () => number): SwarmPeer[] {
    const own = this.#places.get(exceptId)
    if (own !== undefined) this.#swap(own, this.#peers.length - 1)
    const others = this.#peers.length - (own === undefined ? 0 : 1)
    const wanted = Math.min(count, others)
    // Moves the chosen ones to the front (Fisher and Yates, as far as is needed): no order is kept here anyway.
    for (let place = 0; place < wanted; place += 1) {
      this.#swap(place, place + Math.floor(random() * (others - place)))
    }
    return this.#peers.slice(0, wanted)
  }

  #swap(a: number, b: number): void {
    const [atA, atB] = [this.#peers[a], this.#peers[b]]
    assert(atA !== undefined && atB !== undefined, 'both places are taken')
    this.#peers[a] = atB
    this.#peers[b] = atA
    this.#places.set(atB.id, a)
    this.#places.set(atA.id, b)
  }
}
