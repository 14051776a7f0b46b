/** How much a leader sends to whom: probing, windows, sizes, snapshots, and what it takes in itself. */
import { test } from 'tap'
import { emptyConfState } from '../../src/raft/memory-storage.ts'
import { Progress } from '../../src/raft/progress.ts'
import type { Message, Snapshot } from '../../src/raft/types.ts'
import { bytes, LoneMember, type MemberSettings, RaftGroup } from '../support/raft-group.ts'

/** A leader of 1, 2 and 3 to whom member 2 has answered: it is in the state of replication, member 3 in that of probing. */
function leader(settings: MemberSettings = {}): LoneMember {
  const member = new LoneMember([2, 3], settings)
  member.node.campaign()
  member.work()
  member.hear({ type: 'MsgVoteResp', from: 2 })
  member.hear({ type: 'MsgAppResp', from: 2, index: 2 })
  return member
}

const appendsTo = (messages: readonly Message[], to: number): string[] =>
  messages
    .filter((message) => message.type === 'MsgApp' && message.to === to)
    .map(({ entries }) => entries.map(({ index }) => index).join())

function propose(member: LoneMember, ...commands: string[]): Message[] {
  for (const command of commands) member.node.propose(bytes(command))
  return member.work()
}

test('a member that is probed gets one append until it is heard', async (t) => {
  const member = leader()
  t.strictSame(appendsTo(propose(member, 'a', 'b'), 3), [])
  const heard = member.hear({ type: 'MsgHeartbeatResp', from: 3 })
  t.strictSame(appendsTo(heard, 3), ['2,3,4'], 'the same again, with all that came since')
  t.strictSame(appendsTo(propose(member, 'c'), 3), [])
  const answered = member.hear({ type: 'MsgAppResp', from: 3, index: 4 })
  t.strictSame(appendsTo(answered, 3), ['5'], 'then it streams')
  t.strictSame(appendsTo(propose(member, 'd', 'e'), 3), ['6', '7'])
})

test('a window by messages', async (t) => {
  const member = leader({ inflightMessagesMax: 2 })
  t.strictSame(appendsTo(propose(member, 'a', 'b', 'c', 'd'), 2), ['3', '4'])
  const heartbeat = member.hear({ type: 'MsgHeartbeatResp', from: 2 })
  t.strictSame(appendsTo(heartbeat, 2), [''], 'an empty one finds out whether all was lost')
  t.strictSame(appendsTo(member.hear({ type: 'MsgHeartbeatResp', from: 2 }), 2), [''])
  const freed = member.hear({ type: 'MsgAppResp', from: 2, index: 3 })
  t.strictSame(
    appendsTo(freed, 2).filter((entries) => entries !== ''),
    ['5,6'],
    'one place is free, and one message takes all that waits',
  )
})

test('a window by bytes', async (t) => {
  const member = leader({ inflightBytesMax: 10, messageBytesMax: 10 })
  t.strictSame(
    appendsTo(propose(member, 'aaaaaaaa', 'bbbbbbbb', 'cccccccc'), 2),
    ['3', '4'],
    'the message that passes the limit is still sent',
  )
  const freed = member.hear({ type: 'MsgAppResp', from: 2, index: 4 })
  t.ok(appendsTo(freed, 2).includes('5'))
})

test('appends are cut to a size', async (t) => {
  const member = leader({ messageBytesMax: 30 })
  propose(member, 'a'.repeat(8), 'b'.repeat(8), 'c'.repeat(80), 'd')
  member.node.reportUnreachable(2)
  const rest = member.hear({ type: 'MsgHeartbeatResp', from: 2 })
  t.strictSame(appendsTo(rest, 2), ['3'])
  const streamed = member.hear({ type: 'MsgAppResp', from: 2, index: 3 })
  t.strictSame(
    appendsTo(streamed, 2).filter((entries) => entries !== ''),
    ['4', '5', '6'],
    'one that is larger than the limit goes alone',
  )
})

test('a member that cannot be reached is probed again', async (t) => {
  const member = leader()
  propose(member, 'a', 'b')
  member.node.reportUnreachable(2)
  t.match(member.node.status().progress[1], { id: 2, match: 2, next: 3 })
  const again = member.hear({ type: 'MsgHeartbeatResp', from: 2 })
  t.strictSame(appendsTo(again, 2), ['3,4'], 'from what it surely has')
})

test('bytes that are not committed have a limit', async (t) => {
  const member = leader({ uncommittedBytesMax: 10 })
  t.equal(member.node.propose(bytes('x'.repeat(50))), undefined, 'the first may have any size')
  t.equal(member.node.propose(bytes('y')), 'ERR_PROPOSAL_DROPPED')
  t.equal(member.node.propose(bytes('')), undefined, 'what is empty always passes')
  member.work()
  member.hear({ type: 'MsgAppResp', from: 2, index: 4 })
  t.equal(member.node.propose(bytes('z')), undefined, 'committing makes room')
  t.strictSame(member.applied, ['x'.repeat(50)])
})

test('several commands in one proposal stay together', async (t) => {
  const member = leader()
  t.equal(member.node.propose(bytes('a'), bytes('b')), undefined)
  t.equal(member.node.propose(), undefined)
  t.strictSame(appendsTo(member.work(), 2), ['3,4'])
})

/** A leader that has forgotten the log that member 3 needs. */
function compacted(): LoneMember {
  const member = leader()
  propose(member, 'a', 'b')
  member.hear({ type: 'MsgAppResp', from: 2, index: 4 })
  member.compact()
  return member
}

test('a snapshot goes to who answers, and to nobody else', async (t) => {
  const member = compacted()
  const unasked = [...member.tick(), ...propose(member, 'x')]
  t.strictSame(
    unasked.filter(({ type }) => type === 'MsgSnap'),
    [],
    'member 3 was never heard',
  )
  const said = member.hear({ type: 'MsgHeartbeatResp', from: 3 })
  t.match(
    said.filter(({ type }) => type === 'MsgSnap'),
    [{ to: 3, snapshot: { index: 4 } }],
  )
  t.strictSame(member.tick().filter(({ type }) => type === 'MsgSnap').length, 0, 'once')
  t.strictSame(appendsTo(propose(member, 'y'), 3), [], 'nothing else meanwhile')
})

test('a snapshot that did not arrive is sent again', async (t) => {
  const member = compacted()
  member.hear({ type: 'MsgHeartbeatResp', from: 3 })
  member.node.reportSnapshot(3, false)
  t.match(member.node.status().progress[2], { id: 3, match: 0, next: 1 })
  const again = member.hear({ type: 'MsgHeartbeatResp', from: 3 })
  t.equal(again.filter(({ type }) => type === 'MsgSnap').length, 1)
})

test('behind a snapshot that arrived the log goes on', async (t) => {
  const member = compacted()
  member.hear({ type: 'MsgHeartbeatResp', from: 3 })
  propose(member, 'c')
  member.node.reportSnapshot(3, true)
  t.match(member.node.status().progress[2], { id: 3, match: 0, next: 5 })
  t.strictSame(appendsTo(member.work(), 3), [], 'it is asked first')
  t.strictSame(appendsTo(member.hear({ type: 'MsgHeartbeatResp', from: 3 }), 3), ['5'])
  member.node.reportSnapshot(3, false)
  t.match(member.node.status().progress[2], { next: 5 }, 'a late report changes nothing')
})

test('a snapshot that cannot be had now is asked for again', async (t) => {
  const member = compacted()
  const { storage } = member
  const snapshot = storage.snapshot.bind(storage)
  let asked = 0
  storage.snapshot = () => {
    asked += 1
    return undefined as unknown as Snapshot
  }
  t.strictSame(member.hear({ type: 'MsgHeartbeatResp', from: 3 }), [])
  t.ok(asked > 0)
  storage.snapshot = snapshot
  const said = member.hear({ type: 'MsgHeartbeatResp', from: 3 })
  t.equal(said.filter(({ type }) => type === 'MsgSnap').length, 1)
})

test('a snapshot is only for who is in its configuration', async (t) => {
  const member = new LoneMember([2, 3])
  const confState = { ...emptyConfState, voters: [2, 3] }
  const snapshot = { index: 9, term: 1, confState, data: bytes('[]') }
  const said = member.hear({ type: 'MsgSnap', term: 1, snapshot })
  t.match(said, [{ type: 'MsgAppResp', index: 1 }])
  t.equal(member.storage.lastIndex(), 1)
})

test('a snapshot of what the log has already only moves the commit index', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  group.propose(1, 'a')
  group.process(1)
  group.deliver()
  group.process(2)
  t.equal(group.member(2).commit, 2)
  const confState = { ...emptyConfState, voters: [1, 2, 3] }
  const snapshot = { index: 3, term: 1, confState, data: bytes('["a"]') }
  const message = { ...(group.network[0] as Message), type: 'MsgSnap' as const, snapshot }
  group.member(2).node.step({ ...message, from: 1, to: 2, term: 1 })
  group.process(2)
  t.equal(group.member(2).commit, 3)
  t.strictSame(group.member(2).log, ['1/2', '1/3 a'], 'and the log stays')
})

test('progress: what is stale changes nothing', async (t) => {
  const limits = { messagesMax: 4, bytesMax: 100 }
  const progress = new Progress({ match: 5, next: 9, recentActive: true, limits })
  t.equal(progress.acknowledge(5), false)
  t.equal(progress.decrease(7, 0), false, 'a probe at 8 is out, not at 7')
  t.equal(progress.decrease(8, 3), true)
  t.equal(progress.next, 6, 'never below what is known')
  progress.becomeReplicate()
  progress.sentEntries(3, 30)
  t.match(progress, { next: 9, inflights: { count: 1 } })
  t.equal(progress.decrease(5, 0), false, 'acknowledged long ago')
  t.equal(progress.decrease(6, 0), true)
  t.equal(progress.next, 6)
  progress.becomeSnapshot(20)
  t.match(progress, { next: 21, paused: true })
  t.equal(progress.describe(true), 'StateSnapshot match=5 next=21 learner paused pendingSnap=20')
})

test('progress: a commit index is sent once, until it may be lost', async (t) => {
  const limits = { messagesMax: 4, bytesMax: 100 }
  const progress = new Progress({ match: 0, next: 1, recentActive: true, limits })
  progress.acknowledge(5)
  progress.becomeReplicate()
  t.ok(progress.canBumpCommit(3))
  progress.sentCommit(3)
  t.notOk(progress.canBumpCommit(3))
  t.ok(progress.canBumpCommit(4))
  progress.sentCommit(5)
  t.notOk(progress.canBumpCommit(9), 'beyond what it has no commit index helps')
  progress.sentEntries(2, 20)
  progress.sentCommit(7)
  t.equal(progress.decrease(6, 0), true)
  t.ok(progress.acknowledge(7))
  t.ok(progress.canBumpCommit(7), 'it went with what was lost')
})
