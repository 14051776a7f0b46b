/**
 * The next change that brings a group nearer to what it is to be made of. Pure.
 *
 * Newcomers learn first and vote when they have nearly everything. Voters are exchanged in one joint change, so that a
 * group of three never passes through two or four. No change is made that leaves the group with less to lose than before:
 * those who vote afterwards and answer now must be a majority, by no smaller margin.
 */
import type { ConfChangeSingle } from '../raft/types.ts'
import { memberOrder } from './member-order.ts'
import type {
  GroupTarget,
  PlacementGroup,
  PlacementMember,
  PlacementSettings,
  PlacementStep,
} from './placement-types.ts'
import { regionLimits } from './region-limits.ts'
import { isGone, majority } from './voter-choice.ts'

/** The next step of a group, or undefined when there is none, or none that is safe now. */
export function nextStep(
  group: PlacementGroup,
  target: GroupTarget,
  members: ReadonlyMap<number, PlacementMember>,
  settings: PlacementSettings,
): PlacementStep | undefined {
  const { voters, votersOutgoing, learners } = group.members
  // A joint configuration is left by the leader itself.
  if (group.isBusy || votersOutgoing.length > 0 || !voters.includes(group.leader)) return undefined
  const view = new GroupView(group, members, settings)
  if (!view.hasMajority(voters)) return undefined
  const next = nextVoters(view, target)
  if (next !== undefined && !next.includes(group.leader)) {
    const to = voters.filter((id) => next.includes(id) && view.mayLead(id)).sort(view.order)[0]
    if (to !== undefined)
      return { type: 'transfer', group: group.group, leader: group.leader, to, why: 'removal' }
    // Nobody to hand over to yet: the newcomers vote beside the leader first.
    return view.change(voters, [...new Set([...next, group.leader])])
  }
  if (next !== undefined) return view.change(voters, next)
  return learnerChange(group, target, learners)
}

/** Who is to vote after the next change; undefined when nobody is to be changed, or can be now. */
function nextVoters(view: GroupView, target: GroupTarget): number[] | undefined {
  const { voters } = view
  const coming = target.voters.filter((id) => !voters.includes(id) && view.hasCaughtUp(id))
  const going = voters.filter((id) => !target.voters.includes(id)).sort(view.goneFirst)
  if (coming.length === 0 && going.length === 0) return undefined
  const exchanged = Math.min(coming.length, going.length)
  const proposals = [
    // All at once, where all who are wanted are ready.
    [...voters.filter((id) => !going.includes(id)), ...coming],
    // Else seat for seat.
    exchange(voters, going.slice(0, exchanged), coming.slice(0, exchanged)),
  ]
  return proposals.find((next, nth) => {
    const isRightSize = next.length === target.voters.length || next.length % 2 === 1
    const isWhole = nth === 1 || isRightSize
    return isWhole && !isSame(next, voters) && view.isSafe(next)
  })
}

function learnerChange(
  { group, leader, members }: PlacementGroup,
  target: GroupTarget,
  learners: readonly number[],
): PlacementStep | undefined {
  const wanted = [...target.voters.filter((id) => !members.voters.includes(id)), ...target.learners]
  const invited = wanted.filter((id) => !learners.includes(id))
  const dismissed = learners.filter((id) => !wanted.includes(id))
  if (invited.length === 0 && dismissed.length === 0) return undefined
  const changes: ConfChangeSingle[] = [
    ...invited.map((nodeId) => ({ type: 'ConfChangeAddLearnerNode', nodeId }) as const),
    ...dismissed.map((nodeId) => ({ type: 'ConfChangeRemoveNode', nodeId }) as const),
  ]
  return {
    type: 'change',
    group,
    leader,
    changes: changes.slice(0, regionLimits.changesMax),
    invited,
  }
}

/** One group with what follows from its members' state. */
class GroupView {
  readonly voters: readonly number[]
  readonly order: (a: number, b: number) => number
  readonly #group: PlacementGroup
  readonly #members: ReadonlyMap<number, PlacementMember>
  readonly #settings: PlacementSettings

  constructor(
    group: PlacementGroup,
    members: ReadonlyMap<number, PlacementMember>,
    settings: PlacementSettings,
  ) {
    this.#group = group
    this.#members = members
    this.#settings = settings
    this.voters = group.members.voters
    this.order = memberOrder(group.group, members, settings)
  }

  /** Gone ones first, then the least wanted. */
  readonly goneFirst = (a: number, b: number): number =>
    Number(this.#isGone(b)) - Number(this.#isGone(a)) || this.order(b, a)

  hasCaughtUp(id: number): boolean {
    const progress = this.#progress(id)
    if (progress === undefined || progress.match === 0 || !this.#isActive(id)) return false
    return progress.match + this.#settings.caughtUpEntries >= this.#group.commit
  }

  mayLead(id: number): boolean {
    return this.hasCaughtUp(id) && !this.#isGone(id)
  }

  /** Whether a majority of these answers the leader now. */
  hasMajority(voters: readonly number[]): boolean {
    return voters.filter((id) => this.#isActive(id)).length >= majority(voters.length)
  }

  /** Whether these can decide, and could lose as many more as the present voters could. */
  isSafe(next: readonly number[]): boolean {
    return this.hasMajority(next) && this.#spareLosses(next) >= this.#spareLosses(this.voters)
  }

  /** The change from one set of voters to another, if it is safe. */
  change(from: readonly number[], to: readonly number[]): PlacementStep | undefined {
    if (isSame(from, to) || !this.isSafe(to)) return undefined
    const changes: ConfChangeSingle[] = [
      ...without(to, from).map((nodeId) => ({ type: 'ConfChangeAddNode', nodeId }) as const),
      ...without(from, to).map((nodeId) => ({ type: 'ConfChangeRemoveNode', nodeId }) as const),
    ]
    const { group, leader } = this.#group
    return { type: 'change', group, leader, changes, invited: [] }
  }

  #spareLosses(voters: readonly number[]): number {
    const staying = voters.filter((id) => this.#isActive(id) && !this.#isGone(id)).length
    return staying - majority(voters.length)
  }

  #isActive(id: number): boolean {
    return id === this.#group.leader || this.#progress(id)?.isActive === true
  }

  #isGone(id: number): boolean {
    return isGone(this.#members.get(id), this.#settings)
  }

  #progress(id: number): PlacementGroup['progress'][number] | undefined {
    return this.#group.progress.find(({ memberId }) => memberId === id)
  }
}

function exchange(
  voters: readonly number[],
  going: readonly number[],
  coming: readonly number[],
): number[] {
  return [...without(voters, going), ...coming]
}

function without(ids: readonly number[], others: readonly number[]): number[] {
  return ids.filter((id) => !others.includes(id))
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id))
}
