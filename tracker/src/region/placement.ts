/** Which steps bring the groups of a region to where they belong. Pure: the same state gives the same plan. */
import { nextStep } from './group-step.ts'
import type {
  PlacementGroup,
  PlacementMember,
  PlacementSettings,
  PlacementStep,
} from './placement-types.ts'
import { regionGroup } from './shard-of.ts'
import { chooseMembers, isGone } from './voter-choice.ts'

/** What is asked for in one round, at most one step a group. */
export interface PlacementPlan {
  readonly steps: readonly PlacementStep[]
  /** Groups that are not as they are to be, and for which there is no safe step now. */
  readonly stuck: readonly number[]
}

/** The next step of every group that has a leader. */
export function placement(
  groups: readonly PlacementGroup[],
  members: readonly PlacementMember[],
  settings: PlacementSettings,
): PlacementPlan {
  const byId = new Map(members.map((member) => [member.memberId, member]))
  const steps: PlacementStep[] = []
  const stuck: number[] = []
  const settled: PlacementGroup[] = []
  for (const group of groups) {
    const target = chooseMembers(group, byId, settings)
    const step = nextStep(group, target, byId, settings)
    if (step !== undefined) steps.push(step)
    else if (group.isBusy || !isAtTarget(group, target)) stuck.push(group.group)
    else settled.push(group)
  }
  return { steps: [...steps, ...spreadLeaders(groups, settled, byId, settings)], stuck }
}

function isAtTarget(
  { members }: PlacementGroup,
  target: { readonly voters: readonly number[]; readonly learners: readonly number[] },
): boolean {
  const isSame = (a: readonly number[], b: readonly number[]): boolean =>
    a.length === b.length && a.every((id) => b.includes(id))
  return (
    members.votersOutgoing.length === 0 &&
    isSame(members.voters, target.voters) &&
    isSame(members.learners, target.learners)
  )
}

/** Hands groups over from members that lead two more than another of the group's voters does, few at a time. */
function spreadLeaders(
  groups: readonly PlacementGroup[],
  settled: readonly PlacementGroup[],
  members: ReadonlyMap<number, PlacementMember>,
  settings: PlacementSettings,
): PlacementStep[] {
  const leads = new Map<number, number>()
  const count = (id: number): number => leads.get(id) ?? 0
  for (const { leader } of groups) leads.set(leader, count(leader) + 1)
  const steps: PlacementStep[] = []
  for (const { group, leader, mayTransfer, members: seats, progress, commit } of settled) {
    // Whoever leads the region group remembers what it does: to move that one costs more than it gains.
    if (group === regionGroup || !mayTransfer || steps.length >= settings.transfersMax) continue
    const isReady = (id: number): boolean => {
      const member = members.get(id)
      const found = progress.find(({ memberId }) => memberId === id)
      if (found === undefined || member?.presentMs === undefined || isGone(member, settings))
        return false
      return found.isActive && found.match + settings.caughtUpEntries >= commit
    }
    const to = seats.voters
      .filter((id) => id !== leader && isReady(id))
      .sort((a, b) => count(a) - count(b) || a - b)[0]
    if (to === undefined || count(leader) - count(to) < 2) continue
    leads.set(leader, count(leader) - 1)
    leads.set(to, count(to) + 1)
    steps.push({ type: 'transfer', group, leader, to, why: 'balance' })
  }
  return steps
}
