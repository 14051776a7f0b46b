/** A region as an operator sees it: what `kairo region` prints and `kairo doctor` judges. */

import type { AgentStatus, RegionConflict } from './region-agent.ts'
import type { RegionMember } from './region-members.ts'
import type { MemberReport } from './region-messages.ts'
import { type LeaderReport, leaderReports } from './region-reports.ts'

/** One member. */
export interface MemberView {
  readonly memberId: number
  readonly peerId: string
  readonly isAlive: boolean
  readonly isLeaving: boolean
  readonly isReachable: boolean
  /** Wall time since which it has been there without a lapse, milliseconds; undefined while it is not alive. */
  readonly sinceMs: number | undefined
  /** How often it started. */
  readonly incarnation: number
  readonly load: number
  readonly roles: readonly string[]
  /** How many groups it leads, and votes in. */
  readonly leads: number
  readonly votes: number
}

/** How far one member of a group is. */
export interface LagView {
  readonly memberId: number
  /** Entries that it lacks of what is committed. */
  readonly entries: number
  /** It answered its leader lately. */
  readonly isActive: boolean
}

/** One group. */
export interface GroupView {
  readonly group: number
  /** Member id; undefined when nobody leads, as far as those who answer know. */
  readonly leader: number | undefined
  readonly term: number
  readonly commit: number
  readonly voters: readonly number[]
  readonly learners: readonly number[]
  /** Its members are being exchanged. */
  readonly isChanging: boolean
  /** It has a leader that a majority of its voters answers. */
  readonly hasQuorum: boolean
  readonly lag: readonly LagView[]
}

/** The whole. */
export interface RegionView extends AgentStatus {
  /** Name of the region that this peer is in, or looks for. */
  readonly name: string
  readonly members: readonly MemberView[]
  readonly groups: readonly GroupView[]
  readonly conflicts: readonly RegionConflict[]
}

/** Puts a view together from what this peer knows and what members told. */
export function regionView(
  name: string,
  status: AgentStatus,
  members: readonly RegionMember[],
  reports: readonly MemberReport[],
): RegionView {
  const leaders = leaderReports(reports)
  const ids = new Set(reports.flatMap(({ groups }) => groups.map(({ group }) => group)))
  const groups = [...ids]
    .sort((a, b) => a - b)
    .map((group) => groupView(group, leaders.get(group), reports))
  return { ...status, name, groups, members: members.map((member) => memberView(member, groups)) }
}

function memberView(member: RegionMember, groups: readonly GroupView[]): MemberView {
  const { memberId, peerId, incarnation, presence } = member
  return {
    ...{ memberId, peerId, incarnation, isAlive: presence !== undefined },
    isLeaving: presence?.isLeaving ?? false,
    isReachable: presence?.isReachable ?? false,
    sinceMs: presence?.sinceMs,
    load: presence?.load ?? 0,
    roles: presence?.roles ?? [],
    leads: groups.filter(({ leader }) => leader === memberId).length,
    votes: groups.filter(({ voters }) => voters.includes(memberId)).length,
  }
}

function groupView(
  group: number,
  leader: LeaderReport | undefined,
  reports: readonly MemberReport[],
): GroupView {
  const told = leader ?? newest(group, reports)
  const { voters, votersOutgoing, learners } = told.members
  return {
    ...{ group, leader: leader?.memberId, term: told.term, commit: told.commit, voters, learners },
    isChanging: votersOutgoing.length > 0,
    // A leader that hears no majority steps down within one election timeout.
    hasQuorum: leader !== undefined,
    lag: told.progress.map(({ memberId, match, isActive }) => ({
      ...{ memberId, isActive },
      entries: Math.max(0, told.commit - match),
    })),
  }
}

/** Of a group without a leader, what the member that is furthest knows. */
function newest(group: number, reports: readonly MemberReport[]): LeaderReport {
  const found = reports.flatMap(({ memberId, groups }) =>
    groups.filter((report) => report.group === group).map((report) => ({ ...report, memberId })),
  )
  return found.reduce((a, b) => (b.commit > a.commit ? b : a))
}
