/**
 * Runs placement while this member leads the region group: gathers what members tell of their groups, asks the groups'
 * leaders for the steps that placement wants, and cleans up after members that went. Every request may be lost or be
 * done twice; the next round looks at what came of it.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { MemberAddress } from '../driver/directory.ts'
import type { RaftLogger } from '../raft/types.ts'
import type { Absences } from './absences.ts'
import { everyone } from './group-members.ts'
import { placement } from './placement.ts'
import { PlacementMemory } from './placement-memory.ts'
import type { PlacementSettings, PlacementStep } from './placement-types.ts'
import { gatherReports, type RegionAsker } from './region-asker.ts'
import { regionLimits, regionTimes } from './region-limits.ts'
import type { RegionMember, RegionMembers } from './region-members.ts'
import type { MemberReport } from './region-messages.ts'
import { forgottenLearners, type LeaderReport, leaderReports, strangers } from './region-reports.ts'

/** What the controller needs. */
export interface ControllerComponents {
  readonly clock: Clock
  readonly members: RegionMembers
  readonly absences: Absences
  /** Asks other members, and this one. */
  readonly asker: RegionAsker
  readonly logger: RaftLogger
}

/** Where the controller runs. */
export interface ControllerInit {
  readonly regionId: string
  readonly memberId: number
  readonly settings: PlacementSettings
}

/** What the controller did so far. */
export interface PlacementCounters {
  rounds: number
  /** Rounds that could not be finished, for want of a quorum as a rule. */
  roundsFailed: number
  changes: number
  transfers: number
  /** Steps that did not come about: the leader was another one, or did not answer. */
  stepsFailed: number
  dismissals: number
  strikeOffs: number
}

/** One term of leading the region group. */
export class PlacementController {
  readonly #components: ControllerComponents
  readonly #init: ControllerInit
  readonly #counters: PlacementCounters
  readonly #abort = new AbortController()
  readonly #memory: PlacementMemory
  #cancel: CancelTimer | undefined
  #isRunning = false
  #isPoked = false
  #lastRoundMs = Number.NEGATIVE_INFINITY
  /** Members without a seat are asked in turn; the last one that was. */
  #askedUpTo = 0
  /** By group, who had a part in it when it was last told. */
  readonly #seats = new Map<number, readonly number[]>()

  /** @param counters go on over the terms of one peer */
  constructor(components: ControllerComponents, init: ControllerInit, counters: PlacementCounters) {
    this.#components = components
    this.#init = init
    this.#counters = counters
    const { clock, absences } = components
    this.#memory = new PlacementMemory(init.settings, absences, clock.monotonicMs())
  }

  start(): void {
    this.#schedule(0)
    void this.#watch()
  }

  stop(): void {
    this.#abort.abort()
    this.#cancel?.()
  }

  /** Something changed: the next round is due at once. */
  poke(): void {
    if (this.#isRunning) this.#isPoked = true
    else this.#schedule(this.#init.settings.roundMsMin)
  }

  #schedule(delayMs: number): void {
    if (this.#abort.signal.aborted) return
    const { clock } = this.#components
    const sinceMs = clock.monotonicMs() - this.#lastRoundMs
    const leastMs = Math.max(0, this.#init.settings.roundMsMin - sinceMs)
    this.#cancel?.()
    this.#cancel = clock.after(Math.max(delayMs, leastMs), () => {
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#abort.signal.aborted) return
    this.#isRunning = true
    this.#isPoked = false
    this.#lastRoundMs = this.#components.clock.monotonicMs()
    this.#counters.rounds += 1
    try {
      await this.#round()
    } catch (error) {
      this.#counters.roundsFailed += 1
      this.#components.logger.debug?.(`placement waits for the next round: ${error}`)
    }
    this.#isRunning = false
    const { roundMs, roundMsMin } = this.#init.settings
    this.#schedule(this.#isPoked ? roundMsMin : roundMs)
  }

  /** A member that comes, goes or leaves is looked at before the next round is due. */
  async #watch(): Promise<void> {
    const { members, clock, logger } = this.#components
    const { signal } = this.#abort
    while (!signal.aborted) {
      try {
        for await (const _ of members.changes(signal)) this.poke()
      } catch (error) {
        logger.debug?.(`members are not watched now: ${error}`)
      }
      if (signal.aborted) return
      await new Promise<void>((resolve) => {
        const cancel = clock.after(regionTimes.askAgainMs, resolve)
        signal.addEventListener('abort', () => {
          cancel()
          resolve()
        })
      })
    }
  }

  async #round(): Promise<void> {
    const { members: regionMembers, clock } = this.#components
    const options = { signal: this.#abort.signal, timeoutMs: regionTimes.requestMs }
    const found = await regionMembers.list(options)
    const reports = await this.#gather(found)
    if (this.#abort.signal.aborted) return
    const atMs = clock.monotonicMs()
    const memory = this.#memory
    const leaders = leaderReports(reports)
    this.#remember(reports, leaders)
    const members = memory.members(found, atMs, clock.now())
    const groups = [...leaders.values()].map((report) => memory.group(report, atMs))
    const { steps } = placement(groups, members, this.#init.settings)
    for (const step of steps) this.#begin(step, leaders, found)
    this.#cleanUp(reports, leaders, found)
    await this.#strikeOff(found, atMs)
  }

  /** Asks everybody who has a part in a group, and some of the others in turn. */
  #gather(found: readonly RegionMember[]): Promise<MemberReport[]> {
    const { asker, logger } = this.#components
    const seated = new Set([...this.#seats.values()].flat())
    const idle = found.filter(({ memberId }) => !seated.has(memberId))
    const later = idle.filter(({ memberId }) => memberId > this.#askedUpTo)
    const asked = [...later, ...idle.filter((member) => !later.includes(member))].slice(
      0,
      this.#init.settings.askedMax,
    )
    this.#askedUpTo = asked.at(-1)?.memberId ?? 0
    const wanted = [...found.filter(({ memberId }) => seated.has(memberId)), ...asked]
    return gatherReports(asker, this.#init.regionId, wanted, logger)
  }

  /** Who has a part in which group: as its leader told, or somebody else as long as no leader has. */
  #remember(reports: readonly MemberReport[], leaders: ReadonlyMap<number, LeaderReport>): void {
    for (const { groups } of reports)
      for (const { group, members } of groups)
        if (!leaders.has(group) && !this.#seats.has(group))
          this.#seats.set(group, everyone(members))
    for (const [group, { members }] of leaders) this.#seats.set(group, everyone(members))
  }

  /** Begins a step; its group is left alone until it is settled. */
  #begin(
    step: PlacementStep,
    leaders: ReadonlyMap<number, LeaderReport>,
    found: readonly RegionMember[],
  ): void {
    const memory = this.#memory
    const leader = leaders.get(step.group)
    if (leader === undefined || memory.isBusy(step.group)) return
    memory.setBusy(step.group, true)
    const done =
      step.type === 'change' ? this.#change(step, leader, found) : this.#transfer(step, found)
    void done
      .catch((error: unknown) => {
        this.#counters.stepsFailed += 1
        this.#components.logger.debug?.(`a step of group ${step.group} failed: ${error}`)
      })
      .finally(() => {
        memory.setBusy(step.group, false)
        this.poke()
      })
  }

  async #change(
    step: PlacementStep & { readonly type: 'change' },
    leader: LeaderReport,
    found: readonly RegionMember[],
  ): Promise<void> {
    const { asker, clock, logger } = this.#components
    const { regionId } = this.#init
    const wanted = [...everyone(leader.members), ...step.changes.map(({ nodeId }) => nodeId)]
    const addresses = addressesOf(wanted, found)
    // Who is not there to hold the group is not made a part of it.
    const invited = addresses.filter(({ memberId }) => step.invited.includes(memberId))
    await Promise.all(
      invited.map(async ({ memberId, peerId }) => {
        try {
          await asker.invite(peerId, regionId, step.group, addresses)
        } catch (error) {
          this.#memory.notSeated(step.group, memberId, clock.monotonicMs())
          throw error
        }
      }),
    )
    if (this.#abort.signal.aborted) return
    const peerId = peerIdOf(step.leader, found)
    await asker.change(peerId, regionId, step.group, step.changes, addresses)
    this.#counters.changes += 1
    const changes = step.changes.map(({ type, nodeId }) => `${type} ${nodeId}`)
    logger.info?.(`group ${step.group}: ${changes.join(', ')}`)
  }

  async #transfer(
    step: PlacementStep & { readonly type: 'transfer' },
    found: readonly RegionMember[],
  ): Promise<void> {
    const { asker, clock, logger } = this.#components
    this.#memory.transferred(step.group, clock.monotonicMs())
    const peerId = peerIdOf(step.leader, found)
    await asker.transfer(peerId, this.#init.regionId, step.group, step.to)
    this.#counters.transfers += 1
    logger.info?.(`group ${step.group}: member ${step.to} is to lead, for ${step.why}`)
  }

  /** Has members forget groups that they left, and invites learners again that forgot theirs. */
  #cleanUp(
    reports: readonly MemberReport[],
    leaders: ReadonlyMap<number, LeaderReport>,
    found: readonly RegionMember[],
  ): void {
    const { asker, logger } = this.#components
    const { regionId } = this.#init
    const memory = this.#memory
    const settle = (request: Promise<unknown>, what: string): void => {
      request.catch((error: unknown) => logger.debug?.(`${what}: ${error}`))
    }
    for (const { memberId, group, seat } of strangers(reports, leaders)) {
      if (memory.isBusy(group)) continue
      this.#counters.dismissals += 1
      const dismissed = asker.dismiss(peerIdOf(memberId, found), regionId, group, seat)
      settle(dismissed, `member ${memberId} keeps group ${group}`)
    }
    for (const { memberId, group } of forgottenLearners(reports, leaders)) {
      if (memory.isBusy(group)) continue
      const members = leaders.get(group)?.members
      const addresses = members === undefined ? [] : addressesOf(everyone(members), found)
      const invited = asker.invite(peerIdOf(memberId, found), regionId, group, addresses)
      settle(invited, `member ${memberId} does not take group ${group}`)
    }
  }

  /** Ends the membership of those who were absent for very long and have no part in any group. */
  async #strikeOff(found: readonly RegionMember[], atMs: number): Promise<void> {
    for (const { memberId } of found) {
      const absentMs = this.#components.absences.absentMs(memberId, atMs)
      if (absentMs < regionTimes.strikeOffMs) continue
      if ([...this.#seats.values()].some((seats) => seats.includes(memberId))) continue
      await this.#components.members.strikeOff(memberId, { signal: this.#abort.signal })
      this.#counters.strikeOffs += 1
    }
  }
}

/** Counters that begin. */
export function newPlacementCounters(): PlacementCounters {
  return {
    ...{ rounds: 0, roundsFailed: 0, changes: 0, transfers: 0, stepsFailed: 0 },
    ...{ dismissals: 0, strikeOffs: 0 },
  }
}

function addressesOf(ids: readonly number[], found: readonly RegionMember[]): MemberAddress[] {
  return found
    .filter(({ memberId }) => ids.includes(memberId))
    .map(({ memberId, peerId }) => ({ memberId, peerId }))
    .slice(0, regionLimits.invitedMax)
}

function peerIdOf(memberId: number, found: readonly RegionMember[]): string {
  // A member that was struck off and still leads is not asked by name; its group goes on without us until it is gone.
  return found.find((member) => member.memberId === memberId)?.peerId ?? ''
}
