/**
 * Founding, joining and giving way, as a pure state machine: events come in with the time, actions go out. Whoever runs
 * it does the actions and brings back what became of them; it has no clock, no line and no disk of its own.
 *
 * Two regions of one name that meet: the one that ranks lower ({@link givesWay}) and is one member only moves over by
 * itself. Larger ones do not: both may have promised the same lease to two holders, and only somebody who knows what
 * hangs on them can say whose work is to be thrown away.
 */
import assert from 'node:assert/strict'
import { type HeardRegion, KnownPeers } from './known-peers.ts'
import type { RegionFacts } from './region-facts.ts'
import { regionLimits, regionTimes } from './region-limits.ts'
import type { Hello, JoinRefusal } from './region-messages.ts'
import { givesWay } from './region-rank.ts'

/** What happened. */
export type AgentEvent =
  /** The peer starts. `expectsPeers`: it was given addresses, or remembers peers, so somebody may have a region already. */
  | {
      readonly type: 'start'
      readonly facts: RegionFacts | undefined
      readonly expectsPeers: boolean
    }
  /** Time passed; to come about once a second. */
  | { readonly type: 'tick' }
  /** A connection was made or broke. */
  | { readonly type: 'link'; readonly peerId: string; readonly isUp: boolean }
  /** A peer said who it is with, asked or by itself. */
  | { readonly type: 'hello'; readonly peerId: string; readonly hello: Hello }
  /** The answer to `ask`. */
  | { readonly type: 'admitted'; readonly facts: RegionFacts }
  | { readonly type: 'refused'; readonly reason: JoinRefusal | 'unreachable' }
  /** `found`, `enter`, `move` is done: this peer takes part in the region. */
  | { readonly type: 'entered'; readonly facts: RegionFacts }
  /** It is not, and everything is as before. */
  | { readonly type: 'failed' }
  /** How the region stands, as far as this peer knows. */
  | { readonly type: 'standing'; readonly memberCount: number; readonly hasQuorum: boolean }
  /** This peer lets another one in: it stays where it is until that is done. */
  | { readonly type: 'admitting'; readonly isDone: boolean }
  /** The region does not know this member, or its disk is older than what it promised. */
  | { readonly type: 'expelled' }
  /** What `drop` asked for is done. */
  | { readonly type: 'dropped' }
  /** An operator gives the region up and founds anew. */
  | { readonly type: 'forget' }
  /** An operator moves this member to another region of the name. */
  | { readonly type: 'merge'; readonly regionId: string }
  /** This member has left the region for good, and joins no other until the next start. */
  | { readonly type: 'left' }

/** What is to be done. */
export type AgentAction =
  /** Ask a peer for its hello; the answer is a `hello`, silence is nothing. */
  | { readonly type: 'greet'; readonly peerId: string }
  /** Found a region: `entered` or `failed` follows. */
  | { readonly type: 'found' }
  /** Go on in the region of the facts: `entered` or `failed` follows. */
  | { readonly type: 'enter'; readonly facts: RegionFacts }
  /** Ask a peer to be let in: `admitted` or `refused` follows. */
  | { readonly type: 'ask'; readonly peerId: string; readonly regionId: string }
  /** Go over to a region that let this peer in; `from` is the one to be left. `entered` or `failed` follows. */
  | {
      readonly type: 'move'
      readonly from: RegionFacts | undefined
      readonly to: RegionFacts
      readonly via: string
    }
  /** Forget the groups of the region: `dropped` follows. */
  | { readonly type: 'drop'; readonly facts: RegionFacts }

/** Where the agent is. `looking`: in no region yet; `entering`: an action is under way that ends in a region. */
export type AgentPhase = 'idle' | 'looking' | 'entering' | 'member' | 'dropping'

/** Another region of this one's name, which will not go away by itself. */
export interface RegionConflict {
  readonly regionId: string
  readonly memberCount: number
  readonly foundedAtMs: number
  /** Peers that speak for it. */
  readonly speakers: readonly string[]
  /** Whether ours would give way, were it asked to. */
  readonly isOursToGiveWay: boolean
  /** That region does not let this peer in. */
  readonly isRefused: boolean
}

/** What the program may want to tell. */
export interface AgentStatus {
  readonly phase: AgentPhase
  readonly facts: RegionFacts | undefined
  readonly memberCount: number
  readonly hasQuorum: boolean
  /** Without a quorum for longer than {@link regionTimes}.degradedMs. */
  readonly isDegraded: boolean
  /** A region of the name that is there and can let nobody in for want of a quorum: this peer waits for it. */
  readonly waitsFor: string | undefined
  readonly conflicts: readonly RegionConflict[]
}

/** The state machine. */
export class RegionAgent {
  readonly #peerId: string
  readonly #name: string
  readonly #peers = new KnownPeers()
  /** Regions that do not let this peer in, until when. */
  readonly #refusals = new Map<string, number>()
  #phase: AgentPhase = 'idle'
  #facts: RegionFacts | undefined
  #sinceMs = 0
  #nowMs = 0
  #asked: { readonly peerId: string; readonly regionId: string } | undefined
  #askAfterMs = 0
  /** Since when a region is known to which this one gives way. */
  #betterSinceMs: number | undefined
  #memberCount = 1
  /** Whether that figure is of the present region: before that nobody is taken to be alone. */
  #isCounted = false
  #hasQuorum = false
  #lostQuorumAtMs = 0
  #admitting = 0
  #actions: AgentAction[] = []

  /** @param name of the region to be in */
  constructor(peerId: string, name: string) {
    this.#peerId = peerId
    this.#name = name
  }

  /** Takes an event. @param atMs monotonic milliseconds, never less than before */
  step(event: AgentEvent, atMs: number): AgentAction[] {
    assert(atMs >= this.#nowMs, 'time does not go back')
    this.#nowMs = atMs
    this.#actions = []
    this.#take(event)
    if (this.#phase === 'looking') this.#look()
    else if (this.#phase === 'member') this.#mind()
    return this.#actions
  }

  /** Whether others may be let in now: not while this peer is about to go elsewhere. */
  get mayAdmit(): boolean {
    return this.#phase === 'member' && this.#asked === undefined
  }

  /** What this peer says when it is asked who it is with. */
  get hello(): Hello {
    const facts = this.#phase === 'member' ? this.#facts : undefined
    if (facts === undefined) return { name: this.#name, region: undefined, contacts: [] }
    const { regionId, foundedAtMs, contacts } = facts
    return {
      name: this.#name,
      region: { regionId, foundedAtMs, memberCount: this.#memberCount, hasQuorum: this.#hasQuorum },
      contacts,
    }
  }

  get status(): AgentStatus {
    const isMember = this.#phase === 'member'
    const waitsFor = this.#phase === 'looking' ? this.#stuck()?.regionId : undefined
    return {
      phase: this.#phase,
      facts: this.#facts,
      memberCount: this.#memberCount,
      hasQuorum: isMember && this.#hasQuorum,
      isDegraded:
        isMember &&
        !this.#hasQuorum &&
        this.#nowMs - this.#lostQuorumAtMs >= regionTimes.degradedMs,
      waitsFor,
      conflicts: isMember ? this.#conflicts() : [],
    }
  }

  /** Peers of which nothing is remembered because so many are known. */
  get peersDropped(): number {
    return this.#peers.dropped
  }

  #take(event: AgentEvent): void {
    switch (event.type) {
      case 'start':
        this.#start(event.facts, event.expectsPeers)
        break
      case 'tick':
        this.#greetDue()
        break
      case 'link':
        this.#link(event.peerId, event.isUp)
        break
      case 'hello':
        this.#hear(event.peerId, event.hello)
        break
      case 'admitted':
        this.#admitted(event.facts)
        break
      case 'refused':
        this.#refused(event.reason)
        break
      case 'entered':
        this.#entered(event.facts)
        break
      case 'failed':
        this.#askAfterMs = this.#nowMs + regionTimes.askAgainMs
        this.#turn(this.#facts === undefined ? 'looking' : 'member')
        break
      case 'standing':
        this.#stand(event.memberCount, event.hasQuorum)
        break
      case 'admitting':
        this.#admitting += event.isDone ? -1 : 1
        break
      case 'expelled':
        this.#expelled()
        break
      case 'dropped':
        this.#facts = undefined
        this.#turn('looking')
        break
      case 'forget':
        this.#facts = undefined
        this.#begin({ type: 'found' })
        break
      case 'merge':
        this.#merge(event.regionId)
        break
      case 'left':
        this.#facts = undefined
        this.#turn('idle')
        break
    }
  }

  #start(facts: RegionFacts | undefined, expectsPeers: boolean): void {
    for (const peerId of facts?.contacts ?? []) this.#peers.meet(peerId)
    if (facts !== undefined) {
      this.#facts = facts
      this.#begin({ type: 'enter', facts })
    } else if (expectsPeers) this.#turn('looking')
    else this.#begin({ type: 'found' })
  }

  #link(peerId: string, isUp: boolean): void {
    const peer = peerId === this.#peerId ? undefined : this.#peers.meet(peerId)
    if (peer === undefined) return
    peer.isUp = isUp
    // Who comes back may have changed its mind.
    if (isUp && (this.#phase === 'looking' || this.#phase === 'member')) this.#greet(peerId)
  }

  #hear(peerId: string, hello: Hello): void {
    const peer = peerId === this.#peerId ? undefined : this.#peers.meet(peerId)
    if (peer === undefined) return
    peer.hello = hello
    peer.heardAtMs = this.#nowMs
    if (hello.name !== this.#name || this.#phase !== 'looking') return
    for (const contact of hello.contacts) if (contact !== this.#peerId) this.#peers.meet(contact)
  }

  #admitted(facts: RegionFacts): void {
    const asked = this.#asked
    // An admission for which nobody waits any more: the id that was given is lost, and there are enough of them.
    if (asked?.regionId !== facts.regionId) return
    const peer = this.#peers.get(asked.peerId)
    if (peer !== undefined) peer.failures = 0
    this.#asked = undefined
    this.#begin({ type: 'move', from: this.#facts, to: facts, via: asked.peerId })
  }

  #refused(reason: JoinRefusal | 'unreachable'): void {
    const asked = this.#asked
    this.#asked = undefined
    this.#askAfterMs = this.#nowMs + regionTimes.askAgainMs
    if (asked === undefined) return
    const peer = this.#peers.get(asked.peerId)
    if (peer === undefined) return
    peer.failures += 1
    if (reason === 'not-allowed') this.#refuse(asked.regionId)
    const { hello } = peer
    if (reason === 'no-quorum' && hello?.region !== undefined)
      peer.hello = { ...hello, region: { ...hello.region, hasQuorum: false } }
    // What it said before does not hold any more.
    else if (reason !== 'not-allowed') peer.hello = undefined
    this.#greet(asked.peerId)
  }

  #entered(facts: RegionFacts): void {
    this.#facts = facts
    this.#memberCount = facts.contacts.length + 1
    this.#isCounted = false
    this.#hasQuorum = false
    this.#lostQuorumAtMs = this.#nowMs
    this.#turn('member')
    // Those who look, and founders of others, hear of it at once.
    for (const peerId of this.#peers.due(this.#nowMs, 0, facts.regionId)) this.#greet(peerId)
  }

  #stand(memberCount: number, hasQuorum: boolean): void {
    this.#memberCount = Math.max(1, memberCount)
    this.#isCounted = true
    if (this.#hasQuorum && !hasQuorum) this.#lostQuorumAtMs = this.#nowMs
    this.#hasQuorum = hasQuorum
  }

  #expelled(): void {
    if (this.#facts === undefined || this.#phase === 'dropping') return
    for (const peerId of this.#facts.contacts) this.#peers.meet(peerId)
    this.#asked = undefined
    this.#actions.push({ type: 'drop', facts: this.#facts })
    this.#phase = 'dropping'
  }

  #merge(regionId: string): void {
    const region = this.#heard().find((heard) => heard.regionId === regionId)
    if (region === undefined || this.#phase !== 'member' || this.#asked !== undefined) return
    this.#refusals.delete(regionId)
    this.#ask(region)
  }

  #turn(phase: AgentPhase): void {
    this.#phase = phase
    this.#sinceMs = this.#nowMs
    if (phase === 'looking') this.#greetDue()
  }

  #begin(action: AgentAction): void {
    this.#phase = 'entering'
    this.#asked = undefined
    this.#actions.push(action)
  }

  /** In no region yet: joins the best one that is there, founds one when there is none. */
  #look(): void {
    if (this.#asked !== undefined) return
    const open = this.#heard().filter((region) => region.hasQuorum && !this.#isRefused(region))
    const best = bestOf(open)
    if (best !== undefined) {
      if (this.#nowMs >= this.#askAfterMs) this.#ask(best)
      return
    }
    if (this.#stuck() !== undefined) return
    const lookedMs = this.#nowMs - this.#sinceMs
    const lookers = this.#peers.lookers(this.#name)
    // Where all look, the first of them founds; the others hear of it.
    const isFirst = lookers.length > 0 && lookers.every((peerId) => this.#peerId < peerId)
    if (lookedMs >= regionTimes.lookMs || (isFirst && lookedMs >= regionTimes.settleMs))
      this.#begin({ type: 'found' })
  }

  /** In a region: moves over to another one if this one is to give way and has nobody else in it. */
  #mind(): void {
    const best = this.#isCounted && this.#memberCount === 1 ? this.#betterRegion() : undefined
    if (best === undefined) {
      this.#betterSinceMs = undefined
      return
    }
    this.#betterSinceMs ??= this.#nowMs
    // Of several founders that meet, all are to move to the same one, so all are heard before.
    if (this.#nowMs - this.#betterSinceMs < regionTimes.settleMs) return
    if (this.#asked === undefined && this.#admitting === 0 && this.#nowMs >= this.#askAfterMs)
      this.#ask(best)
  }

  #betterRegion(): HeardRegion | undefined {
    return bestOf(
      this.#heard().filter(
        (region) => this.#givesWayTo(region) && region.hasQuorum && !this.#isRefused(region),
      ),
    )
  }

  #conflicts(): RegionConflict[] {
    const found: RegionConflict[] = []
    for (const region of this.#heard()) {
      const isOursToGiveWay = this.#givesWayTo(region)
      const isRefused = this.#isRefused(region)
      const isSettledByItself = isOursToGiveWay
        ? this.#memberCount === 1 && region.hasQuorum && !isRefused
        : region.memberCount === 1
      if (isSettledByItself) continue
      const { regionId, memberCount, foundedAtMs, speakers } = region
      found.push({ regionId, memberCount, foundedAtMs, speakers, isOursToGiveWay, isRefused })
    }
    return found.slice(0, regionLimits.conflictsMax)
  }

  /** Other regions of the name. */
  #heard(): HeardRegion[] {
    return this.#peers
      .regions(this.#name, this.#nowMs)
      .filter(({ regionId }) => regionId !== this.#facts?.regionId)
  }

  /** A region that is there and cannot let anybody in: to found another beside it would split the name for good. */
  #stuck(): HeardRegion | undefined {
    return this.#heard().find((region) => !region.hasQuorum && !this.#isRefused(region))
  }

  #givesWayTo(other: HeardRegion): boolean {
    assert(this.#facts !== undefined, 'a member has facts')
    const { regionId, foundedAtMs } = this.#facts
    return givesWay({ regionId, foundedAtMs, memberCount: this.#memberCount }, other)
  }

  #isRefused({ regionId }: HeardRegion): boolean {
    return (this.#refusals.get(regionId) ?? 0) > this.#nowMs
  }

  #refuse(regionId: string): void {
    for (const [other, untilMs] of this.#refusals)
      if (untilMs <= this.#nowMs || this.#refusals.size >= regionLimits.conflictsMax)
        this.#refusals.delete(other)
    this.#refusals.set(regionId, this.#nowMs + regionTimes.refusedMs)
  }

  #ask({ regionId, speakers }: HeardRegion): void {
    const peerId = speakers[0]
    assert(peerId !== undefined, 'somebody spoke for the region')
    this.#asked = { peerId, regionId }
    this.#actions.push({ type: 'ask', peerId, regionId })
  }

  #greetDue(): void {
    if (this.#phase !== 'looking' && this.#phase !== 'member') return
    const everyMs = this.#phase === 'looking' ? regionTimes.askAgainMs : regionTimes.greetMs
    for (const peerId of this.#peers.due(this.#nowMs, everyMs, this.#facts?.regionId))
      this.#greet(peerId)
  }

  #greet(peerId: string): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined || this.#actions.some((a) => a.type === 'greet' && a.peerId === peerId))
      return
    peer.greetedAtMs = this.#nowMs
    this.#actions.push({ type: 'greet', peerId })
  }
}

/** The one to which all others give way. */
function bestOf(regions: readonly HeardRegion[]): HeardRegion | undefined {
  return regions.reduce<HeardRegion | undefined>(
    (best, region) => (best === undefined || givesWay(best, region) ? region : best),
    undefined,
  )
}
