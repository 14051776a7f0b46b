/**
 * Which members a group is to be made of. Pure: from the members, and from who is in the group now.
 *
 * Whoever votes stays, unless it was gone for long, was struck off, or leaves: moving a seat costs a copy of the state,
 * and a slightly better member is not worth one. Free seats go to the steadiest; among equals rendezvous hashing chooses
 * (Thaler & Ravishankar 1998), so that every group has others, and one member that comes or goes moves few.
 */
import { memberOrder } from './member-order.ts'
import type {
  GroupTarget,
  PlacementGroup,
  PlacementMember,
  PlacementSettings,
} from './placement-types.ts'

/** More than half. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1
}

/** Whether nothing can be expected of a member any more, so that its seats are free. */
export function isGone(member: PlacementMember | undefined, settings: PlacementSettings): boolean {
  return member === undefined || member.isLeaving || member.absentMs >= settings.goneMs
}

/** The members that a group is to have. */
export function chooseMembers(
  group: Pick<PlacementGroup, 'group' | 'members' | 'barred'>,
  members: ReadonlyMap<number, PlacementMember>,
  settings: PlacementSettings,
): GroupTarget {
  const { voters, learners } = group.members
  const order = memberOrder(group.group, members, settings)
  const kept = voters.filter((id) => !isGone(members.get(id), settings)).sort(order)
  // They may come back: a seat that nobody else can take is left to them.
  const missed = voters.filter((id) => {
    const member = members.get(id)
    return member !== undefined && !member.isLeaving && isGone(member, settings)
  })
  const candidates = [...members.values()]
    .filter((member) =>
      // Who learns already is not sent away for a moment of absence.
      learners.includes(member.memberId)
        ? !isGone(member, settings)
        : mayVote(member, settings) && !group.barred.has(member.memberId),
    )
    .map(({ memberId }) => memberId)
    .filter((id) => !voters.includes(id))
    // Who learns already has the state.
    .sort((a, b) => Number(learners.includes(b)) - Number(learners.includes(a)) || order(a, b))
  const size = chooseSize(voters.length, kept, candidates, missed.length, members, settings)
  const chosen = [...kept, ...candidates, ...missed].slice(0, size).sort((a, b) => a - b)
  // While so few vote, one that only copies keeps what one disk alone would lose.
  const spare = size < 3 ? candidates.find((id) => !chosen.includes(id)) : undefined
  return { voters: chosen, learners: spare === undefined ? [] : [spare] }
}

/**
 * How many are to vote: of the odd numbers the one that survives most losses from now on; among equals the present one,
 * then the smaller.
 */
function chooseSize(
  present: number,
  kept: readonly number[],
  candidates: readonly number[],
  missed: number,
  members: ReadonlyMap<number, PlacementMember>,
  settings: PlacementSettings,
): number {
  const alive = kept.length + candidates.length
  // Nobody is left: whoever comes back finds the group as it was.
  if (alive === 0) return Math.max(present, 1)
  const spareLosses = (size: number): number => Math.min(alive, size) - majority(size)
  const isBetter = (size: number, than: number): boolean => {
    const gain = spareLosses(size) - spareLosses(than)
    return gain > 0 || (gain === 0 && size === present)
  }
  let best = 1
  for (let size = 3; size <= settings.votersMax; size += 2)
    if (alive + missed >= size && isBetter(size, best)) best = size
  if (best > 1 || alive < 2) return best
  // Two: both are needed, and both disks hold everything. Once it is so it stays so, until there are three.
  if (present >= 2 && kept.length === 2) return 2
  const second = [...kept, ...candidates][1] as number
  return (members.get(second)?.presentMs ?? 0) >= settings.pairAgeMs ? 2 : 1
}

function mayVote(member: PlacementMember, settings: PlacementSettings): boolean {
  return !member.isLeaving && (member.presentMs ?? -1) >= settings.voterAgeMs
}
