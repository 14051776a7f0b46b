/** What became of this peer's own purges at every other peer, also of those that answer late. */
import type { Clock } from '../../clock.ts'
import type { ErrorCode } from '../../errors.ts'
import { purgeLimits } from '../../limits/purge.ts'
import type { PurgeMode, PurgeSelector } from '../purge-selector.ts'
import { knownBy, type OriginState } from './purge-ledger.ts'
import { originKey, type Purge, purgeId } from './purge-message.ts'

/** What one peer has made of a purge. */
export interface PeerOutcome {
  /** libp2p peer id, base58. */
  readonly peerId: string
  /**
   * `done`: carried out there; `failed`: refused, or no answer came; `unreachable`: it could not be told; `away`: it was lost a while
   * before, and is told when it is back; `waiting`: it was told just now.
   */
  readonly status: 'done' | 'failed' | 'unreachable' | 'away' | 'waiting'
  /** Responses that it took there; 0 until done, and for one that came late. */
  readonly purged: number
  /** From the beginning of the purge to the answer, milliseconds; until now while waiting, 0 while away. */
  readonly ms: number
  /** Why it failed or could not be reached. */
  readonly code: ErrorCode | undefined
}

/** A purge of this peer and what has become of it. */
export interface PurgeReport {
  readonly id: string
  readonly issuer: string
  /** Unix milliseconds by the issuer's clock. */
  readonly issuedAtMs: number
  readonly selector: PurgeSelector
  readonly mode: PurgeMode
  /** True when every peer has done it that was alive then, or a while before and had not said goodbye: none can serve what was purged. */
  readonly complete: boolean
  /** This peer first. */
  readonly peers: readonly PeerOutcome[]
}

/** Whom a purge is for; no peer is in both. */
export interface Audience {
  /** Peers that it is sent to. */
  readonly told: readonly string[]
  /** Peers that were lost a while before. */
  readonly away: readonly string[]
}

/** One purge being followed. */
export interface FollowedPurge {
  /** Notes what a peer has answered. */
  settle(peerId: string, outcome: Pick<PeerOutcome, 'status' | 'purged' | 'code'>): void
  /** As it stands now. */
  report(): PurgeReport
  /** True when some peer knows its number for another purge. */
  isNumberTaken(): boolean
}

class Followed implements FollowedPurge {
  readonly purge: Purge
  readonly startedMs: number
  readonly #clock: Clock
  readonly #peers = new Map<string, PeerOutcome>()
  #isNumberTaken = false

  constructor(clock: Clock, purge: Purge, { told, away }: Audience, startedMs: number) {
    this.#clock = clock
    this.purge = purge
    this.startedMs = startedMs
    const rest = { purged: 0, ms: 0, code: undefined }
    for (const peerId of told) this.#peers.set(peerId, { peerId, status: 'waiting', ...rest })
    for (const peerId of away) this.#peers.set(peerId, { peerId, status: 'away', ...rest })
  }

  settle(peerId: string, outcome: Pick<PeerOutcome, 'status' | 'purged' | 'code'>): void {
    if (outcome.code === 'ERR_NAME_TAKEN') this.#isNumberTaken = true
    // What was learned late counts more than a stream that broke afterwards.
    if (this.statusOf(peerId) === 'done') return
    this.#peers.set(peerId, { peerId, ...outcome, ms: this.#elapsedMs() })
  }

  statusOf(peerId: string): PeerOutcome['status'] | undefined {
    return this.#peers.get(peerId)?.status
  }

  report(): PurgeReport {
    const { issuer, issuedAtMs, selector, mode } = this.purge
    const ms = this.#elapsedMs()
    const peers = [...this.#peers.values()].map((peer) =>
      peer.status === 'waiting' ? { ...peer, ms } : peer,
    )
    const complete = peers.every(({ status }) => status === 'done')
    return { id: purgeId(this.purge), issuer, issuedAtMs, selector, mode, complete, peers }
  }

  isNumberTaken(): boolean {
    return this.#isNumberTaken
  }

  unsettled(): string[] {
    return [...this.#peers.values()]
      .filter(({ status }) => status !== 'done')
      .map(({ peerId }) => peerId)
  }

  #elapsedMs(): number {
    return this.#clock.monotonicMs() - this.startedMs
  }
}

/** The newest own purges. */
export class PurgeReports {
  readonly #clock: Clock
  readonly #onLate: () => void
  #followed: Followed[] = []

  /** @param onLate called for each acknowledgement that was not an answer. */
  constructor(components: { readonly clock: Clock; readonly onLate: () => void }) {
    this.#clock = components.clock
    this.#onLate = components.onLate
  }

  /** Follows a purge no more, as if it had not been. */
  forget(followed: FollowedPurge): void {
    this.#followed = this.#followed.filter((each) => each !== followed)
  }

  /** Follows a purge. */
  follow(purge: Purge, audience: Audience, startedMs: number): FollowedPurge {
    const followed = new Followed(this.#clock, purge, audience, startedMs)
    this.#followed.push(followed)
    this.#followed = this.#followed.slice(-purgeLimits.reportsMax)
    return followed
  }

  /** Oldest first. */
  list(): PurgeReport[] {
    return this.#followed.map((followed) => followed.report())
  }

  /** Peers that still owe an acknowledgement. */
  unsettled(): string[] {
    const sinceMs = this.#clock.monotonicMs() - purgeLimits.lateMsMax
    const recent = this.#followed.filter(({ startedMs }) => startedMs >= sinceMs)
    return [...new Set(recent.flatMap((followed) => followed.unsettled()))]
  }

  /** A peer says what it knows, and so which purges it has carried out. */
  note(peerId: string, state: readonly OriginState[] | 'same'): void {
    for (const followed of this.#followed) {
      const status = followed.statusOf(peerId)
      if (status === undefined || status === 'done') continue
      if (!knows(state, followed.purge)) continue
      followed.settle(peerId, { status: 'done', purged: 0, code: undefined })
      if (status !== 'waiting') this.#onLate()
    }
  }
}

function knows(state: readonly OriginState[] | 'same', purge: Purge): boolean {
  if (state === 'same') return true
  const origin = state.find((each) => originKey(each) === originKey(purge))
  // Whoever does not believe this peer has carried out nothing.
  return origin !== undefined && origin.ignored !== true && knownBy(origin)(purge.sequence)
}
