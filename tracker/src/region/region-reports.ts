/** What members tell of the groups that they hold, gathered and put together. */
import type { Driver } from '../driver/driver.ts'
import { everyone } from './group-members.ts'
import { regionLimits } from './region-limits.ts'
import type { GroupReport, MemberReport } from './region-messages.ts'

/** What this room needs of a driver. */
export type GroupControl = Pick<
  Driver,
  | 'groupIds'
  | 'status'
  | 'createGroup'
  | 'joinGroup'
  | 'removeGroup'
  | 'changeMembers'
  | 'transferLeadership'
  | 'onLeadership'
>

/** The groups that this member holds. @param seatOf the number of its present seat */
export function ownReport(
  groups: Pick<GroupControl, 'groupIds' | 'status'>,
  memberId: number,
  seatOf: (group: number) => number,
): MemberReport {
  const held = groups.groupIds.slice(0, regionLimits.groupsMax).sort((a, b) => a - b)
  return { memberId, groups: held.map((group) => groupReport(groups, group, seatOf(group))) }
}

function groupReport(
  groups: Pick<GroupControl, 'status'>,
  group: number,
  seat: number,
): GroupReport {
  const status = groups.status(group)
  const { isLeader, leaderPeerId, term, commit, applied, confState, members, progress } = status
  const leader = members.find(({ peerId }) => peerId === leaderPeerId)?.memberId ?? 0
  const { voters, votersOutgoing, learners, learnersNext } = confState
  const cut = <T>(list: readonly T[]): T[] => list.slice(0, regionLimits.groupMembersMax)
  return {
    ...{ group, seat, term, isLeader, commit, applied },
    leader: isLeader ? status.memberId : leader,
    members: {
      voters: cut(voters),
      votersOutgoing: cut(votersOutgoing),
      learners: cut(learners),
      learnersNext: cut(learnersNext),
    },
    progress: cut(isLeader ? progress : []).map(({ memberId, match, recentActive }) => ({
      memberId,
      match,
      isActive: memberId === status.memberId || recentActive,
    })),
  }
}

/** Whether everybody answers the leaders that told. */
export function isQuiet({ groups }: MemberReport): boolean {
  return groups.every(({ progress }) => progress.every(({ isActive }) => isActive))
}

/** A report with who answered when another one was made a moment before. */
export function withAnswers(before: MemberReport, now: MemberReport): MemberReport {
  return {
    ...now,
    groups: now.groups.map((report) => {
      const earlier = before.groups.find(
        ({ group, term, isLeader }) => group === report.group && term === report.term && isLeader,
      )
      const answered = (id: number): boolean =>
        earlier?.progress.some(({ memberId, isActive }) => memberId === id && isActive) ?? false
      const progress = report.progress.map((told) => ({
        ...told,
        isActive: told.isActive || answered(told.memberId),
      }))
      return { ...report, progress }
    }),
  }
}

/** A group as the leader of the highest term told of it. */
export interface LeaderReport extends GroupReport {
  /** Who told. */
  readonly memberId: number
}

/** By group, what its leader told. A leader that was replaced and has not heard of it is outvoted by the higher term. */
export function leaderReports(reports: Iterable<MemberReport>): Map<number, LeaderReport> {
  const found = new Map<number, LeaderReport>()
  for (const { memberId, groups } of reports) {
    for (const report of groups) {
      const other = found.get(report.group)
      if (report.isLeader && (other === undefined || other.term < report.term))
        found.set(report.group, { ...report, memberId })
    }
  }
  return found
}

/** Seats that members hold in groups that they do not belong to, as far as the groups' leaders know. */
export function strangers(
  reports: readonly MemberReport[],
  leaders: ReadonlyMap<number, LeaderReport>,
): { readonly memberId: number; readonly group: number; readonly seat: number }[] {
  return reports.flatMap(({ memberId, groups }) =>
    groups.flatMap(({ group, seat, term }) => {
      const leader = leaders.get(group)
      // Who is further than the leader that told knows something that it does not.
      if (leader === undefined || term > leader.term) return []
      return everyone(leader.members).includes(memberId) ? [] : [{ memberId, group, seat }]
    }),
  )
}

/**
 * Learners that have never answered their leader and hold nothing, because they started again before anything came: they
 * are invited once more. A voter that holds nothing is not: it has lost what it promised.
 */
export function forgottenLearners(
  reports: readonly MemberReport[],
  leaders: ReadonlyMap<number, LeaderReport>,
): { readonly memberId: number; readonly group: number }[] {
  return [...leaders.values()].flatMap(({ group, members, progress }) =>
    members.learners.flatMap((memberId) => {
      const report = reports.find((told) => told.memberId === memberId)
      if (report === undefined || report.groups.some((held) => held.group === group)) return []
      const match = progress.find((told) => told.memberId === memberId)?.match ?? 0
      return match === 0 ? [{ memberId, group }] : []
    }),
  )
}
