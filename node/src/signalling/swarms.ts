/** The swarms that this peer is tracker of, by info hash. A swarm is there as long as somebody is in it. */
import { webtorrentLimits as limits } from '../limits/signalling.ts'
import { Swarm, type SwarmPeer } from './swarm.ts'
import type { SwarmCounts } from './tracker-answer.ts'

/** Why a peer is not taken in. */
export type EntryRefusal = 'swarms' | 'swarm-peers' | 'peer-id'

const nobody: SwarmCounts = { complete: 0, incomplete: 0 }

/** All of them. */
export class Swarms {
  readonly #swarms = new Map<string, Swarm>()
  #peers = 0

  /** Swarms there are. */
  get size(): number {
    return this.#swarms.size
  }

  /** Peers in them; who is in two counts twice. */
  get peers(): number {
    return this.#peers
  }

  /** How many are in a swarm. */
  countsOf(infoHash: string): SwarmCounts {
    return this.#swarms.get(infoHash)?.counts ?? nobody
  }

  /** The peer of an id in a swarm. */
  find(infoHash: string, id: string): SwarmPeer | undefined {
    return this.#swarms.get(infoHash)?.find(id)
  }

  /** Takes a peer in, or news of one that is in; the reason why not. */
  enter(infoHash: string, peer: SwarmPeer): EntryRefusal | undefined {
    const swarm = this.#swarms.get(infoHash)
    if (swarm === undefined && this.#swarms.size >= limits.swarmsMax) return 'swarms'
    const known = swarm?.find(peer.id)
    if (known === undefined && (swarm?.size ?? 0) >= limits.peersPerSwarmMax) return 'swarm-peers'
    if (known !== undefined && known.line !== peer.line) {
      // A client that lost its connection comes back before that is noticed here; ids are no secrets, so only from the same address.
      const { address } = peer.line
      if (address === '' || address !== known.line.address) return 'peer-id'
      known.line.displaced(infoHash, peer.id)
    }
    if (known === undefined) this.#peers += 1
    const entered = swarm ?? new Swarm()
    this.#swarms.set(infoHash, entered)
    entered.set(peer)
    return undefined
  }

  /** Lets a peer go that is in a swarm. */
  leave(infoHash: string, id: string): void {
    const swarm = this.#swarms.get(infoHash)
    if (swarm?.find(id) === undefined) return
    swarm.delete(id)
    this.#peers -= 1
    if (swarm.size === 0) this.#swarms.delete(infoHash)
  }

  /** Up to `count` others of a swarm, at random. */
  pick(infoHash: string, count: number, exceptId: string, random: () => number): SwarmPeer[] {
    return this.#swarms.get(infoHash)?.pick(count, exceptId, random) ?? []
  }
}
