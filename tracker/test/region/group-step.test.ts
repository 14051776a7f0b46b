/** One step of a group: which changes are made, and which are not. */
import { test } from 'tap'
import { nextStep } from '../../src/region/group-step.ts'
import type {
  PlacementGroup,
  PlacementMember,
  PlacementStep,
} from '../../src/region/placement-types.ts'
import { placementLimits } from '../../src/region/region-limits.ts'
import type { MemberProgress } from '../../src/region/region-messages.ts'

const commit = 10_000

interface Case {
  readonly voters: readonly number[]
  readonly learners?: readonly number[]
  readonly target: readonly number[]
  readonly isLeaving?: readonly number[]
  readonly silent?: readonly number[]
  readonly match?: Readonly<Record<number, number>>
  readonly change?: Partial<PlacementGroup>
}

/** The step of a group that member 1 leads. */
function stepOf(of: Case): PlacementStep | undefined {
  const { voters, learners = [], target, isLeaving = [], silent = [], match = {} } = of
  const progress: MemberProgress[] = [...voters, ...learners].map((memberId) => ({
    memberId,
    match: match[memberId] ?? commit,
    isActive: !silent.includes(memberId),
  }))
  const group: PlacementGroup = {
    ...{ group: 3, leader: 1, commit, progress, isBusy: false, mayTransfer: true },
    members: { voters, learners, votersOutgoing: [], learnersNext: [] },
    barred: new Set(),
    ...of.change,
  }
  const members = new Map<number, PlacementMember>(
    [1, 2, 3, 4, 5, 6].map((memberId) => [
      memberId,
      {
        ...{ memberId, presentMs: 10_000, absentMs: 0, isReachable: true, load: 0 },
        isLeaving: isLeaving.includes(memberId),
      },
    ]),
  )
  return nextStep(group, { voters: target, learners: [] }, members, placementLimits)
}

const changesOf = (step: PlacementStep | undefined): string[] =>
  step?.type === 'change' ? step.changes.map(({ type, nodeId }) => `${type} ${nodeId}`) : []

test('voters are exchanged at once, when the newcomer has nearly everything', async (t) => {
  const exchange = { voters: [1, 2, 3], learners: [4], target: [1, 2, 4], isLeaving: [3] }
  t.same(changesOf(stepOf(exchange)), ['ConfChangeAddNode 4', 'ConfChangeRemoveNode 3'])
  t.same(changesOf(stepOf({ ...exchange, match: { 4: commit - 256 } })).length, 2)
  t.equal(stepOf({ ...exchange, match: { 4: commit - 257 } }), undefined, 'too far behind')
  t.equal(stepOf({ ...exchange, match: { 4: 0 } }), undefined, 'has never answered')
  t.equal(stepOf({ ...exchange, silent: [4] }), undefined, 'does not answer now')
})

test('newcomers are invited as learners first', async (t) => {
  const step = stepOf({ voters: [1, 2, 3], target: [1, 2, 4], isLeaving: [3] })
  t.same(changesOf(step), ['ConfChangeAddLearnerNode 4'])
  t.match(step, { invited: [4] })
  const other = stepOf({ voters: [1, 2, 3], learners: [5], target: [1, 2, 3] })
  t.same(changesOf(other), ['ConfChangeRemoveNode 5'])
})

test('no change leaves less to lose', async (t) => {
  t.equal(stepOf({ voters: [1, 2, 3], target: [1, 2] }), undefined, 'three can lose one')
  t.equal(
    stepOf({ voters: [1, 2, 3, 4, 5], target: [1, 2, 3] }),
    undefined,
    'five can lose two, three cannot',
  )
  const silent = { voters: [1, 2, 3, 4, 5], target: [1, 2, 3], silent: [4, 5] }
  t.equal(changesOf(stepOf(silent)).length, 2, 'five of whom two are gone can lose none')
  t.equal(stepOf({ ...silent, silent: [2, 3] }), undefined, 'who stays has to answer')
  t.equal(
    stepOf({ ...silent, silent: [2, 3, 4] }),
    undefined,
    'without a majority nothing is asked',
  )
})

test('seat for seat, while not all newcomers are ready', async (t) => {
  const step = stepOf({
    ...{ voters: [1, 2, 3, 4, 5], learners: [6], target: [1, 2, 3, 6] },
    isLeaving: [4, 5],
  })
  t.equal(changesOf(step).length >= 2, true)
  t.equal(stepOf({ voters: [1], learners: [2, 3], target: [1, 2, 3], match: { 3: 0 } }), undefined)
  t.equal(changesOf(stepOf({ voters: [1], learners: [2, 3], target: [1, 2, 3] })).length, 2)
})

test('a leader that goes hands over first', async (t) => {
  const leaving = { voters: [1, 2, 3], learners: [4], target: [2, 3, 4], isLeaving: [1] }
  t.match(stepOf(leaving), { type: 'transfer', why: 'removal' })
  t.equal(stepOf({ ...leaving, change: { isBusy: true } }), undefined, 'one step at a time')
  const alone = stepOf({ voters: [1], learners: [2], target: [2], isLeaving: [1] })
  t.same(changesOf(alone), ['ConfChangeAddNode 2'], 'there is nobody to hand over to yet')
})

test('a joint configuration is left alone', async (t) => {
  const members = { voters: [1, 2, 4], votersOutgoing: [1, 2, 3], learners: [], learnersNext: [] }
  t.equal(stepOf({ voters: [1, 2, 4], target: [1, 2, 3], change: { members } }), undefined)
})
