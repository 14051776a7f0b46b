/** Parts of the core against simple models of them, on generated inputs. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import {
  changeSimply,
  enterJoint,
  leaveJoint,
  type Membership,
  restoreMembership,
} from '../../src/raft/conf-change.ts'
import { decodeConfChange, encodeConfChange } from '../../src/raft/conf-change-codec.ts'
import { emptyConfiguration, toConfState } from '../../src/raft/configuration.ts'
import {
  entriesSize,
  entrySize,
  noLimit,
  sliceWithin,
  varintSize,
} from '../../src/raft/entry-size.ts'
import { Inflights } from '../../src/raft/inflights.ts'
import {
  jointCommitted,
  jointVote,
  majorityCommitted,
  majorityVote,
} from '../../src/raft/quorum.ts'
import { RaftError } from '../../src/raft/raft-error.ts'
import {
  type ConfChange,
  type ConfChangeSingle,
  confChangeTransitions,
  confChangeTypes,
  type Entry,
} from '../../src/raft/types.ts'

const id = fc.integer({ min: 1, max: 6 })
const voters = fc.uniqueArray(id, { maxLength: 5 }).map((ids) => new Set(ids))
const halves = fc.record({ incoming: voters, outgoing: voters })
const known = fc.dictionary(fc.integer({ min: 1, max: 6 }).map(String), fc.nat(20))
const lookup = known.map(
  (record) => new Map(Object.entries(record).map(([k, v]) => [Number(k), v])),
)
const votes = fc
  .dictionary(fc.integer({ min: 1, max: 6 }).map(String), fc.boolean())
  .map((record) => new Map(Object.entries(record).map(([k, v]) => [Number(k), v])))

/** By definition: the highest index that more than half of every half have. */
function committedByDefinition(sets: Set<number>[], acknowledged: Map<number, number>): number {
  for (let index = 20; index > 0; index -= 1) {
    const isHeld = (set: Set<number>): boolean =>
      [...set].filter((voter) => (acknowledged.get(voter) ?? 0) >= index).length * 2 > set.size
    if (sets.filter((set) => set.size > 0).every(isHeld)) return index
  }
  return 0
}

/** By definition: won or lost however those vote who have not; pending otherwise. */
function voteByDefinition(sets: Set<number>[], given: Map<number, boolean>): string {
  const wins = (cast: (voter: number) => boolean): boolean =>
    sets.filter((set) => set.size > 0).every((set) => [...set].filter(cast).length * 2 > set.size)
  const open = [...new Set(sets.flatMap((set) => [...set]))].filter((voter) => !given.has(voter))
  const outcomes = new Set<boolean>()
  for (let choice = 0; choice < 2 ** open.length; choice += 1) {
    const yes = new Set(open.filter((_, at) => choice & (1 << at)))
    outcomes.add(wins((voter) => given.get(voter) ?? yes.has(voter)))
  }
  if (outcomes.size === 2) return 'VotePending'
  return outcomes.has(true) ? 'VoteWon' : 'VoteLost'
}

test('what a majority has committed', async () => {
  fc.assert(
    fc.property(voters, lookup, (set, acknowledged) => {
      const index = majorityCommitted(set, (voter) => acknowledged.get(voter))
      return index === (set.size === 0 ? noLimit : committedByDefinition([set], acknowledged))
    }),
  )
})

test('what both majorities have committed', async () => {
  fc.assert(
    fc.property(halves, lookup, ({ incoming, outgoing }, acknowledged) => {
      const of = (voter: number) => acknowledged.get(voter)
      const index = jointCommitted({ incoming, outgoing }, of)
      const swapped = jointCommitted({ incoming: outgoing, outgoing: incoming }, of)
      const expected =
        incoming.size + outgoing.size === 0
          ? noLimit
          : committedByDefinition([incoming, outgoing], acknowledged)
      return index === expected && swapped === expected
    }),
  )
})

test('how a vote stands', async () => {
  fc.assert(
    fc.property(halves, votes, ({ incoming, outgoing }, given) => {
      const sets = [incoming, outgoing]
      return (
        majorityVote(incoming, given) === voteByDefinition([incoming], given) &&
        jointVote({ incoming, outgoing }, given) === voteByDefinition(sets, given) &&
        jointVote({ incoming: outgoing, outgoing: incoming }, given) ===
          voteByDefinition(sets, given)
      )
    }),
  )
})

test('two quorums of neighbouring configurations share a member', async () => {
  // What makes elections safe: whoever commits and whoever is elected met somebody in common.
  fc.assert(
    fc.property(halves, votes, votes, ({ incoming, outgoing }, left, right) => {
      const joint = { incoming, outgoing }
      const isQuorum = (set: Map<number, boolean>): boolean =>
        incoming.size > 0 &&
        jointVote(joint, new Map([...set].filter(([, yes]) => yes))) === 'VoteWon'
      const shared = [...left].some(([voter, yes]) => yes && right.get(voter) === true)
      return !(isQuorum(left) && isQuorum(right)) || shared
    }),
  )
})

const single: fc.Arbitrary<ConfChangeSingle> = fc.record({
  type: fc.constantFrom(...confChangeTypes),
  nodeId: fc.nat(6),
})
const bytes = fc.uint8Array({ maxLength: 300 })
const change: fc.Arbitrary<ConfChange> = fc.record({
  transition: fc.constantFrom(...confChangeTransitions),
  changes: fc.array(
    fc.record(
      { type: fc.constantFrom(...confChangeTypes), nodeId: fc.maxSafeNat() },
      { noNullPrototype: true },
    ),
    { maxLength: 4 },
  ),
  context: bytes,
})

test('membership changes survive being written down', async () => {
  fc.assert(
    fc.property(change, (given) => {
      const { transition, changes, context } = decodeConfChange(encodeConfChange(given))
      assert.deepEqual(changes, given.changes)
      return transition === given.transition && Buffer.from(context).equals(given.context)
    }),
    { numRuns: 50 },
  )
})

test('bytes that are no membership change are refused, and nothing else happens', async () => {
  fc.assert(
    fc.property(bytes, (given) => {
      try {
        decodeConfChange(given)
      } catch (error) {
        return error instanceof RaftError && error.code === 'ERR_RAFT_CODEC'
      }
      return true
    }),
    { numRuns: 500 },
  )
})

const newcomer = { lastIndex: 5, limits: { messagesMax: 4, bytesMax: 100 } }
const nobody: Membership = { configuration: emptyConfiguration, progress: new Map() }

/** Roles after changes, by simply following them one by one. */
function rolesAfter(start: Map<number, string>, changes: ConfChangeSingle[]): Map<number, string> {
  const roles = new Map(start)
  for (const { type, nodeId } of changes) {
    if (nodeId === 0) continue
    if (type === 'ConfChangeAddNode') roles.set(nodeId, 'voter')
    else if (type === 'ConfChangeAddLearnerNode') roles.set(nodeId, 'learner')
    else if (type === 'ConfChangeRemoveNode') roles.delete(nodeId)
  }
  return roles
}

function rolesOf({ configuration: { incoming, learners } }: Membership): Map<number, string> {
  const pairs = [...incoming].map((voter): [number, string] => [voter, 'voter'])
  return new Map([...pairs, ...[...learners].map((of): [number, string] => [of, 'learner'])])
}

const sorted = (roles: Map<number, string>) => [...roles].sort(([a], [b]) => a - b)

test('joint changes end where simple ones would, and the halves are right meanwhile', async () => {
  fc.assert(
    fc.property(fc.array(fc.array(single, { maxLength: 5 }), { maxLength: 5 }), (rounds) => {
      let present = changeSimply(nobody, [{ type: 'ConfChangeAddNode', nodeId: 1 }], newcomer)
      for (const changes of rounds) {
        const before = rolesOf(present)
        const after = rolesAfter(before, changes)
        const enter = () => enterJoint(present, true, changes, newcomer)
        if (![...after.values()].includes('voter')) {
          assert.throws(enter, { code: 'ERR_RAFT_CONF_CHANGE', message: 'removed all voters' })
          continue
        }
        const joint = enter()
        assert.deepEqual(joint.configuration.outgoing, present.configuration.incoming)
        assert.throws(() => enterJoint(joint, true, [], newcomer), {
          message: 'config is already joint',
        })
        // Whoever is in either half, or learns, has a progress, and nobody else.
        const { incoming, outgoing, learners, learnersNext } = joint.configuration
        const everyone = new Set([...incoming, ...outgoing, ...learners, ...learnersNext])
        assert.deepEqual(new Set(joint.progress.keys()), everyone)
        assert.ok([...learners].every((of) => !incoming.has(of) && !outgoing.has(of)))
        const restored = restoreMembership(toConfState(joint.configuration), newcomer)
        assert.deepEqual(toConfState(restored.configuration), toConfState(joint.configuration))
        present = leaveJoint(joint, newcomer)
        assert.deepEqual(sorted(rolesOf(present)), sorted(after))
        assert.deepEqual([...present.progress.keys()].sort(), [...after.keys()].sort())
      }
    }),
    { numRuns: 60 },
  )
})

test('a simple change moves one voter at most', async () => {
  fc.assert(
    fc.property(voters, fc.array(single, { maxLength: 3 }), (set, changes) => {
      const none = { votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false }
      const present = restoreMembership({ voters: [...set], ...none }, newcomer)
      const after = rolesAfter(rolesOf(present), changes)
      const next = new Set([...after].filter(([, role]) => role === 'voter').map(([of]) => of))
      const moved = [1, 2, 3, 4, 5, 6].filter((of) => set.has(of) !== next.has(of)).length
      if (next.size === 0 || moved > 1) {
        assert.throws(() => changeSimply(present, changes, newcomer), {
          code: 'ERR_RAFT_CONF_CHANGE',
        })
      } else {
        assert.deepEqual(sorted(rolesOf(changeSimply(present, changes, newcomer))), sorted(after))
      }
    }),
  )
})

test('a configuration that contradicts itself is refused', async (t) => {
  const sound = {
    voters: [1],
    votersOutgoing: [2],
    learners: [3],
    learnersNext: [2],
    autoLeave: true,
  }
  t.doesNotThrow(() => restoreMembership(sound, newcomer))
  for (const broken of [
    { ...sound, learnersNext: [4] },
    { ...sound, learners: [1] },
    { ...sound, learners: [2] },
    { ...sound, votersOutgoing: [], learnersNext: [], autoLeave: true },
  ]) {
    t.throws(() => restoreMembership(broken, newcomer), { code: 'ERR_RAFT_CONF_CHANGE' })
  }
  t.throws(() => changeSimply(restoreMembership(sound, newcomer), [], newcomer))
  t.throws(() => leaveJoint(nobody, newcomer), { message: "can't leave a non-joint config" })
})

const entry: fc.Arbitrary<Entry> = fc.record({
  term: fc.maxSafeNat(),
  index: fc.maxSafeNat(),
  type: fc.constant('EntryNormal' as const),
  data: bytes,
})

test('sizes are those of the protobuf encoding', async (t) => {
  const varint = (value: number): number => Math.max(1, Math.ceil(value.toString(2).length / 7))
  fc.assert(fc.property(fc.maxSafeNat(), (value) => varintSize(value) === varint(value)))
  for (const power of [7, 14, 21, 28, 31, 32, 35, 42, 49, 53]) {
    t.equal(varintSize(2 ** power - 1), varint(2 ** power - 1))
    if (power < 53) t.equal(varintSize(2 ** power), varint(2 ** power))
  }
  fc.assert(
    fc.property(entry, (given) => {
      const { length } = given.data
      const data = length === 0 ? 0 : 1 + varint(length) + length
      return entrySize(given) === 4 + varint(given.term) + varint(given.index) + data
    }),
  )
})

test('entries are cut to a size, but never to nothing', async () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), fc.nat(900), fc.nat(2), (all, limit, from) => {
      const entries = all.slice(from)
      const kept = sliceWithin(all, from, Math.max(from, all.length), limit)
      const next = entries.slice(0, kept.length + 1)
      const fits = kept.length <= 1 || entriesSize(kept) <= limit
      const isLongest = kept.length === entries.length || entriesSize(next) > limit
      return fits && isLongest && (entries.length === 0 || kept.length > 0)
    }),
  )
})

test('the window of what is on its way', async () => {
  const step = fc.oneof(
    fc.record({ add: fc.nat(50) }),
    fc.record({ free: fc.nat(40) }),
    fc.constant({ reset: true }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const limits = { messagesMax: 5, bytesMax: 120 }
      const window = new Inflights(limits)
      let model: { index: number; bytes: number }[] = []
      let next = 0
      for (const given of steps) {
        if ('add' in given) {
          next += 1
          window.add(next, given.add)
          model.push({ index: next, bytes: given.add })
        } else if ('free' in given) {
          window.freeUpTo(given.free)
          model = model.filter(({ index }) => index > given.free)
        } else {
          window.reset()
          model = []
        }
        const size = model.reduce((sum, { bytes: of }) => sum + of, 0)
        assert.equal(window.count, model.length)
        assert.equal(window.full, model.length >= 5 || size >= 120)
      }
    }),
    { numRuns: 50 },
  )
})
