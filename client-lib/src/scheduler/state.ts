/**
 * What the scheduler knows, and the few ways in which it changes: fetches and pulls begin and end here, and each change brings its action. All that
 * depends on time goes through `isDue`, which remembers the earliest moment that was not yet there: so whoever calls at `wakeAtMs` finds something
 * to do, and nothing waits for ever.
 */
import { type Counters, newCounters, type Reason } from './counters.ts'
import type { PeerId, SchedulerAction } from './events.ts'
import { KnownParts } from './known-parts.ts'
import { schedulerLimits } from './limits.ts'
import { LiveStripes } from './live-stripes.ts'
import type { Part, Pull } from './part-state.ts'
import type { ByteRange } from './ranges.ts'
import { Rate } from './rate.ts'
import { Peer } from './sources.ts'

/** All that there is. */
export class SchedulerState {
  readonly random: () => number
  readonly parts = new KnownParts((part) => this.#forgotten(part))
  readonly peers = new Map<PeerId, Peer>()
  readonly stripes = new LiveStripes()
  readonly http = new Rate(schedulerLimits.httpBpsFirst)
  readonly counters: Counters = newCounters()
  nowMs = 0
  isEdgeOpen = false
  /** Since when an edge is being called that does not listen yet; undefined: none is, or one listens. */
  edgeTriedMs: number | undefined
  mayTake = true
  mayGive = true
  /** Fetches under way. */
  fetches = 0
  readonly #banned = new Set<PeerId>()
  readonly #touched = new Set<Part>()
  #edgeQuestions: Part[] = []
  #actions: SchedulerAction[] = []

  constructor(random: () => number) {
    this.random = random
  }

  act(action: SchedulerAction): void {
    this.#actions.push(action)
  }

  /** What is to be done, in order. */
  takeActions(): readonly SchedulerAction[] {
    const actions = this.#actions
    this.#actions = []
    return actions
  }

  /** The part is looked at (again) before the event is over. */
  touch(part: Part): void {
    this.#touched.add(part)
  }

  touchActive(): void {
    for (const part of this.parts.active) this.#touched.add(part)
  }

  /** The next part to be looked at. */
  takeTouched(): Part | undefined {
    const [part] = this.#touched
    if (part !== undefined) this.#touched.delete(part)
    return part
  }

  /** Whether a moment is there; if not the part is looked at then. */
  isDue(part: Part, ms: number): boolean {
    if (this.nowMs >= ms) return true
    part.wakeMs = Math.min(part.wakeMs, ms)
    return false
  }

  /** What a fetch can expect besides those under way, bits a second. */
  httpShare(isUnderWay: boolean): number {
    return this.http.bps / (this.fetches + (isUnderWay ? 0 : 1))
  }

  startFetch(part: Part, { from, to }: ByteRange, why: Reason): void {
    const times = { sinceMs: this.nowMs, firstMs: undefined, lastMs: this.nowMs }
    part.fetch = { from, to, why, ...times, got: 0 }
    this.fetches += 1
    this.counters.fetches[why] += 1
    const isPartial = to < part.end
    this.touch(part)
    this.act({ type: 'fetch', key: part.key, from, ...(isPartial ? { to } : {}) })
  }

  /** The fetch is over, whoever ended it. */
  endFetch(part: Part): void {
    if (part.fetch === undefined) return
    part.fetch = undefined
    this.fetches -= 1
  }

  stopFetch(part: Part): void {
    if (part.fetch === undefined) return
    const idleMs = this.nowMs - part.fetch.lastMs
    this.http.add(0, Math.min(idleMs, schedulerLimits.finishMs) / this.fetches)
    this.endFetch(part)
    this.act({ type: 'stop-fetch', key: part.key })
  }

  ask(part: Part, peer: Peer, range: ByteRange): void {
    this.#addPull(part, peer, range, false)
    this.counters.asks += 1
    const to = range.to >= part.end ? undefined : range.to
    this.act({ type: 'ask-peer', peer: peer.id, key: part.key, from: range.from, to })
  }

  /** A peer pushes a part from its first byte on. */
  takePush(part: Part, peer: Peer): void {
    this.#addPull(part, peer, { from: 0, to: Number.POSITIVE_INFINITY }, true)
  }

  #addPull(part: Part, peer: Peer, range: ByteRange, isPush: boolean): void {
    const times = { sinceMs: this.nowMs, firstMs: undefined, lastMs: this.nowMs }
    const { from, to } = range
    part.pulls.set(peer.id, { peer, from, to, isPush, ...times, got: 0, isEnded: false })
    if (isPush) peer.pushes += 1
    else peer.asks += 1
    peer.parts.add(part)
    this.touch(part)
  }

  /** A pull is over, whoever ended it. */
  endPull(part: Part, pull: Pull): void {
    const { peer } = pull
    if (!part.pulls.delete(peer.id)) return
    if (pull.isPush) peer.pushes -= 1
    else if (peer.asks-- === schedulerLimits.asksPerPeerMax) this.touchActive()
    if (!part.holders.has(peer.id)) peer.parts.delete(part)
  }

  cancelPull(part: Part, pull: Pull): void {
    this.endPull(part, pull)
    if (!pull.isEnded) this.act({ type: 'cancel-peer', peer: pull.peer.id, key: part.key })
  }

  cancelPulls(part: Part): void {
    for (const pull of part.pulls.values()) this.cancelPull(part, pull)
  }

  /** The part is asked about at the edge, together with the others of this event. */
  askEdge(part: Part): void {
    part.edgeAskedMs = this.nowMs
    part.edgeAsks += 1
    this.#edgeQuestions.push(part)
  }

  /** The parts that the edge is to be asked about. */
  takeEdgeQuestions(): readonly Part[] {
    const parts = this.#edgeQuestions
    this.#edgeQuestions = []
    return parts
  }

  returnLease(part: Part): void {
    part.leaseUntilMs = undefined
    this.act({ type: 'return-lease', key: part.key })
  }

  /** A peer has a part. */
  addHolder(part: Part, peer: Peer, isWhole: boolean): void {
    const isKnown = part.holders.has(peer.id)
    if (!isKnown && part.holders.size >= schedulerLimits.holdersMax) {
      this.counters.limited += 1
      return
    }
    if (!peer.parts.has(part) && peer.parts.size >= schedulerLimits.partsPerPeerMax) {
      this.#forgetOldestOf(peer)
    }
    part.holders.set(peer.id, isWhole || part.holders.get(peer.id) === true)
    peer.parts.add(part)
  }

  #forgetOldestOf(peer: Peer): void {
    this.counters.limited += 1
    for (const part of peer.parts) {
      if (part.pulls.has(peer.id)) continue
      this.removeHolder(part, peer)
      this.touch(part)
      return
    }
  }

  removeHolder(part: Part, peer: Peer): void {
    part.holders.delete(peer.id)
    if (!part.pulls.has(peer.id)) peer.parts.delete(part)
  }

  addPeer(id: PeerId, rttMs: number): Peer | undefined {
    if (this.#banned.has(id)) return undefined
    this.removePeer(id)
    const peer = new Peer(id, rttMs)
    this.peers.set(id, peer)
    return peer
  }

  /** A peer is gone, with all that it had and did. */
  removePeer(id: PeerId): void {
    const peer = this.peers.get(id)
    if (peer === undefined) return
    this.peers.delete(id)
    for (const part of this.stripes.recent()) part.pushedTo.delete(id)
    for (const part of peer.parts) {
      part.holders.delete(id)
      part.spent.delete(id)
      if (part.pulls.delete(id)) part.isHttpDown = false
      if (part.answer?.peers.includes(id)) {
        const peers = part.answer.peers.filter((other) => other !== id)
        part.answer = { ...part.answer, peers }
      }
      this.touch(part)
    }
  }

  /** A peer did wrong; beyond `faultsMax` it is dropped. */
  blame(peer: Peer, fault: number, reason: 'bytes' | 'silent' | 'slow', part: Part): void {
    peer.faults += fault
    if (peer.faults < schedulerLimits.faultsMax) return
    this.dropPeer(peer, reason === 'silent' && peer.hasGiven ? 'slow' : reason, part)
  }

  dropPeer({ id }: Peer, reason: 'bytes' | 'silent' | 'slow', part: Part): void {
    this.counters.dropped[reason] += 1
    this.removePeer(id)
    if (reason !== 'slow') this.#ban(id)
    this.act({ type: 'drop-peer', peer: id, reason, key: part.key })
  }

  /** Whether a peer did harm, and is not taken back. */
  isBanned(id: PeerId): boolean {
    return this.#banned.has(id)
  }

  #ban(id: PeerId): void {
    this.#banned.add(id)
    if (this.#banned.size <= schedulerLimits.bannedMax) return
    const [oldest] = this.#banned
    if (oldest !== undefined) this.#banned.delete(oldest)
  }

  #forgotten(part: Part): void {
    this.counters.limited += 1
    for (const id of part.holders.keys()) this.peers.get(id)?.parts.delete(part)
  }
}
