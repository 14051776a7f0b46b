/** Groups and members as placement sees them, and what becomes of the steps that it asks for. */
import assert from 'node:assert/strict'
import {
  changeMembership,
  type Membership,
  restoreMembership,
} from '../../../src/raft/conf-change.ts'
import { toConfState } from '../../../src/raft/configuration.ts'
import { type PlacementPlan, placement } from '../../../src/region/placement.ts'
import type {
  PlacementGroup,
  PlacementMember,
  PlacementSettings,
  PlacementStep,
} from '../../../src/region/placement-types.ts'
import { placementLimits } from '../../../src/region/region-limits.ts'
import { majority } from '../../../src/region/voter-choice.ts'
import { seededRandom } from './seeded-random.ts'

const commit = 10_000
const newcomer = { lastIndex: 1, limits: { messagesMax: 1, bytesMax: 1 } }

/** A member with all that is known of it. */
export interface WorldMember {
  readonly memberId: number
  isThere: boolean
  sinceMs: number
  isReachable: boolean
  isLeaving: boolean
  load: number
}

/** One group: its configuration, who leads, and how far each of its members is. */
export interface WorldGroup {
  readonly group: number
  membership: Membership
  leader: number
  readonly match: Map<number, number>
  readonly barred: Map<number, number>
  transferredMs: number
}

/** The world. */
export class PlacementWorld {
  readonly settings: PlacementSettings
  readonly members = new Map<number, WorldMember>()
  readonly groups: WorldGroup[]
  readonly random: () => number
  atMs = 1_000_000
  /** Seats that were given to somebody new, and leaders that were moved, so far. */
  seatsGiven = 0
  transfers = 0
  #nextId = 1

  constructor(seed: number, groups = 17, settings: Partial<PlacementSettings> = {}) {
    this.random = seededRandom(seed)
    this.settings = { ...placementLimits, ...settings }
    this.groups = Array.from({ length: groups }, (_, group) => ({
      group,
      membership: restoreMembership({ ...none, voters: [1] }, newcomer),
      leader: 1,
      match: new Map([[1, commit]]),
      barred: new Map(),
      transferredMs: 0,
    }))
    this.join({ sinceMs: 0 })
  }

  join(init: Partial<WorldMember> = {}): WorldMember {
    const member = {
      ...{ memberId: this.#nextId++, isThere: true, sinceMs: this.atMs, isReachable: true },
      ...{ isLeaving: false, load: 0 },
      ...init,
    }
    this.members.set(member.memberId, member)
    return member
  }

  /** It stops, or its line does. */
  lose(memberId: number): void {
    const member = this.member(memberId)
    member.isThere = false
    member.sinceMs = this.atMs
  }

  comeBack(memberId: number): void {
    const member = this.member(memberId)
    member.isThere = true
    member.sinceMs = this.atMs
  }

  member(memberId: number): WorldMember {
    const member = this.members.get(memberId)
    assert(member !== undefined)
    return member
  }

  voters(group: number): number[] {
    return toConfState(this.#group(group).membership.configuration).voters.slice()
  }

  learners(group: number): number[] {
    return toConfState(this.#group(group).membership.configuration).learners.slice()
  }

  isThere(memberId: number): boolean {
    return this.members.get(memberId)?.isThere === true
  }

  hasQuorum(group: number): boolean {
    return this.#isQuorum(this.voters(group))
  }

  plan(): PlacementPlan {
    return placement(this.#groups(), this.#members(), this.settings)
  }

  /** Rounds of placement, with time between them; the plan's steps happen, or get lost on the way. */
  run(rounds: number, lossShare = 0): void {
    for (let round = 0; round < rounds; round++) {
      this.atMs += this.settings.roundMs
      this.#elect()
      for (const step of this.plan().steps) if (this.random() >= lossShare) this.#do(step)
      // Learners copy; some are slower than others.
      for (const group of this.groups)
        for (const id of group.membership.progress.keys())
          if (this.isThere(id) && this.random() < 0.8) group.match.set(id, commit)
    }
  }

  #do(step: PlacementStep): void {
    const group = this.#group(step.group)
    if (step.type === 'transfer') {
      const { configuration } = group.membership
      assert(configuration.incoming.has(step.to), 'only voters lead')
      assert(this.isThere(step.to), 'who is not there cannot lead')
      assert(group.match.get(step.to) === commit, 'who is behind does not lead')
      group.leader = step.to
      group.transferredMs = this.atMs
      this.transfers += 1
      return
    }
    const before = this.voters(step.group)
    assert(this.#isQuorum(before), 'a change is asked of a group that can make it')
    for (const id of step.invited) {
      assert((group.barred.get(id) ?? 0) <= this.atMs, 'who lost a seat waits')
      assert(this.isThere(id), 'who is not there is not invited')
    }
    group.membership = changeMembership(
      group.membership,
      { transition: 'ConfChangeTransitionAuto', changes: step.changes, context: new Uint8Array(0) },
      newcomer,
    )
    if (group.membership.configuration.outgoing.size > 0) {
      assert(this.#isQuorum([...group.membership.configuration.incoming]), 'a joint change ends')
      const leave = { transition: 'ConfChangeTransitionAuto', changes: [] } as const
      group.membership = changeMembership(
        group.membership,
        { ...leave, context: new Uint8Array(0) },
        newcomer,
      )
    }
    this.#checkChange(group, before)
  }

  #checkChange(group: WorldGroup, before: readonly number[]): void {
    const after = this.voters(group.group)
    assert(this.#isQuorum(after), 'after a change a majority is there')
    for (const id of after) {
      if (before.includes(id)) continue
      this.seatsGiven += 1
      assert(group.match.get(id) === commit, 'who votes has everything')
      assert(this.isThere(id), 'who is made a voter is there')
    }
    const staying = (ids: readonly number[]): number =>
      ids.filter((id) => this.isThere(id) && !this.member(id).isLeaving).length -
      majority(ids.length)
    assert(staying(after) >= staying(before), 'no change leaves less to lose')
    assert(after.includes(group.leader), 'a leader is not thrown out while it leads')
    for (const id of group.match.keys()) {
      if (group.membership.progress.has(id)) continue
      group.match.delete(id)
      group.barred.set(id, this.atMs + this.settings.returnMs)
    }
  }

  #elect(): void {
    for (const group of this.groups) {
      const voters = this.voters(group.group)
      if (!this.#isQuorum(voters)) group.leader = 0
      else if (group.leader === 0 || !this.isThere(group.leader) || !voters.includes(group.leader))
        group.leader = voters.find((id) => this.isThere(id) && group.match.get(id) === commit) ?? 0
    }
  }

  #isQuorum(voters: readonly number[]): boolean {
    return voters.filter((id) => this.isThere(id)).length >= majority(voters.length)
  }

  #groups(): PlacementGroup[] {
    return this.groups
      .filter(({ leader }) => leader !== 0)
      .map(({ group, leader, membership, match, barred, transferredMs }) => ({
        ...{ group, leader, commit },
        members: toConfState(membership.configuration),
        progress: [...membership.progress.keys()].map((memberId) => ({
          memberId,
          match: match.get(memberId) ?? 0,
          isActive: this.isThere(memberId),
        })),
        isBusy: false,
        mayTransfer: this.atMs - transferredMs >= this.settings.transferMs,
        barred: new Set([...barred].filter(([, untilMs]) => untilMs > this.atMs).map(([id]) => id)),
      }))
  }

  #members(): PlacementMember[] {
    return [...this.members.values()].map((member) => ({
      memberId: member.memberId,
      presentMs: member.isThere ? this.atMs - member.sinceMs : undefined,
      absentMs: member.isThere ? 0 : this.atMs - member.sinceMs,
      isReachable: member.isReachable,
      isLeaving: member.isLeaving,
      load: member.load,
    }))
  }

  #group(group: number): WorldGroup {
    const found = this.groups[group]
    assert(found !== undefined)
    return found
  }
}

const none = {
  ...{ voters: [], votersOutgoing: [], learners: [], learnersNext: [] },
  autoLeave: false,
}
