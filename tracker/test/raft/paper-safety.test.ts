/** The behaviours of the paper beyond figure 2: 5.4.1 and 5.4.2, section 6, and 3.10 of the thesis. */
import { test } from 'tap'
import { createMessage, type Message } from '../../src/raft/types.ts'
import { RaftGroup } from '../support/raft-group.ts'

test('5.4.1: whoever lacks a committed entry is not elected', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.isolate(3)
  group.propose(1, 'kept')
  group.settle()
  group.heal()
  group.isolate(1)
  for (let left = 3; left > 0; left -= 1) {
    group.member(3).node.campaign()
    group.settle()
    t.not(group.member(3).state, 'StateLeader')
  }
  group.elect(2)
  group.tickAll()
  t.strictSame(group.member(3).applied, ['kept'])
})

test('5.4.2: an entry of an earlier term on a majority is not committed by that', async (t) => {
  // One entry a message, so that the old entry can arrive without the new one.
  const group = RaftGroup.start(5, { messageBytesMax: 1 })
  group.elect(1)
  const { commit } = group.member(1)
  const holders = (): number[] =>
    [1, 2, 3, 4, 5].filter((id) => group.member(id).log.some((line) => line.endsWith('first')))
  // (a) The entry of the first term is on 1 and 2 only.
  group.cut([1, 2], [3, 4, 5])
  group.propose(1, 'first')
  group.settle()
  t.strictSame(holders(), [1, 2])
  // (b) Member 5 leads the second term with the votes of 3 and 4; its own entry reaches nobody.
  group.member(5).node.campaign()
  group.settle(({ type }) => type === 'MsgApp')
  group.drop()
  t.match(group.member(5).node.status(), { state: 'StateLeader', term: 2 })
  // (c) Member 1 leads the third term with 2 and 3, and brings its old entry to 3; its new one reaches nobody.
  group.heal()
  group.isolate(4)
  group.isolate(5)
  group.member(1).restart()
  group.member(1).node.campaign()
  group.settle()
  group.member(1).node.campaign()
  group.settle(({ to, entries }) => {
    const isNew = entries.some(({ term }) => term === 3)
    return isNew && (to === 2 || holders().includes(3))
  })
  group.drop()
  t.match(group.member(1).node.status(), { state: 'StateLeader', term: 3 })
  t.strictSame(holders(), [1, 2, 3], 'the old entry is on a majority')
  t.equal(group.member(1).commit, commit, 'and is not committed')
  // (d) For member 5 can still win, as its last entry is of a later term, and replaces it.
  group.heal()
  group.isolate(1)
  group.member(5).restart()
  group.member(5).node.campaign()
  group.settle()
  group.member(5).node.campaign()
  group.settle()
  t.match(group.member(5).node.status(), { state: 'StateLeader', term: 4 })
  group.heal()
  group.tickAll(3)
  t.strictSame(holders(), [])
  const logs = [1, 2, 3, 4, 5].map((id) => group.member(id).log.join())
  t.equal(new Set(logs).size, 1, 'all logs are the same in the end')
  for (const id of [1, 2, 3, 4, 5]) t.strictSame(group.member(id).applied, [])
})

test('5.4.2: an entry of the own term commits all that lie before it', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.propose(1, 'old')
  group.process(1)
  group.deliver(({ to }) => to === 3)
  group.process(2)
  group.drop()
  t.strictSame(group.member(2).applied, [])
  group.isolate(1)
  group.elect(2)
  t.strictSame(group.member(2).applied, ['old'])
  t.strictSame(group.member(3).applied, ['old'])
})

test('6: a removed server does not disturb those who hear their leader', async (t) => {
  const settings = { checkQuorum: true }
  const group = RaftGroup.start(4, settings)
  group.elect(1)
  group.change(1, [{ type: 'ConfChangeRemoveNode', nodeId: 4 }])
  // Member 4 never hears that it is out, so it campaigns again and again with higher and higher terms.
  group.isolate(4)
  group.settle()
  group.heal()
  group.tickAll(2)
  const { term } = group.member(1)
  for (let left = 5; left > 0; left -= 1) {
    group.member(4).node.campaign()
    group.settle()
    group.tickAll()
    t.match(group.member(1).node.status(), { state: 'StateLeader', term })
  }
  t.ok(group.member(4).term > term)
  t.equal(group.propose(1, 'undisturbed'), undefined)
  group.settle()
  t.strictSame(group.member(3).applied, ['undisturbed'])
})

test('6: with check-quorum and nobody to hear, a vote is given', async (t) => {
  const group = RaftGroup.start(3, { checkQuorum: true })
  group.elect(1)
  group.isolate(1)
  group.member(2).node.campaign()
  group.settle()
  t.equal(group.member(2).state, 'StateCandidate', 'member 3 heard its leader just now')
  group.tick(3, 10)
  group.member(2).node.campaign()
  group.settle()
  t.equal(group.member(2).state, 'StateLeader')
})

test('thesis 9.6: a server that was cut off comes back without raising the term', async (t) => {
  for (const preVote of [true, false]) {
    const group = RaftGroup.start(3, { preVote })
    group.elect(1)
    group.isolate(3)
    for (let left = 5; left > 0; left -= 1) {
      group.tick(3, 20)
      group.process(3)
    }
    group.drop()
    t.equal(group.member(3).term > 1, !preVote)
    group.propose(1, 'meanwhile')
    group.settle()
    group.heal()
    group.tickAll(40)
    t.equal(group.leader.term > 1, !preVote, 'everyone has to follow the higher term')
    if (preVote) t.strictSame(group.member(3).applied, ['meanwhile'])
  }
})

test('6.2 of the thesis: a leader without a quorum steps down', async (t) => {
  for (const checkQuorum of [true, false]) {
    const group = RaftGroup.start(3, { checkQuorum })
    group.elect(1)
    group.isolate(1)
    group.tick(1, 20)
    t.equal(group.member(1).state, checkQuorum ? 'StateFollower' : 'StateLeader')
  }
})

test('4.2.2 of the thesis: a leader that removes itself leads until that is committed', async (t) => {
  for (const stepDownOnRemoval of [true, false]) {
    const group = RaftGroup.start(3, { stepDownOnRemoval })
    group.elect(1)
    group.change(1, [{ type: 'ConfChangeRemoveNode', nodeId: 1 }])
    group.process(1)
    t.equal(group.member(1).state, 'StateLeader')
    group.settle()
    t.equal(group.member(1).state, stepDownOnRemoval ? 'StateFollower' : 'StateLeader')
    t.strictSame(group.member(2).node.status().confState.voters, [2, 3])
    t.equal(group.propose(1, 'no'), 'ERR_PROPOSAL_DROPPED')
    group.elect(2)
    group.propose(2, 'yes')
    group.settle()
    t.strictSame(group.member(3).applied, ['yes'])
  }
})

test('4.1 of the thesis: one change of members at a time', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.change(1, [{ type: 'ConfChangeRemoveNode', nodeId: 2 }])
  group.change(1, [{ type: 'ConfChangeRemoveNode', nodeId: 3 }])
  group.settle()
  t.strictSame(group.member(1).node.status().confState.voters, [1, 3], 'the second one was void')
  group.change(1, [{ type: 'ConfChangeRemoveNode', nodeId: 3 }])
  group.settle()
  t.strictSame(group.member(1).node.status().confState.voters, [1])
})

test('4.1 of the thesis: a new leader waits for the change that it inherits', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.change(1, [{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }])
  group.process(1)
  group.deliver()
  group.process(2)
  group.drop()
  group.isolate(1)
  group.member(2).node.campaign()
  group.settle(({ type }) => type === 'MsgApp')
  t.equal(group.member(2).state, 'StateLeader')
  group.change(2, [{ type: 'ConfChangeRemoveNode', nodeId: 3 }])
  group.settle()
  const { voters, learners } = group.member(2).node.status().confState
  t.strictSame([voters, learners], [[1, 2, 3], [4]])
})

test('a change that would stop every member is void', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  const remove = [1, 2, 3].map((nodeId) => ({ type: 'ConfChangeRemoveNode' as const, nodeId }))
  const same = [{ type: 'ConfChangeAddNode' as const, nodeId: 1 }]
  t.equal(group.change(1, remove), undefined)
  group.settle()
  t.strictSame(group.member(1).node.status().confState.voters, [1, 2, 3], 'nobody would be left')
  group.change(1, same, 'ConfChangeTransitionJointExplicit')
  group.settle()
  group.change(1, [], 'ConfChangeTransitionJointExplicit')
  group.settle()
  const { confState } = group.member(2).node.status()
  t.strictSame(confState.votersOutgoing, [1, 2, 3], 'empty, and yet not the way out')
  group.change(1, [])
  group.settle()
  t.strictSame(group.member(2).node.status().confState.votersOutgoing, [])
})

test('4.3 of the thesis: joint consensus needs both majorities', async (t) => {
  const group = RaftGroup.start(3)
  for (const id of [4, 5, 6]) group.add(id)
  group.elect(1)
  const swap = [4, 5, 6].flatMap((nodeId, at) => [
    { type: 'ConfChangeAddNode' as const, nodeId },
    { type: 'ConfChangeRemoveNode' as const, nodeId: at + 1 },
  ])
  group.change(1, swap, 'ConfChangeTransitionJointExplicit')
  group.settle()
  const joint = { voters: [4, 5, 6], votersOutgoing: [1, 2, 3] }
  for (const id of [1, 2, 3, 4, 5, 6]) t.match(group.member(id).node.status().confState, joint)
  // Three of the old and one of the new are a majority of all, and still not enough.
  group.isolate(5)
  group.isolate(6)
  group.propose(1, 'blocked')
  group.tickAll(2)
  t.strictSame(group.member(1).applied, [])
  group.heal()
  group.tickAll(2)
  t.strictSame(group.member(6).applied, ['blocked'])
  group.change(1, [])
  group.settle()
  t.match(group.member(4).node.status().confState, { voters: [4, 5, 6], votersOutgoing: [] })
  t.equal(group.member(1).state, 'StateFollower', 'the old leader is out')
  group.elect(5)
})

test('4.3 of the thesis: an election in a joint configuration needs both majorities', async (t) => {
  const group = RaftGroup.start(3)
  for (const id of [4, 5]) group.add(id)
  group.elect(1)
  const grow = [4, 5].map((nodeId) => ({ type: 'ConfChangeAddNode' as const, nodeId }))
  group.change(1, grow, 'ConfChangeTransitionJointExplicit')
  group.settle()
  group.cut([1, 2], [3, 4, 5])
  group.member(3).node.campaign()
  group.settle()
  t.equal(group.member(3).state, 'StateCandidate', 'three of five, but one of the old three')
  group.heal()
  group.elect(3)
})

test('4.2.1 of the thesis: a learner catches up without a vote', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.propose(1, 'a', 'b')
  group.settle()
  group.add(4)
  group.change(1, [{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }])
  group.settle()
  group.tickAll(2)
  t.strictSame(group.member(4).applied, ['a', 'b'])
  group.isolate(2)
  group.isolate(3)
  group.propose(1, 'not enough')
  group.tickAll(2)
  t.strictSame(group.member(1).applied, ['a', 'b'], 'a learner is no part of a majority')
  group.tick(4, 100)
  t.equal(group.member(4).state, 'StateFollower', 'and never campaigns')
  group.heal()
  group.tickAll(2)
  group.change(1, [{ type: 'ConfChangeAddNode', nodeId: 4 }])
  group.settle()
  t.strictSame(group.member(4).node.status().confState.voters, [1, 2, 3, 4])
  group.elect(4)
})

test('3.10 of the thesis: leadership is handed over without an election timeout', async (t) => {
  const group = RaftGroup.start(3, { checkQuorum: true, preVote: true })
  group.elect(1)
  group.isolate(3)
  group.propose(1, 'missed')
  group.settle()
  group.heal()
  group.member(1).node.transferLeader(3)
  t.equal(group.propose(1, 'late'), 'ERR_PROPOSAL_DROPPED', 'nothing new meanwhile')
  group.settle()
  group.tickAll()
  t.match(group.member(3).node.status(), { state: 'StateLeader', term: 2 })
  t.strictSame(group.member(3).applied, ['missed'])
})

test('7: a follower that is too far behind gets a snapshot', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.isolate(3)
  for (const command of ['a', 'b', 'c']) group.propose(1, command)
  group.settle()
  group.member(1).compact()
  group.heal()
  const kinds = new Set<string>()
  group.tick(1)
  group.settle((message: Message) => {
    kinds.add(message.type)
    return false
  })
  t.ok(kinds.has('MsgSnap'))
  t.strictSame(group.member(3).applied, ['a', 'b', 'c'])
  group.propose(1, 'd')
  group.settle()
  t.strictSame(group.member(3).applied, ['a', 'b', 'c', 'd'], 'then the log goes on')
})

test('7: a snapshot that is older than the log is ignored', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.propose(1, 'a')
  group.settle()
  group.member(1).compact()
  const snapshot = group.member(1).storage.snapshot()
  group.propose(1, 'b')
  group.settle()
  const late = createMessage({ type: 'MsgSnap', from: 1, to: 3, term: 1, snapshot })
  group.member(3).node.step(late)
  group.settle()
  t.strictSame(group.member(3).applied, ['a', 'b'])
})

test('all the logs agree and a crash of all members loses nothing that was applied', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.propose(1, 'a')
  group.propose(1, 'b')
  group.settle()
  for (const id of [1, 2, 3]) group.member(id).restart()
  group.elect(2)
  for (const id of [1, 2, 3]) t.strictSame(group.member(id).applied, ['a', 'b'])
})
