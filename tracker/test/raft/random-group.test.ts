/**
 * Whole groups under random schedules: messages are lost, doubled and reordered, members crash with writes under way,
 * links are cut, memberships change. After every step: one leader a term, everybody applies the same, reads are not
 * stale, and what was ever committed stays.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { decodeConfChange } from '../../src/raft/conf-change-codec.ts'
import { type ConfChangeSingle, noBytes } from '../../src/raft/types.ts'
import { bytes, type MemberSettings, RaftGroup, text } from '../support/raft-group.ts'

const members = [1, 2, 3, 4, 5] as const
const member = fc.constantFrom(...members)

const step = fc.oneof(
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('deliver' as const), at: fc.nat() }) },
  { weight: 25, arbitrary: fc.record({ kind: fc.constant('process' as const), id: member }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('append' as const), id: member }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('apply' as const), id: member }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('propose' as const), id: member }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('tick' as const), id: member, count: fc.nat(12) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), id: member }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('double' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const), id: member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('isolate' as const), id: member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('heal' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const), id: member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('campaign' as const), id: member }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), id: member }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('transfer' as const), id: member, to: member }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ kind: fc.constant('change' as const), id: member },
      changes: fc.array(
        fc.record({
          type: fc.constantFrom(
            'ConfChangeAddNode' as const,
            'ConfChangeRemoveNode' as const,
            'ConfChangeAddLearnerNode' as const,
          ),
          nodeId: member,
        }),
        { maxLength: 3 },
      ),
      transition: fc.constantFrom(
        'ConfChangeTransitionAuto' as const,
        'ConfChangeTransitionJointExplicit' as const,
      ),
    }),
  },
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const settings: fc.Arbitrary<MemberSettings> = fc.record({
  preVote: fc.boolean(),
  checkQuorum: fc.boolean(),
  asyncStorageWrites: fc.boolean(),
  messageBytesMax: fc.constantFrom(1, 40, 0),
  inflightMessagesMax: fc.constantFrom(1, 3, 256),
  committedBytesMax: fc.constantFrom(1, 100, 0),
  uncommittedBytesMax: fc.constantFrom(20, 0),
})

/** A group with what has been seen of it. */
class Watched {
  readonly group: RaftGroup
  readonly #leaders = new Map<number, number>()
  /** What was applied at each index, by whoever was first. */
  readonly #applied: string[] = []
  #proposed = 0
  #reads = 0
  /** Commands that were known to be applied somewhere when a read began. */
  readonly #owed = new Map<string, number>()

  constructor(plain: MemberSettings) {
    // Timeouts that differ each time, or whoever cannot win could always be first.
    let state = 1
    const random = (): number => {
      state = (state * 48_271) % 0x7fffffff
      return state / 0x7fffffff
    }
    const given = { ...plain, random }
    this.group = RaftGroup.start(3, given)
    for (const id of [4, 5]) this.group.add(id, given)
  }

  run(given: Step): void {
    const { group } = this
    const { network } = group
    switch (given.kind) {
      case 'deliver':
      case 'drop':
      case 'double': {
        if (network.length === 0) return
        const at = given.at % network.length
        const [message] = given.kind === 'double' ? [network[at]] : network.splice(at, 1)
        if (message !== undefined && given.kind !== 'drop') group.deliverOne(message)
        return
      }
      case 'process':
        if (group.member(given.id).node.hasReady()) {
          network.push(...group.member(given.id).process())
        }
        return
      case 'append':
        network.push(...group.member(given.id).workAppend())
        return
      case 'apply':
        network.push(...group.member(given.id).workApply())
        return
      case 'propose':
        this.#proposed += 1
        group.propose(given.id, `command ${this.#proposed}`)
        return
      case 'tick':
        group.tick(given.id, given.count)
        return
      case 'read':
        this.#reads += 1
        this.#owed.set(`read ${this.#reads}`, this.#applied.length)
        group.member(given.id).node.readIndex(bytes(`read ${this.#reads}`))
        return
      case 'settle':
        group.settle()
        return
      case 'restart':
        group.member(given.id).restart()
        return
      case 'isolate':
        group.isolate(given.id)
        return
      case 'heal':
        group.heal()
        return
      case 'compact':
        if (group.member(given.id).appliedIndex > group.member(given.id).storage.firstIndex()) {
          group.member(given.id).compact()
        }
        return
      case 'campaign':
        group.member(given.id).node.campaign()
        return
      case 'forget':
        group.member(given.id).node.forgetLeader()
        return
      case 'transfer':
        group.member(given.id).node.transferLeader(given.to)
        return
      case 'change':
        group.change(given.id, given.changes as ConfChangeSingle[], given.transition)
    }
  }

  check(): void {
    for (const one of this.group.members.values()) {
      const { state, term, commit } = one.node.status()
      if (state === 'StateLeader') {
        assert.equal(this.#leaders.get(term) ?? one.id, one.id, `two leaders in term ${term}`)
        this.#leaders.set(term, one.id)
      }
      assert(commit >= one.appliedIndex)
      for (let at = 0; at < one.history.length; at += 1) {
        const [index, what] = one.history[at] as [number, string]
        this.#applied[index] ??= what
        assert.equal(what, this.#applied[index], `member ${one.id} applied something else`)
      }
      one.history.length = 0
      for (const { index, requestContext } of one.reads.splice(0)) {
        const owed = this.#owed.get(text(requestContext)) as number
        assert(index >= owed - 1, `a read at ${index} does not see ${owed - 1}`)
      }
    }
  }

  /** All faults end: somebody leads, and everyone who belongs catches up. */
  converge(): void {
    const { group } = this
    group.heal()
    const isCalm = (): boolean => {
      const leaders = [...group.members.values()].filter(({ state }) => state === 'StateLeader')
      const [leader] = leaders.sort((a, b) => b.term - a.term)
      if (leader === undefined) return false
      const { voters, votersOutgoing, learners } = leader.node.status().confState
      if (votersOutgoing.length > 0 || !voters.includes(leader.id)) return false
      const all = [...voters, ...learners].map((id) => group.member(id))
      return all.every(({ appliedIndex }) => appliedIndex === leader.storage.lastIndex())
    }
    for (let rounds = 0; rounds < 40; rounds += 1) {
      // Whoever was removed is switched off by whoever removed it: the plain algorithm is open to its campaigns.
      const newest = [...group.members.values()].sort((a, b) => b.appliedIndex - a.appliedIndex)[0]
      const {
        voters = [],
        votersOutgoing = [],
        learners = [],
      } = newest?.node.status().confState ?? {}
      for (let ticks = 10; ticks > 0; ticks -= 1) {
        for (const id of new Set([...voters, ...votersOutgoing, ...learners])) group.tick(id)
        group.settle()
      }
      this.check()
      if (isCalm()) return
      // An explicit joint configuration is left by whoever entered it.
      for (const one of group.members.values()) {
        if (one.state !== 'StateLeader') continue
        const { confState } = one.node.status()
        if (confState.votersOutgoing.length > 0) group.change(one.id, [])
      }
    }
    const states = [...group.members.values()].map(({ node }) => JSON.stringify(node.status()))
    assert.fail(`the group does not converge: ${states.join('\n')}`)
  }
}

test('nothing that can happen breaks the promises of Raft', async () => {
  fc.assert(
    fc.property(settings, fc.array(step, { minLength: 50, maxLength: 250 }), (given, steps) => {
      const watched = new Watched(given)
      watched.group.elect(1)
      for (const next of steps) {
        watched.run(next)
        watched.check()
      }
      watched.converge()
    }),
    { numRuns: Number(process.env.KAIRO_RAFT_RUNS ?? 150) },
  )
})

test('changes carry a context through the log', async (t) => {
  const group = RaftGroup.start(1)
  group.elect(1)
  const context = bytes('why')
  const transition = 'ConfChangeTransitionAuto' as const
  group.member(1).node.proposeConfChange({
    ...{ transition, context },
    changes: [{ type: 'ConfChangeAddLearnerNode', nodeId: 2 }],
  })
  group.process(1)
  const entries = group.member(1).storage.entries(2, 4, 1e6) ?? []
  const found = entries.find(({ type }) => type === 'EntryConfChangeV2')
  t.strictSame(text(decodeConfChange(found?.data ?? noBytes).context), 'why')
})
