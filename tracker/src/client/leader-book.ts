/**
 * Who leads which group, as one client knows it: from members that tell it by themselves, and from refusals. Members are followed by a
 * stream each, so that a new leader is known as soon as it knows it itself.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { TrackerError } from '../errors.ts'
import { type CallLane, type CallStream, callServices } from './call-lane.ts'
import { regionClientLimits } from './call-limits.ts'
import { decodeLeadership, encodeRequest } from './coordination-codec.ts'
import type { Leadership } from './group-access.ts'

/** Which peers may answer. */
export interface RegionMembers {
  /** Members of the region, those that have a part in a group first, this peer among them when it is one. */
  candidates(group: number): readonly string[]
  /** The region's number, as `regionNumber` makes it of its id; 0 when there is only one. */
  readonly region?: number
}

/** What the book works with. */
export interface LeaderBookComponents {
  readonly lane: CallLane
  readonly clock: Clock
  readonly members: RegionMembers
  /** Somebody leads a group in a term of which nothing was known: what is only told to leaders is to be told again. */
  readonly onLeader?: ((group: number) => void) | undefined
}

interface Page {
  term: number
  leader: string | undefined
  /** Where to look next when nobody is known. */
  next: number
  readonly waiting: Set<() => void>
  readonly listeners: Set<() => void>
}

/** One client's knowledge of leaders. */
export class LeaderBook {
  readonly counters = { leaderChanges: 0 }
  readonly #components: LeaderBookComponents
  readonly #pages = new Map<number, Page>()
  readonly #informants = new Map<string, CallStream>()
  #cancelRetry: CancelTimer | undefined
  #isStopped = false

  constructor(components: LeaderBookComponents) {
    this.#components = components
  }

  /** The number of the region, for its requests. */
  get region(): number {
    return this.#components.members.region ?? 0
  }

  /** Whom to ask about a group; undefined when there is no member at all. */
  target(group: number): string | undefined {
    const page = this.#page(group)
    if (page.leader !== undefined) return page.leader
    const candidates = this.#components.members.candidates(group)
    return candidates[page.next % candidates.length]
  }

  /** Whether somebody is taken for the leader. A member that is asked by chance may hang, and keep what it was asked. */
  knows(group: number): boolean {
    if (this.#informants.size === 0) this.#follow(group)
    return this.#page(group).leader !== undefined
  }

  /**
   * A member refused because it does not lead.
   * @returns true when somebody else is known now who may be asked at once
   */
  refused(group: number, by: string, leader: string | undefined): boolean {
    const page = this.#page(group)
    // Another one is known since it was asked.
    if (page.leader !== undefined && page.leader !== by) return true
    page.leader = leader === by ? undefined : leader
    if (page.leader === undefined) page.next += 1
    return page.leader !== undefined
  }

  /** A member could not be asked, or did not answer. */
  failed(group: number, peerId: string): void {
    const page = this.#page(group)
    if (page.leader === peerId) page.leader = undefined
    page.next += 1
    this.#follow(group)
  }

  /** Passes when another leader is known, or after a time. */
  async changed(group: number, ms: number): Promise<void> {
    const { waiting } = this.#page(group)
    await new Promise<void>((resolve) => {
      const done = () => {
        waiting.delete(done)
        cancel()
        resolve()
      }
      const cancel = this.#components.clock.after(ms, done)
      waiting.add(done)
    })
  }

  /** Calls back when another leader of a group is known. */
  onChange(group: number, listener: () => void): () => void {
    const { listeners } = this.#page(group)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  /** Follows nobody any more. */
  stop(): void {
    this.#isStopped = true
    this.#cancelRetry?.()
    for (const stream of this.#informants.values()) stream.close()
    this.#informants.clear()
    for (const { waiting } of this.#pages.values()) for (const done of [...waiting]) done()
  }

  #page(group: number): Page {
    let page = this.#pages.get(group)
    if (page === undefined) {
      page = { term: 0, leader: undefined, next: 0, waiting: new Set(), listeners: new Set() }
      this.#pages.set(group, page)
    }
    return page
  }

  /** Has members of a group tell this client who leads. */
  #follow(group: number): void {
    if (this.#isStopped) return
    for (const peerId of this.#components.members.candidates(group)) {
      if (this.#informants.size >= regionClientLimits.informantsMax) return
      if (!this.#informants.has(peerId)) this.#ask(peerId)
    }
  }

  #ask(peerId: string): void {
    const { lane } = this.#components
    let hasEnded = false
    const request = encodeRequest({ type: 'follow' }, this.region)
    const stream = lane.open(peerId, callServices.coordination, request, {
      onItem: (bytes) => {
        stream.credit(bytes.length)
        const { group, ...leadership } = decodeLeadership(bytes)
        // It lives, and knows that it is not asked any more: it will answer what it was asked before.
        if (leadership.peerId !== peerId) lane.spare(group, peerId)
        this.#learn(group, leadership)
      },
      onEnd: (error) => {
        hasEnded = true
        this.#lost(peerId, error)
      },
    })
    if (!hasEnded) this.#informants.set(peerId, stream)
  }

  /** Whoever does not tell any more is asked again in a while. */
  #lost(peerId: string, error: TrackerError | undefined): void {
    this.#informants.delete(peerId)
    if (error === undefined || this.#isStopped || this.#cancelRetry !== undefined) return
    this.#cancelRetry = this.#components.clock.after(regionClientLimits.informantRetryMs, () => {
      this.#cancelRetry = undefined
      for (const group of this.#pages.keys()) this.#follow(group)
    })
  }

  #learn(group: number, { term, peerId }: Leadership): void {
    const page = this.#page(group)
    if (term < page.term) return
    if (peerId === undefined && term === page.term) return
    const isNewTerm = term > page.term
    page.term = term
    if (peerId !== undefined && (isNewTerm || peerId !== page.leader)) {
      this.#components.onLeader?.(group)
    }
    if (peerId === page.leader) return
    page.leader = peerId
    this.counters.leaderChanges += 1
    if (peerId === undefined) return
    // Whoever was asked instead says that it does not lead, or what came of it, unless it hangs: nobody waits for that.
    this.#components.lane.hasten(group, peerId)
    for (const done of [...page.waiting]) done()
    for (const listener of [...page.listeners]) listener()
  }
}
