/**
 * Whom a purge is for: the peers that are alive, and those that were a short while ago. A peer that was lost may come back with what it
 * has cached, and until it has caught up nobody can say that the purge is done everywhere.
 */
import type { Clock } from '../../clock.ts'
import { purgeLimits } from '../../limits/purge.ts'

/** What is asked of the network. */
export interface PurgeMembersComponents {
  readonly clock: Clock
  /** Ids of the peers that are known alive, this one perhaps among them. */
  readonly members: () => readonly string[]
  /** True for a peer that has said goodbye: it serves nothing, and asks what it has missed when it starts again. */
  readonly hasLeft: (peerId: string) => boolean
  /** Told when a peer is forgotten because there are too many. */
  readonly onLimit: () => void
}

/** The peers of the network as purges see them. */
export class PurgeMembers {
  readonly #components: PurgeMembersComponents
  /** Monotonic milliseconds at which each was last known alive; the one seen last is last. */
  readonly #seen = new Map<string, number>()
  /** Those that were told of as leaving while they were here. */
  readonly #left = new Set<string>()

  constructor(components: PurgeMembersComponents) {
    this.#components = components
  }

  /** The peers that are alive now; to be called every few seconds, so that those which are lost are known. */
  alive(): readonly string[] {
    const members = this.#components.members()
    for (const peerId of members) this.see(peerId)
    return members
  }

  /** This peer is alive now. */
  see(peerId: string): void {
    this.#seen.delete(peerId)
    this.#seen.set(peerId, this.#components.clock.monotonicMs())
    if (this.#components.hasLeft(peerId)) this.#left.add(peerId)
    else this.#left.delete(peerId)
    if (this.#seen.size <= purgeLimits.membersMax) return
    const [oldest] = this.#seen.keys()
    if (oldest !== undefined) this.#forget(oldest)
    this.#components.onLimit()
  }

  /** Peers that were alive a while ago, are not now, and have not said goodbye. */
  away(): string[] {
    const alive = new Set(this.alive())
    const sinceMs = this.#components.clock.monotonicMs() - purgeLimits.awayMsMax
    const away: string[] = []
    for (const [peerId, seenMs] of [...this.#seen]) {
      if (alive.has(peerId)) continue
      if (this.#components.hasLeft(peerId)) this.#left.add(peerId)
      if (seenMs < sinceMs) this.#forget(peerId)
      else if (!this.#left.has(peerId)) away.push(peerId)
    }
    return away
  }

  #forget(peerId: string): void {
    this.#seen.delete(peerId)
    this.#left.delete(peerId)
  }
}
