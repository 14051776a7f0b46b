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
  /**
   * True while the log of this peer's region does not have the purge: the region decides nothing now, or did not answer in time. Peers that
   * are away then hear of it only from others that have done it.
   */
  readonly degraded: boolean
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
  readonly purge: Purge
  /** Notes what a peer has answered. */
  settle(peerId: string, outcome: Pick<PeerOutcome, 'status' | 'purged' | 'code'>): void
  /** As it stands now. */
  report(): PurgeReport
  /** The region's log has another purge of its number. */
  noteNumberTaken(): void
  /** True when some peer, or the region's log, knows its number for another purge. */
  isNumberTaken(): boolean
}

/** What reports are made with. */
export interface PurgeReportsComponents {
  readonly clock: Clock
  /** Called for each acknowledgement that was not an answer. */
  readonly onLate: () => void
  /** True when the region's log has a purge. */
  readonly isLogged: (purge: Purge) => boolean
}

class Followed implements FollowedPurge {
  readonly purge: Purge
  readonly startedMs: number
  readonly #components: PurgeReportsComponents
  readonly #peers = new Map<string, PeerOutcome>()
  #isNumberTaken = false

  constructor(
    components: PurgeReportsComponents,
    purge: Purge,
    { told, away }: Audience,
    startedMs: number,
  ) {
    this.#components = components
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
    const ms = this.#elapsedMs()
    const peers = [...this.#peers.values()].map((peer) =>
      peer.status === 'waiting' ? { ...peer, ms } : peer,
    )
    return reportOf(this.purge, peers, this.#components.isLogged(this.purge))
  }

  isNumberTaken(): boolean {
    return this.#isNumberTaken
  }

  noteNumberTaken(): void {
    this.#isNumberTaken = true
  }

  unsettled(): string[] {
    return [...this.#peers.values()]
      .filter(({ status }) => status !== 'done')
      .map(({ peerId }) => peerId)
  }

  #elapsedMs(): number {
    return this.#components.clock.monotonicMs() - this.startedMs
  }
}

/** The newest own purges. */
export class PurgeReports {
  readonly #components: PurgeReportsComponents
  #followed: Followed[] = []

  constructor(components: PurgeReportsComponents) {
    this.#components = components
  }

  /** Follows a purge no more, as if it had not been. */
  forget(purge: Purge): void {
    const id = purgeId(purge)
    this.#followed = this.#followed.filter((each) => purgeId(each.purge) !== id)
  }

  /** Follows a purge. */
  follow(purge: Purge, audience: Audience, startedMs: number): FollowedPurge {
    const followed = new Followed(this.#components, purge, audience, startedMs)
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
    const sinceMs = this.#components.clock.monotonicMs() - purgeLimits.lateMsMax
    const recent = this.#followed.filter(({ startedMs }) => startedMs >= sinceMs)
    return [...new Set(recent.flatMap((followed) => followed.unsettled()))]
  }

  /** A peer says what it knows, and so which purges it has carried out. */
  note(peerId: string, state: readonly OriginState[] | 'same'): void {
    this.noteDone(peerId, (purge) => knows(state, purge))
  }

  /** A peer is known to have carried out some purges. */
  noteDone(peerId: string, hasDone: (purge: Purge) => boolean): void {
    for (const followed of this.#followed) {
      const status = followed.statusOf(peerId)
      if (status === undefined || status === 'done') continue
      if (!hasDone(followed.purge)) continue
      followed.settle(peerId, { status: 'done', purged: 0, code: undefined })
      if (status !== 'waiting') this.#components.onLate()
    }
  }
}

/** A purge that was given to another peer, or to this one before it was restarted: as the region's log has it. */
export function loggedReport(
  purge: Purge,
  peers: readonly Pick<PeerOutcome, 'peerId' | 'status'>[],
): PurgeReport {
  const outcomes = peers.map((peer) => ({ ...peer, purged: 0, ms: 0, code: undefined }))
  return reportOf(purge, outcomes, true)
}

function reportOf(purge: Purge, peers: readonly PeerOutcome[], isLogged: boolean): PurgeReport {
  const { issuer, issuedAtMs, selector, mode } = purge
  return {
    ...{ id: purgeId(purge), issuer, issuedAtMs, selector, mode, peers },
    complete: peers.every(({ status }) => status === 'done'),
    degraded: !isLogged,
  }
}

function knows(state: readonly OriginState[] | 'same', purge: Purge): boolean {
  if (state === 'same') return true
  const origin = state.find((each) => originKey(each) === originKey(purge))
  // Whoever does not believe this peer has carried out nothing.
  return origin !== undefined && origin.ignored !== true && knownBy(origin)(purge.sequence)
}
