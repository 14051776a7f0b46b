/** Linearizable reads without a log entry: section 6.4 of the thesis, by index and by lease. */
import { test } from 'tap'
import { raftLimits } from '../../src/raft/limits.ts'
import { createMessage, type ReadState } from '../../src/raft/types.ts'
import { bytes, type MemberSettings, RaftGroup, text } from '../support/raft-group.ts'

const read = (group: RaftGroup, id: number, name: string) => {
  return group.member(id).node.readIndex(bytes(name))
}

const answers = (reads: readonly ReadState[]): string[] =>
  reads.map(({ index, requestContext }) => `${text(requestContext)} at ${index}`)

const lease: MemberSettings = { checkQuorum: true, readMode: 'lease' }

test('a read waits for a round of heartbeats', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  t.equal(read(group, 1, 'r'), undefined)
  group.process(1)
  t.strictSame(answers(group.member(1).reads), [], 'it could have been replaced already')
  group.settle()
  t.strictSame(answers(group.member(1).reads), ['r at 2'])
})

test('a follower asks the leader, and who knows no leader cannot ask', async (t) => {
  const group = RaftGroup.start(3)
  t.equal(read(group, 2, 'early'), 'ERR_READ_DROPPED')
  group.elect(1)
  t.equal(read(group, 2, 'r'), undefined)
  group.settle()
  t.strictSame(answers(group.member(2).reads), ['r at 2'])
  t.strictSame(group.member(1).reads, [])
  group.isolate(3)
  group.member(3).node.campaign()
  t.equal(read(group, 3, 'candidate'), 'ERR_READ_DROPPED')
})

test('a leader that was replaced answers no read', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.isolate(1)
  group.elect(2)
  group.propose(2, 'newer')
  group.settle()
  read(group, 1, 'stale')
  group.tick(1, 5)
  group.settle()
  t.equal(group.member(1).state, 'StateLeader', 'it does not know yet')
  t.strictSame(group.member(1).reads, [])
  group.heal()
  group.tickAll(3)
  t.strictSame(group.member(1).reads, [], 'nor later, when it does')
  group.elect(1)
  group.tickAll(3)
  t.strictSame(group.member(1).reads, [], 'nor when it leads again')
})

test('a new leader answers when it has committed an entry of its term', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.propose(1, 'x')
  // Member 2 has the entry and does not know that it is committed.
  group.process(1)
  group.deliver()
  group.process(2)
  group.process(3)
  group.drop()
  group.isolate(1)
  group.member(2).node.campaign()
  group.settle(({ type }) => type === 'MsgApp')
  t.equal(group.member(2).state, 'StateLeader')
  t.equal(group.member(2).commit, 2, 'too low')
  read(group, 2, 'r')
  group.settle(({ type }) => type === 'MsgApp')
  t.strictSame(group.member(2).reads, [])
  group.settle()
  t.strictSame(answers(group.member(2).reads), ['r at 4'])
})

test('one member alone waits for its first commit, too', async (t) => {
  const group = RaftGroup.start(1)
  group.elect(1)
  group.propose(1, 'x')
  group.settle()
  const { storage } = group.member(1)
  storage.hardState = { ...storage.hardState, commit: 2 }
  group.member(1).restart()
  group.member(1).node.campaign()
  group.member(1).process()
  read(group, 1, 'r')
  t.strictSame(answers(group.member(1).reads), [])
  group.settle()
  t.strictSame(answers(group.member(1).reads), ['r at 4'])
  read(group, 1, 'again')
  group.settle()
  t.strictSame(answers(group.member(1).reads), ['r at 4', 'again at 4'])
})

test('one round of heartbeats serves all reads before it, and none after', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  for (const name of ['a', 'b']) read(group, 1, name)
  group.process(1)
  // The answers to the first two rounds are on their way when the third read comes.
  group.deliver()
  for (const id of [2, 3]) group.process(id)
  read(group, 1, 'c')
  group.deliver()
  group.process(1)
  t.strictSame(answers(group.member(1).reads), ['a at 2', 'b at 2'])
  group.settle()
  t.strictSame(answers(group.member(1).reads), ['a at 2', 'b at 2', 'c at 2'])
})

test('an answer to a later round confirms earlier reads', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  read(group, 1, 'a')
  group.process(1)
  group.drop('MsgHeartbeat')
  group.tick(1)
  group.settle()
  t.strictSame(answers(group.member(1).reads), ['a at 2'], 'the next heartbeat carries it on')
})

test('reads with the same name are all answered', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  for (const id of [1, 2, 3]) for (const name of ['r', 'r']) read(group, id, name)
  group.settle()
  for (const id of [1, 2, 3]) {
    t.strictSame(answers(group.member(id).reads), ['r at 2', 'r at 2'], `member ${id}`)
  }
})

test('learners and strangers confirm nothing', async (t) => {
  const group = RaftGroup.start(3)
  group.add(4)
  group.elect(1)
  group.change(1, [{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }])
  group.settle()
  group.isolate(2)
  group.isolate(3)
  read(group, 1, 'r')
  group.settle()
  t.strictSame(group.member(1).reads, [])
  const { term } = group.member(1)
  const forged = { type: 'MsgHeartbeatResp' as const, from: 9, to: 1, term, context: 1 }
  t.equal(group.member(1).node.step(createMessage(forged)), 'ERR_UNKNOWN_PEER')
})

test('too many reads that wait are refused', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.isolate(1)
  for (let count = 0; count < raftLimits.pendingReadsMax; count += 1) {
    group.member(1).node.step(
      createMessage({
        ...{ type: 'MsgReadIndex', from: 2, to: 1 },
        entries: [{ term: 0, index: 0, type: 'EntryNormal', data: bytes('r') }],
      }),
    )
    group.member(1).process()
  }
  t.equal(read(group, 1, 'r'), 'ERR_READ_DROPPED')
})

test('lease: reads are answered at once while it lasts', async (t) => {
  const group = RaftGroup.start(3, lease)
  group.elect(1)
  read(group, 1, 'first')
  t.strictSame(answers(group.member(1).reads), [], 'there is no lease before the first round')
  group.settle()
  group.tickAll()
  t.strictSame(answers(group.member(1).reads), ['first at 2'])
  group.isolate(1)
  read(group, 1, 'leased')
  group.process(1)
  t.strictSame(answers(group.member(1).reads), ['first at 2', 'leased at 2'])
})

test('lease: it ends before anybody votes for another', async (t) => {
  const group = RaftGroup.start(3, lease)
  group.elect(1)
  group.tickAll(3)
  group.isolate(1)
  let lastRead = 0
  let elected = 0
  for (let ticks = 1; ticks <= 30 && elected === 0; ticks += 1) {
    for (const id of [1, 2, 3]) group.tick(id)
    group.member(1).reads = []
    read(group, 1, 'r')
    group.settle()
    if (group.member(1).reads.length > 0) lastRead = ticks
    // Whoever is asked votes as early as it may.
    group.member(2).node.campaign()
    group.settle()
    if (group.member(2).state === 'StateLeader') elected = ticks
  }
  t.ok(lastRead > 0, `the last read was answered at tick ${lastRead}`)
  t.ok(lastRead < elected, `and the next leader elected at tick ${elected}`)
})

test('lease: a transfer of leadership ends it for the term', async (t) => {
  const group = RaftGroup.start(3, lease)
  group.elect(1)
  group.tickAll(2)
  group.member(1).node.transferLeader(2)
  group.process(1)
  group.deliver(({ type }) => type === 'MsgTimeoutNow')
  read(group, 1, 'r')
  group.process(1)
  t.strictSame(group.member(1).reads, [], 'the other may be elected at any moment')
  const held = group.network.filter(({ type }) => type === 'MsgTimeoutNow')
  t.equal(held.length, 1)
  group.tick(1, 10)
  group.drop()
  group.tickAll(2)
  group.isolate(1)
  group.member(1).reads = []
  read(group, 1, 'later')
  group.process(1)
  t.strictSame(group.member(1).reads, [], 'also when the transfer was given up')
})

test('lease: a member that restarts waits before it votes', async (t) => {
  for (const readMode of ['lease', 'safe'] as const) {
    const group = RaftGroup.start(3, { checkQuorum: true, readMode })
    group.elect(1)
    group.tickAll(2)
    group.isolate(1)
    for (const id of [2, 3]) group.member(id).restart()
    group.member(2).node.campaign()
    group.settle()
    const isLeader = group.member(2).state === 'StateLeader'
    t.equal(isLeader, readMode === 'safe', readMode)
    group.tick(3, 10)
    group.member(2).node.campaign()
    group.settle()
    t.equal(group.member(2).state, 'StateLeader')
  }
})

test('lease: followers do not forget their leader', async (t) => {
  const group = RaftGroup.start(3, lease)
  group.elect(1)
  group.member(2).node.forgetLeader()
  t.equal(group.member(2).node.status().lead, 1)
})
