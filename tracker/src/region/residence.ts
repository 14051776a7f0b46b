/**
 * A peer's stay in one region, from entering it to leaving it: its presence, its seats in groups, what it does as leader of
 * the region group, and what it answers to other members.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { type Coordination, type Keyspace, regionKeyspace } from '../coordination.ts'
import type { MemberAddress } from '../driver/directory.ts'
import type { MemberChange } from '../driver/driver.ts'
import type { StateMachine } from '../driver/state-machine.ts'
import { TrackerError } from '../errors.ts'
import type { ConfChangeSingle, RaftLogger } from '../raft/types.ts'
import { Absences } from './absences.ts'
import { configPrefix } from './member-record.ts'
import { PlacementController, type PlacementCounters } from './placement-controller.ts'
import type { PlacementSettings } from './placement-types.ts'
import { type PeerFacts, PresenceKeeper } from './presence-keeper.ts'
import { gatherReports, type RegionAsker } from './region-asker.ts'
import type { RegionFacts } from './region-facts.ts'
import { regionLimits, regionTimes } from './region-limits.ts'
import { type RegionMember, RegionMembers } from './region-members.ts'
import type { MemberReport, OfferedKey } from './region-messages.ts'
import { type GroupControl, isQuiet, ownReport, withAnswers } from './region-reports.ts'
import { regionGroup, shardCount } from './shard-of.ts'

/** The groups and keyspaces of one region at this peer, while they are open. */
export interface OpenRegion {
  readonly groups: GroupControl
  readonly coordination: Coordination
  /** A fresh state for a group. */
  stateMachine(group: number): StateMachine
  /** Ends all of it: calls, watches and leases of this peer end with ERR_STOPPED. */
  close(): Promise<void>
}

/** What a region's groups ask of the room while they are open. */
export interface RegionGuide {
  /** Whether a peer is a member under an id, as far as this peer knows now. */
  admits(peerId: string, memberId: number): boolean
  /** Peer ids of members that may be asked who leads, the likeliest first. */
  contacts(): readonly string[]
}

/** Opens and deletes what a peer holds of a region: log, snapshots, clients. One region at a time. */
export interface RegionEngine {
  /** Goes on with the groups that the log holds. @throws WalError, TrackerError */
  open(facts: RegionFacts, guide: RegionGuide): Promise<OpenRegion>
  /** Deletes log and snapshots. Nothing is open meanwhile. */
  erase(): Promise<void>
}

/** What a stay needs. */
export interface ResidenceComponents {
  readonly clock: Clock
  readonly engine: RegionEngine
  readonly asker: RegionAsker
  readonly logger: RaftLogger
  readonly peerFacts: () => PeerFacts
  readonly counters: PlacementCounters
  /** A number in [0, 1). */
  readonly random: () => number
  readonly onExpelled: () => void
  /** How the region stands changed, or may have. */
  readonly onStanding: () => void
}

/** A stay. */
export class Residence implements RegionGuide {
  readonly facts: RegionFacts
  readonly #components: ResidenceComponents
  readonly #peerId: string
  readonly #settings: PlacementSettings
  readonly #abort = new AbortController()
  /** The number of this member's present seat in each group. */
  readonly #seats = new Map<number, number>()
  #open: OpenRegion | undefined
  #members: RegionMembers | undefined
  #presence: PresenceKeeper | undefined
  #controller: PlacementController | undefined
  #endListening: (() => void) | undefined
  #lastSeat: number
  /** When groups were forgotten here. */
  readonly #forgottenAtMs = new Map<number, number>()
  #known: readonly RegionMember[] = []
  #knownAtMs = Number.NEGATIVE_INFINITY
  readonly #absences = new Absences()
  #refreshing: Promise<void> | undefined
  #cancelRefresh: CancelTimer | undefined
  #decidedAtMs = Number.NEGATIVE_INFINITY
  /** Peers that were let in lately and are not alive yet. */
  readonly #admittedAtMs = new Map<number, number>()

  constructor(
    components: ResidenceComponents,
    facts: RegionFacts,
    init: { readonly peerId: string; readonly settings: PlacementSettings },
  ) {
    this.#components = components
    this.#peerId = init.peerId
    this.#settings = init.settings
    this.facts = facts
    // Seats of an earlier start have other numbers.
    this.#lastSeat = Math.floor(components.random() * 2 ** 40)
  }

  /** Opens the groups that are here. @throws what the engine throws */
  async enter(): Promise<void> {
    this.#open = await this.#components.engine.open(this.facts, this)
    for (const group of this.#open.groups.groupIds) this.#takeSeat(group)
  }

  /** Founds all groups, of which this peer is the only voter. */
  async found(): Promise<void> {
    const { groups, stateMachine } = this.#opened
    const voters = [{ memberId: this.facts.memberId, peerId: this.#peerId }]
    for (let group = regionGroup; group <= shardCount; group++) {
      await groups.createGroup(group, { voters }, stateMachine(group))
      this.#takeSeat(group)
    }
  }

  /** Begins to take part. */
  start(): void {
    const { clock, logger, peerFacts } = this.#components
    const { memberId, incarnation } = this.facts
    const keyspace = this.#keyspace
    const members = new RegionMembers(keyspace)
    this.#members = members
    const onDecided = (): void => {
      const isNews = !this.hasQuorum
      this.#decidedAtMs = clock.monotonicMs()
      if (isNews) this.#scheduleRefresh(0)
    }
    const { onExpelled } = this.#components
    this.#presence = new PresenceKeeper(
      { clock, keyspace, members, peerFacts, logger, onDecided, onExpelled },
      { memberId, peerId: this.#peerId, incarnation },
    )
    this.#presence.start()
    this.#listen()
    this.#scheduleRefresh(0)
  }

  /** Ends the stay; what is on the disk stays. */
  async close(): Promise<void> {
    this.#abort.abort()
    this.#cancelRefresh?.()
    this.#endListening?.()
    this.#controller?.stop()
    await this.#presence?.stop()
    await this.#open?.close()
  }

  /** Hands all seats to others, as far as that is done in time, and ends the membership. */
  async leave(): Promise<void> {
    const { clock, logger } = this.#components
    const untilMs = clock.monotonicMs() + regionTimes.leaveMs
    this.#presence?.leave()
    const isNeeded = (): boolean =>
      this.#report().groups.some(({ members: { voters, votersOutgoing } }) =>
        [...voters, ...votersOutgoing].includes(this.facts.memberId),
      )
    while (this.memberCount > 1 && isNeeded() && clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => {
        clock.after(regionTimes.askAgainMs / 2, resolve)
      })
    }
    try {
      await this.#members?.strikeOff(this.facts.memberId, { timeoutMs: regionTimes.requestMs })
    } catch (error) {
      // The others strike it off when it was absent for long.
      logger.warn?.(`the region did not hear that this member leaves: ${error}`)
    }
  }

  /** Whether a write to the region group went through lately. */
  get hasQuorum(): boolean {
    const age = this.#components.clock.monotonicMs() - this.#decidedAtMs
    return age < regionTimes.presenceMs
  }

  /** Members that are alive, vote for the region group, or were let in just now; undefined before it could be found out. */
  get memberCount(): number {
    const atMs = this.#components.clock.monotonicMs()
    const ids = new Set([this.facts.memberId])
    for (const { memberId, presence } of this.#known) if (presence !== undefined) ids.add(memberId)
    for (const [memberId, admittedAtMs] of this.#admittedAtMs) {
      if (atMs - admittedAtMs > regionTimes.conflictMs) this.#admittedAtMs.delete(memberId)
      else ids.add(memberId)
    }
    const { groups } = this.#opened
    if (groups.groupIds.includes(regionGroup)) {
      const { voters, votersOutgoing, learners } = groups.status(regionGroup).confState
      for (const id of [...voters, ...votersOutgoing, ...learners]) ids.add(id)
    }
    return ids.size
  }

  /** Whether {@link Residence.memberCount} rests on what the region told. */
  get isCounted(): boolean {
    return Number.isFinite(this.#knownAtMs)
  }

  /** The members as last heard. */
  get members(): readonly RegionMember[] {
    return this.#known
  }

  get lapses(): number {
    return this.#presence?.lapses ?? 0
  }

  admits(peerId: string, memberId: number): boolean {
    return this.#known.some((member) => member.memberId === memberId && member.peerId === peerId)
  }

  /** Those who vote for the region group first, then who is alive, at most as many as a message holds. */
  contacts(): string[] {
    const peerIds = new Set<string>()
    const { groups } = this.#opened
    if (groups.groupIds.includes(regionGroup)) {
      const { members, confState } = groups.status(regionGroup)
      for (const { memberId, peerId } of members)
        if (confState.voters.includes(memberId)) peerIds.add(peerId)
    }
    for (const { peerId, presence } of this.#known) if (presence !== undefined) peerIds.add(peerId)
    // While nothing else is known, those from whom this peer came.
    if (!this.isCounted) for (const peerId of this.facts.contacts) peerIds.add(peerId)
    peerIds.delete(this.#peerId)
    return [...peerIds].slice(0, regionLimits.contactsMax)
  }

  /** Lets a peer in. @throws what the keyspace's calls throw */
  async admit(peerId: string): Promise<RegionFacts> {
    const members = this.#registered
    const memberId = await members.admit(peerId, { timeoutMs: regionTimes.requestMs })
    this.#admittedAtMs.set(memberId, this.#components.clock.monotonicMs())
    const contacts = [this.#peerId, ...this.contacts()]
      .filter((contact) => contact !== peerId)
      .slice(0, regionLimits.contactsMax)
    return { ...this.facts, memberId, incarnation: 0, contacts }
  }

  /** @throws TrackerError ERR_NOT_A_MEMBER when a peer is not known as a member, even after asking */
  async check(peerId: string): Promise<void> {
    const isKnown = (): boolean =>
      peerId === this.#peerId ||
      this.facts.contacts.includes(peerId) ||
      this.#known.some((member) => member.peerId === peerId)
    if (isKnown()) return
    const ageMs = this.#components.clock.monotonicMs() - this.#knownAtMs
    if (ageMs >= regionTimes.askAgainMs) await this.refresh()
    if (!isKnown())
      throw new TrackerError('ERR_NOT_A_MEMBER', 'the asking peer is not known to be a member')
  }

  /**
   * Holds a group for its leader, with nothing in it yet.
   * @returns the number of the seat
   * @throws TrackerError ERR_UNAVAILABLE when the group was forgotten here so lately that something of it may be on its way
   */
  invite(group: number, addresses: readonly MemberAddress[]): number {
    const { groups, stateMachine } = this.#opened
    const forgottenAtMs = this.#forgottenAtMs.get(group) ?? Number.NEGATIVE_INFINITY
    const ageMs = this.#components.clock.monotonicMs() - forgottenAtMs
    if (ageMs < this.#settings.returnMs)
      throw new TrackerError('ERR_UNAVAILABLE', 'the group was forgotten here just now')
    const contacts = addresses.map(({ peerId }) => peerId).filter((id) => id !== this.#peerId)
    groups.joinGroup(group, stateMachine(group), contacts)
    const seat = this.#takeSeat(group)
    if (group === regionGroup) this.#listen()
    return seat
  }

  /** Forgets a group, if this is still the seat that was meant. */
  async dismiss(group: number, seat: number): Promise<void> {
    if (this.#seats.get(group) !== seat) return
    const { groups } = this.#opened
    if (groups.groupIds.includes(group) && groups.status(group).isLeader) return
    this.#seats.delete(group)
    this.#forgottenAtMs.set(group, this.#components.clock.monotonicMs())
    await groups.removeGroup(group)
  }

  async change(
    group: number,
    changes: readonly ConfChangeSingle[],
    addresses: readonly MemberAddress[],
  ): Promise<void> {
    const { signal } = this.#abort
    await this.#opened.groups.changeMembers(group, toMemberChanges(changes, addresses), { signal })
  }

  transfer(group: number, to: number): void {
    this.#opened.groups.transferLeadership(group, to)
  }

  /** The groups that this member holds, with who answers it where it leads. */
  async report(): Promise<MemberReport> {
    const { samplesMax, sampleMs } = this.#settings
    let report = this.#report()
    for (let nth = 1; nth < samplesMax && !isQuiet(report); nth++) {
      await new Promise<void>((resolve) => {
        this.#components.clock.after(sampleMs, resolve)
      })
      if (this.#abort.signal.aborted) break
      report = withAnswers(report, this.#report())
    }
    return report
  }

  /** Hands over what this member leads, so that nobody waits for an election. */
  handOver(): void {
    for (const { group, isLeader, members, progress } of this.#report().groups) {
      if (!isLeader) continue
      const best = progress
        .filter(({ memberId }) => memberId !== this.facts.memberId)
        .filter(({ memberId, isActive }) => isActive && members.voters.includes(memberId))
        .toSorted((a, b) => b.match - a.match)[0]
      if (best !== undefined) this.transfer(group, best.memberId)
    }
  }

  /** What this peer tells of itself changed. */
  touch(): void {
    this.#presence?.touch()
  }

  /** What all members tell of their groups. */
  async reports(): Promise<MemberReport[]> {
    const { asker, logger } = this.#components
    const alive = this.#known.filter(({ memberId }) => memberId !== this.facts.memberId)
    const others = await gatherReports(asker, this.facts.regionId, alive, logger)
    return [await this.report(), ...others]
  }

  /** Asks the region who is a member. What fails leaves what was known. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** Configuration that another region may take over: what no lease holds. */
  async config(): Promise<OfferedKey[]> {
    const keys: OfferedKey[] = []
    let bytes = 0
    for (let after: string | undefined; ; ) {
      const found = await this.#keyspace.list(configPrefix, after === undefined ? {} : { after })
      for (const { key, value, leaseId } of found.items) {
        bytes += key.length * 3 + value.length
        if (keys.length >= regionLimits.offeredMax || bytes > regionLimits.offeredBytesMax)
          throw new TrackerError('ERR_OVERLOADED', 'more configuration than can be taken along')
        if (leaseId === undefined) keys.push({ key, value })
      }
      after = found.items.at(-1)?.key
      if (!found.more || after === undefined) return keys
    }
  }

  /** Takes over configuration where there is none. */
  async take(keys: readonly OfferedKey[]): Promise<void> {
    for (const { key, value } of keys) {
      if (!key.startsWith(configPrefix))
        throw new TrackerError('ERR_INVALID_INPUT', 'only configuration is taken over')
      const when = [{ key, exists: false }]
      const then = [{ type: 'put', key, value } as const]
      await this.#keyspace.transact({ when, then })
    }
  }

  get coordination(): Coordination {
    return this.#opened.coordination
  }

  get #opened(): OpenRegion {
    if (this.#open === undefined) throw new TrackerError('ERR_STOPPED', 'the region is not open')
    return this.#open
  }

  get #registered(): RegionMembers {
    if (this.#members === undefined) throw new TrackerError('ERR_STOPPED', 'the region is not open')
    return this.#members
  }

  get #keyspace(): Keyspace {
    return this.coordination.keyspace(regionKeyspace)
  }

  #report(): MemberReport {
    const seatOf = (group: number): number => this.#seats.get(group) ?? 0
    return ownReport(this.#opened.groups, this.facts.memberId, seatOf)
  }

  #takeSeat(group: number): number {
    this.#lastSeat += 1
    this.#seats.set(group, this.#lastSeat)
    return this.#lastSeat
  }

  /** Placement is run by whoever leads the region group. */
  #listen(): void {
    this.#endListening?.()
    const { groups } = this.#opened
    if (!groups.groupIds.includes(regionGroup)) return
    this.#endListening = groups.onLeadership(regionGroup, (term) => {
      this.#controller?.stop()
      this.#controller = undefined
      if (term === undefined || this.#abort.signal.aborted) return
      const { clock, asker, logger, counters } = this.#components
      const { regionId, memberId } = this.facts
      this.#controller = new PlacementController(
        { clock, asker, logger, members: this.#registered, absences: this.#absences },
        { regionId, memberId, settings: this.#settings },
        counters,
      )
      this.#controller.start()
    })
  }

  async #refresh(): Promise<void> {
    const { clock, logger } = this.#components
    const signal = this.#abort.signal
    try {
      const found = await this.#registered.list({ signal, timeoutMs: regionTimes.requestMs })
      this.#known = found
      this.#knownAtMs = clock.monotonicMs()
      this.#absences.note(found, this.#knownAtMs)
      for (const { memberId, presence } of found)
        if (presence !== undefined) this.#admittedAtMs.delete(memberId)
    } catch (error) {
      if (signal.aborted) return
      logger.debug?.(`who is a member is not known now: ${error}`)
    }
    this.#components.onStanding()
    // Everybody asks, so in a large region each does so less often.
    const everyMs = Math.max(regionTimes.refreshMs, this.#known.length * regionTimes.refreshMsEach)
    this.#scheduleRefresh(everyMs)
  }

  #scheduleRefresh(delayMs: number): void {
    this.#cancelRefresh?.()
    if (this.#abort.signal.aborted) return
    this.#cancelRefresh = this.#components.clock.after(delayMs, () => {
      void this.refresh()
    })
  }
}

function toMemberChanges(
  changes: readonly ConfChangeSingle[],
  addresses: readonly MemberAddress[],
): MemberChange[] {
  return changes.map(({ type, nodeId: memberId }) => {
    if (type === 'ConfChangeRemoveNode') return { type: 'remove', memberId }
    const peerId = addresses.find((address) => address.memberId === memberId)?.peerId
    if (peerId === undefined || type === 'ConfChangeUpdateNode')
      throw new TrackerError('ERR_INVALID_INPUT', `nothing is known of member ${memberId}`)
    return { type: type === 'ConfChangeAddNode' ? 'add-voter' : 'add-learner', memberId, peerId }
  })
}
