/** The contract between the core and its driver: settings, work handed out once, messages that are refused. */
import fc from 'fast-check'
import { test } from 'tap'
import { resolveConfig } from '../../src/raft/config.ts'
import { noLimit } from '../../src/raft/entry-size.ts'
import { raftLimits } from '../../src/raft/limits.ts'
import { MemoryStorage } from '../../src/raft/memory-storage.ts'
import { RaftError } from '../../src/raft/raft-error.ts'
import { RawNode } from '../../src/raft/raw-node.ts'
import {
  createMessage,
  type Entry,
  entryTypes,
  localAppendThread,
  localApplyThread,
  type Message,
  messageTypes,
} from '../../src/raft/types.ts'
import { bytes, entriesOf, LoneMember, RaftGroup } from '../support/raft-group.ts'

const plain = {
  ...{ id: 1, electionTicks: 10, heartbeatTicks: 1, random: () => 0.5 },
  storage: new MemoryStorage(),
}

test('settings have defaults that are safe', async (t) => {
  t.match(resolveConfig(plain), {
    ...{ preVote: true, checkQuorum: true, stepDownOnRemoval: true, validateConfChanges: true },
    ...{ readMode: 'safe', asyncStorageWrites: false, forwardProposals: true, applied: 0 },
    messageBytesMax: raftLimits.messageBytesMax,
    inflightBytesMax: raftLimits.inflightBytesMax,
  })
  t.match(resolveConfig({ ...plain, messageBytesMax: 0, uncommittedBytesMax: 0 }), {
    ...{ messageBytesMax: noLimit, inflightBytesMax: noLimit, uncommittedBytesMax: noLimit },
  })
})

test('settings that do not fit are refused', async (t) => {
  for (const wrong of [
    { id: 0 },
    { id: 1.5 },
    { id: localApplyThread },
    { id: localAppendThread },
    { heartbeatTicks: 0 },
    { electionTicks: 1 },
    { inflightMessagesMax: 0 },
    { messageBytesMax: -1 },
    { uncommittedBytesMax: Number.NaN },
    { inflightBytesMax: 10, messageBytesMax: 20 },
    { applied: -1 },
    { readMode: 'lease' as const, checkQuorum: false },
  ]) {
    const make = () => new RawNode({ ...plain, ...wrong })
    t.throws(make, { code: 'ERR_RAFT_CONFIG', name: 'RaftError' }, JSON.stringify(wrong))
  }
})

test('storage that lost what it promised is refused', async (t) => {
  const storage = new MemoryStorage()
  storage.append(entriesOf(1, 1).map((entry, at) => ({ ...entry, index: at + 1 })))
  storage.hardState = { term: 1, vote: 0, commit: 3 }
  const broken = { code: 'ERR_RAFT_INVARIANT' }
  t.throws(() => new RawNode({ ...plain, storage }), broken, 'the commit index is beyond the end')
  storage.hardState = { term: 1, vote: 0, commit: 1 }
  t.throws(() => new RawNode({ ...plain, storage, applied: 3 }), broken, 'so is what is applied')
  const node = new RawNode({ ...plain, storage, applied: 2 })
  t.equal(node.status().commit, 2, 'what is applied was committed')
})

test('work is handed out once, and done before more is taken', async (t) => {
  const member = new LoneMember([])
  t.equal(member.node.hasReady(), false)
  member.node.campaign()
  t.equal(member.node.hasReady(), true)
  const ready = member.node.ready()
  t.match(ready, { softState: { state: 'StateCandidate' }, hardState: { term: 1, vote: 1 } })
  t.throws(() => member.node.ready(), { code: 'ERR_RAFT_INVARIANT' })
  member.storage.hardState = ready.hardState as typeof member.storage.hardState
  member.node.advance()
  t.equal(member.state, 'StateLeader', 'the own vote counts when it is on disk')
  const next = member.node.ready()
  t.match(next, { hardState: undefined, entries: [{ index: 2 }], committedEntries: [] })
  member.storage.append(next.entries)
  member.node.advance()
  const last = member.node.ready()
  t.match(last, { entries: [], committedEntries: [{ index: 2 }], mustSync: false })
  t.match(last.hardState, { commit: 2 })
})

test('asynchronous writes: the core goes on while the disk works', async (t) => {
  const group = RaftGroup.start(3, { asyncStorageWrites: true })
  const leader = group.elect(1)
  for (const command of ['a', 'b', 'c']) {
    leader.node.propose(bytes(command))
    // Nothing is written yet, but everything is on its way.
    group.network.push(...leader.process())
  }
  t.equal(group.network.filter(({ type, to }) => type === 'MsgApp' && to === 2).length, 3)
  t.equal(leader.storage.lastIndex(), 2)
  group.deliver()
  for (const id of [2, 3]) group.process(id)
  group.deliver()
  t.equal(leader.commit, 5, 'two others have it on disk, the leader not yet')
  if (leader.node.hasReady()) group.network.push(...leader.process())
  leader.workApply()
  t.strictSame(leader.applied, [], 'and so it is not applied here')
  group.settle()
  for (const id of [1, 2, 3]) {
    t.strictSame(group.member(id).applied, ['a', 'b', 'c'])
    t.match(group.member(id).storage.hardState, { term: 1, vote: 1 })
  }
  t.throws(() => leader.node.advance(), { code: 'ERR_RAFT_INVARIANT' })
})

test('asynchronous writes: what is lost in a crash was never promised', async (t) => {
  const group = RaftGroup.start(3, { asyncStorageWrites: true })
  group.elect(1)
  group.propose(1, 'lost')
  group.network.push(...group.member(1).process())
  group.deliver()
  for (const id of [2, 3]) {
    const said = group.member(id).process()
    t.notOk(
      said.some(({ type }) => type === 'MsgAppResp'),
      'no acknowledgement before the disk',
    )
    group.member(id).restart()
    t.equal(group.member(id).storage.lastIndex(), 2)
  }
})

test('asynchronous writes: an old write that happens to look right confirms nothing', async (t) => {
  const member = new LoneMember([2, 3], { asyncStorageWrites: true })
  const hear = (term: number, from: number, index: number, logTerm: number, terms: number[]) => {
    const entries = terms.map((of, at): Entry => {
      return { term: of, index: index + 1 + at, type: 'EntryNormal', data: bytes('') }
    })
    const message = { type: 'MsgApp' as const, to: 1, from, term, index, logTerm, entries }
    const refusal = member.node.step(createMessage(message))
    t.equal(refusal, undefined)
  }
  // Entry 2 of term 1, then of term 2, then of term 1 again from the first leader, now in term 3; all still to be written.
  hear(1, 2, 1, 1, [1])
  member.process()
  hear(2, 3, 1, 1, [2])
  member.process()
  hear(3, 2, 1, 1, [1])
  member.process()
  // The first write is done, and then the second one lies on the disk.
  member.workAppend()
  member.workAppend()
  t.strictSame(member.log, ['2/2'])
  hear(3, 2, 2, 1, [3])
  t.match(member.work(), [
    { type: 'MsgAppResp', reject: false, index: 2 },
    { type: 'MsgAppResp', reject: false, index: 3 },
  ])
  t.strictSame(member.log, ['1/2', '3/3'])
})

test('a local message goes to its own member', async (t) => {
  const member = new LoneMember([2])
  const message = createMessage({ type: 'MsgStorageApplyResp', to: 2, from: localApplyThread })
  t.throws(() => member.node.stepLocal(message), { code: 'ERR_RAFT_INVARIANT' })
})

test('what only the core itself may say is refused from outside', async (t) => {
  for (const type of [
    ...(['MsgHup', 'MsgBeat', 'MsgUnreachable', 'MsgSnapStatus', 'MsgCheckQuorum'] as const),
    ...(['MsgStorageAppend', 'MsgStorageAppendResp', 'MsgForgetLeader'] as const),
    ...(['MsgStorageApply', 'MsgStorageApplyResp'] as const),
  ]) {
    const member = new LoneMember([2])
    for (const from of [2, localAppendThread, localApplyThread]) {
      const message = createMessage({ type, to: 1, from, term: 1 })
      t.equal(member.node.step(message), 'ERR_LOCAL_MESSAGE', type)
    }
  }
})

test('answers of strangers and messages that contradict themselves are refused', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  const { node } = group.member(1)
  const step = (given: Partial<Message> & Pick<Message, 'type'>) =>
    node.step(createMessage({ to: 1, from: 2, term: 1, ...given }))
  t.equal(step({ type: 'MsgAppResp', from: 9 }), 'ERR_UNKNOWN_PEER')
  t.equal(step({ type: 'MsgVoteResp', from: 9 }), 'ERR_UNKNOWN_PEER')
  const [first, second] = entriesOf(1, 1) as [Entry, Entry]
  const confChange = { ...first, type: 'EntryConfChangeV2' as const, data: bytes('\xff\xff') }
  const wrong: (Partial<Message> & Pick<Message, 'type'>)[] = [
    { type: 'MsgHeartbeat', term: 0 },
    { type: 'MsgVote', term: 1.5 },
    { type: 'MsgVote', index: -1 },
    { type: 'MsgVote', term: 2 ** 53 },
    { type: 'MsgHeartbeat', commit: Number.NaN },
    { type: 'MsgApp', index: 1, entries: [second] },
    { type: 'MsgApp', index: 1, entries: [first, first] },
    { type: 'MsgApp', index: 1, entries: [{ ...first, term: 9 }] },
    { type: 'MsgApp', index: 1, logTerm: 2, term: 3, entries: [first] },
    { type: 'MsgSnap' },
    { type: 'MsgProp', term: 0 },
    { type: 'MsgProp', term: 0, entries: [confChange] },
    { type: 'MsgReadIndex', term: 0 },
    { type: 'MsgReadIndexResp', entries: [] },
  ]
  for (const message of wrong) {
    t.equal(step(message), 'ERR_MALFORMED_MESSAGE', JSON.stringify(message))
  }
  t.match(node.status(), { state: 'StateLeader', term: 1 })
})

const index = fc.oneof(fc.nat(6), fc.integer(), fc.maxSafeNat(), fc.double())
const entry = fc.record({
  ...{ term: index, index, type: fc.constantFrom(...entryTypes) },
  data: fc.uint8Array({ maxLength: 8 }),
})
const message: fc.Arbitrary<Message> = fc.record({
  type: fc.constantFrom(...messageTypes),
  to: fc.constant(1),
  from: fc.oneof(fc.constantFrom(2, 3, 0, 9, localAppendThread), index),
  ...{ term: index, logTerm: index, index, commit: index, vote: index, rejectHint: index },
  entries: fc.array(entry, { maxLength: 3 }),
  snapshot: fc.option(
    fc.record({
      ...{ index, term: index, data: fc.constant(bytes('[]')) },
      confState: fc.record({
        voters: fc.array(fc.nat(4), { maxLength: 3 }),
        votersOutgoing: fc.array(fc.nat(4), { maxLength: 2 }),
        learners: fc.array(fc.nat(4), { maxLength: 2 }),
        learnersNext: fc.array(fc.nat(4), { maxLength: 1 }),
        autoLeave: fc.boolean(),
      }),
    }),
    { nil: undefined },
  ),
  reject: fc.boolean(),
  context: index,
  responses: fc.constant([]),
})

test('whatever arrives, the core refuses it, takes it, or stops by its own rules', async () => {
  const codes = ['ERR_RAFT_INVARIANT', 'ERR_RAFT_CONF_CHANGE', 'ERR_RAFT_SNAPSHOT_OUT_OF_DATE']
  fc.assert(
    fc.property(fc.array(message, { maxLength: 20 }), fc.boolean(), (messages, leads) => {
      const member = new LoneMember([2, 3], {}, entriesOf(1, 1))
      if (leads) {
        member.node.campaign()
        member.work()
        member.hear({ type: 'MsgVoteResp', from: 2 })
      }
      try {
        for (const given of messages) {
          member.node.step(given)
          member.work()
        }
      } catch (error) {
        return error instanceof RaftError && codes.includes(error.code)
      }
      return true
    }),
    { numRuns: 500 },
  )
})

test('proposals find the leader, or come back', async (t) => {
  const group = RaftGroup.start(3, { forwardProposals: true })
  t.equal(group.propose(2, 'nobody leads'), 'ERR_PROPOSAL_DROPPED')
  group.elect(1)
  t.equal(group.propose(2, 'forwarded'), undefined)
  group.settle()
  t.strictSame(group.member(3).applied, ['forwarded'])
  group.isolate(3)
  group.member(3).node.campaign()
  t.equal(group.propose(3, 'a candidate'), 'ERR_PROPOSAL_DROPPED')
  const strict = RaftGroup.start(3, { forwardProposals: false })
  strict.elect(1)
  t.equal(strict.propose(2, 'not here'), 'ERR_PROPOSAL_DROPPED')
})

test('a follower that forgets its leader may vote for another', async (t) => {
  const group = RaftGroup.start(3, { checkQuorum: true, preVote: true })
  group.elect(1)
  group.isolate(1)
  group.member(2).node.campaign()
  group.settle()
  t.equal(group.member(2).state, 'StatePreCandidate')
  group.member(3).node.forgetLeader()
  t.match(group.member(3).node.status(), { lead: 0, term: 1 })
  group.member(2).node.campaign()
  group.settle()
  t.equal(group.member(2).state, 'StateLeader')
})

test('the election timeout can be set until the role changes', async (t) => {
  const member = new LoneMember([2])
  member.node.setElectionTimeout(2)
  member.tick(1)
  t.equal(member.state, 'StateFollower')
  member.tick(1)
  t.equal(member.state, 'StateCandidate')
  member.tick(9)
  t.equal(member.term, 1, 'drawn anew')
})

test('what is not fit to lead does not campaign', async (t) => {
  const lines: string[] = []
  const logger = { warn: (line: string) => lines.push(line) }
  const stranger = new RawNode({ ...plain, storage: new MemoryStorage(), logger })
  stranger.campaign()
  t.match(lines.splice(0), ['1 is unpromotable and can not campaign'])
  const group = RaftGroup.start(3, { logger })
  group.elect(1)
  group.change(1, [{ type: 'ConfChangeAddNode', nodeId: 4 }])
  group.settle(({ to }) => to === 2)
  group.deliver()
  const follower = group.member(2).node
  follower.campaign()
  t.match(lines, [], 'it has not heard that the change is committed')
})

test('a committed change of members must be applied before a campaign', async (t) => {
  const lines: string[] = []
  const logger = { warn: (line: string) => lines.push(line) }
  const group = RaftGroup.start(3, { asyncStorageWrites: true, logger })
  group.elect(1)
  group.change(1, [{ type: 'ConfChangeAddNode', nodeId: 4 }])
  group.settle(({ commit, to }) => to === 2 && commit > 2)
  group.deliver()
  group.member(2).process()
  t.equal(group.member(2).commit, 3)
  group.member(2).node.campaign()
  t.match(lines, [/cannot campaign at term 1 since there are still pending configuration changes/])
  t.equal(group.member(2).state, 'StateFollower')
})

test('status tells what operators ask for', async (t) => {
  const group = RaftGroup.start(2)
  group.elect(1)
  t.match(group.member(1).node.status(), {
    ...{ id: 1, term: 1, vote: 1, commit: 2, applied: 2, lead: 1, state: 'StateLeader' },
    ...{ leadTransferee: 0, confState: { voters: [1, 2] } },
    progress: [
      { id: 1, match: 2, isLearner: false },
      { id: 2, match: 2, next: 3, recentActive: true, description: /^StateReplicate match=2/ },
    ],
  })
  t.strictSame(group.member(2).node.status().progress, [])
})
