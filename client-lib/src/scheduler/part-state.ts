/**
 * What the scheduler knows of one part: which bytes are there, who wants it by when, who has it, and from whom it is under way.
 * It holds facts only; `bring.ts` draws the conclusions. A part has either a fetch or pulls under way, never both: so no byte is asked
 * of two sources at a time, and there is no end game in which it would be.
 */
import { type PartKey, type PartPlace, readPartKey } from '../protocol/part-key.ts'
import type { Reason } from './counters.ts'
import type { PeerId } from './events.ts'
import { type ByteRange, Ranges, without } from './ranges.ts'
import type { Peer } from './sources.ts'

/** The player's wish. */
export interface Wish {
  readonly deadlineMs: number
  readonly isUrgent: boolean
  /** When it was first told of. */
  readonly sinceMs: number
}

/** Bytes that a peer was asked for, or pushes. It lasts until the peer says that this was all, or is silent. */
export interface Pull {
  readonly peer: Peer
  readonly from: number
  /** Infinity: to the end. */
  readonly to: number
  readonly isPush: boolean
  readonly sinceMs: number
  firstMs: number | undefined
  lastMs: number
  got: number
  isEnded: boolean
}

/** The request by HTTP. */
export interface Fetch {
  readonly from: number
  readonly to: number
  readonly sinceMs: number
  readonly why: Reason
  firstMs: number | undefined
  lastMs: number
  got: number
}

/** What the edge said about others. */
export interface Answer {
  readonly peers: readonly PeerId[]
  readonly isWhole: boolean
  readonly sinceMs: number
  readonly untilMs: number
}

/** A part. */
export class Part {
  readonly key: PartKey
  readonly place: PartPlace | undefined
  /** `checking`: all bytes are there. `whole`: they are what they should be. */
  state: 'open' | 'checking' | 'whole' = 'open'
  readonly have = new Ranges()
  bytes: number | undefined
  /** Bytes that came from peers. */
  peerBytes = 0
  wish: Wish | undefined
  /** Among the last that the playlist listed. */
  isRecent = false
  /** A peer has pushed it: a live part, to be passed on. */
  isPushed = false
  /** The root of a stripe fetches it, wanted or not; stays so when the tree changes. */
  isDuty = false
  /** The duty could not be done; it is not tried again. */
  isDutyOver = false
  leaseUntilMs: number | undefined
  answer: Answer | undefined
  edgeAskedMs: number | undefined
  edgeAsks = 0
  fetch: Fetch | undefined
  readonly pulls = new Map<PeerId, Pull>()
  /** Peers that are up and have it: whole, or coming in. */
  readonly holders = new Map<PeerId, boolean>()
  /** Holders that have failed at this part. */
  readonly spent = new Set<PeerId>()
  readonly pushedTo = new Set<PeerId>()
  /** A fetch was given up for a peer; not done twice. */
  isHandedOver = false
  /** Wrong bytes came from several peers, and nobody knows from which. */
  isHttpOnly = false
  /** HTTP has failed, and no other source since. */
  isHttpDown = false
  failures = 0
  replans = 0
  /** When it is to be looked at again, at the latest. */
  wakeMs = Number.POSITIVE_INFINITY

  constructor(key: PartKey) {
    this.key = key
    this.place = readPartKey(key)
  }

  get isNeeded(): boolean {
    return this.state === 'open' && (this.wish !== undefined || this.isDuty)
  }

  /** The first byte behind it; Infinity while that is not known. */
  get end(): number {
    return this.bytes ?? Number.POSITIVE_INFINITY
  }

  get isComplete(): boolean {
    return this.bytes !== undefined && this.have.within(0, this.bytes) === this.bytes
  }

  /** Bytes have begun to come, or are there. */
  get hasBegun(): boolean {
    return this.fetch !== undefined || this.pulls.size > 0 || this.have.total > 0
  }

  /** Nothing is known that would be lost with it. */
  get isEmpty(): boolean {
    const isKnown = this.bytes !== undefined || this.holders.size > 0 || this.isRecent
    return !isKnown && !this.hasBegun && this.wish === undefined
  }

  missing(): ByteRange[] {
    return this.have.missing(this.end)
  }

  /** What is missing and not asked for. */
  uncovered(): ByteRange[] {
    return without(this.missing(), [...this.pulls.values()])
  }

  /** What a pull has yet to bring; with an unknown length Infinity. */
  restOf({ from, to }: ByteRange): number {
    const end = Math.min(to, this.end)
    return Math.max(0, end - from) - this.have.within(from, end)
  }

  /** A wish begins, or a part starts anew: what was tried before counts no more. */
  startAnew(): void {
    this.answer = undefined
    this.edgeAskedMs = undefined
    this.edgeAsks = 0
    this.spent.clear()
    this.isHandedOver = false
    this.isHttpDown = false
    this.failures = 0
    this.replans = 0
  }
}
