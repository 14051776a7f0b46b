/** The rules of figure 2 of the Raft paper, one test each, in the paper's order. */
import { test } from 'tap'
import type { Entry, Message } from '../../src/raft/types.ts'
import { bytes, entriesOf, LoneMember, RaftGroup } from '../support/raft-group.ts'

const blank: Message = {
  ...{ type: 'MsgHup', to: 1, from: 2, term: 0, logTerm: 0, index: 0, entries: [], commit: 0 },
  ...{ vote: 0, snapshot: undefined, reject: false, rejectHint: 0, context: 0, responses: [] },
}

const entry = (term: number, index: number, command = `${term}-${index}`): Entry => ({
  ...{ term, index, type: 'EntryNormal' as const, data: bytes(command) },
})

/** A follower of member 2 with a log of these terms behind index 1. */
function follower(...terms: number[]): LoneMember {
  return new LoneMember([2, 3], {}, entriesOf(...terms))
}

/** A leader whose first entry is committed. */
function leader(): LoneMember {
  const member = new LoneMember([2, 3])
  member.node.campaign()
  member.work()
  member.hear({ type: 'MsgVoteResp', from: 2 })
  member.hear({ type: 'MsgAppResp', from: 2, index: member.storage.lastIndex() })
  return member
}

const only = (messages: readonly Message[], type: Message['type']): readonly Message[] =>
  messages.filter((message) => message.type === type)

test('persistent state: term and vote are on disk before a vote is heard', async (t) => {
  const member = new LoneMember([2, 3])
  const { storage } = member
  member.node.step({ ...vote(1, 1, 1), term: 7 })
  const ready = member.node.ready()
  t.match(ready.hardState, { term: 7, vote: 2 }, 'the same work that has the answer')
  t.match(ready.messages, [{ type: 'MsgVoteResp', reject: false }])
  t.equal(ready.mustSync, true)
  storage.hardState = ready.hardState as typeof storage.hardState
  member.node.advance()
  member.restart()
  const again = member.hear({ ...vote(1, 1, 1), term: 7, from: 3 })
  t.match(again, [{ type: 'MsgVoteResp', reject: true }], 'a restart forgets no vote')
})

test('persistent state: entries are on disk before they are acknowledged', async (t) => {
  const member = new LoneMember([2, 3])
  member.node.step({ ...append(1, 1, 0), term: 1, entries: [entry(1, 2)] })
  const ready = member.node.ready()
  t.match(ready.entries, [{ index: 2 }])
  t.match(ready.messages, [{ type: 'MsgAppResp', index: 2 }])
  t.equal(ready.mustSync, true)
})

test('AppendEntries 1: an earlier term is refused', async (t) => {
  const member = follower(1, 2, 3)
  const said = member.hear({ ...append(1, 1, 9), term: 2, entries: [entry(2, 2)] })
  t.strictSame(only(said, 'MsgAppResp'), [], 'nothing is acknowledged')
  t.strictSame(member.log, ['1/2 1-2', '2/3 2-3', '3/4 3-4'])
  t.equal(member.commit, 1)
  const strict = new LoneMember([2, 3], { checkQuorum: true }, entriesOf(1, 2, 3))
  const told = strict.hear({ ...append(1, 1, 9), term: 2, entries: [] })
  t.match(told, [{ type: 'MsgAppResp', term: 3 }], 'with check-quorum the old leader is told')
})

test('AppendEntries 2: an entry before that does not match is refused', async (t) => {
  for (const [index, term] of [
    [4, 2],
    [9, 3],
  ] as const) {
    const member = follower(1, 2, 3)
    const said = member.hear({ ...append(index, term, 0), term: 3, entries: [entry(3, index + 1)] })
    t.match(said, [{ type: 'MsgAppResp', reject: true, index }])
    t.equal(member.storage.lastIndex(), 4)
  }
})

test('AppendEntries 3: a conflicting entry goes, with all that follow', async (t) => {
  const member = follower(1, 2, 2, 2)
  const said = member.hear({ ...append(2, 1, 0), term: 3, entries: [entry(3, 3)] })
  t.match(said, [{ type: 'MsgAppResp', reject: false, index: 3 }])
  t.strictSame(member.log, ['1/2 1-2', '3/3 3-3'])
})

test('AppendEntries 4: entries that are there already stay, with all that follow', async (t) => {
  const member = follower(1, 2, 2)
  const said = member.hear({ ...append(1, 1, 0), term: 2, entries: [entry(1, 2)] })
  t.match(said, [{ type: 'MsgAppResp', reject: false, index: 2 }], 'no more than was compared')
  t.strictSame(member.log, ['1/2 1-2', '2/3 2-3', '2/4 2-4'], 'a late message cuts nothing off')
  member.hear({ ...append(3, 2, 0), term: 2, entries: [entry(2, 4), entry(2, 5)] })
  t.strictSame(member.log, ['1/2 1-2', '2/3 2-3', '2/4 2-4', '2/5 2-5'])
})

test('AppendEntries 5: the commit index follows, up to the last entry compared', async (t) => {
  const member = follower(1, 1, 2, 2)
  member.hear({ ...append(2, 1, 9), term: 3 })
  t.equal(member.commit, 2, 'what lies behind may be wrong')
  member.hear({ ...append(2, 1, 3), term: 3, entries: [entry(1, 3), entry(3, 4)] })
  t.equal(member.commit, 3, 'no further than the leader')
  member.hear({ ...append(4, 3, 2), term: 3 })
  t.equal(member.commit, 3, 'never back')
})

test('RequestVote 1: an earlier term is refused', async (t) => {
  const member = follower(1, 3)
  t.strictSame(member.hear({ ...vote(9, 9, 0), term: 2 }), [], 'it gets no vote')
  t.equal(member.node.status().vote, 0)
})

test('RequestVote 2: one vote a term, to whoever is up to date (5.2, 5.4.1)', async (t) => {
  for (const [index, term, granted, why] of [
    [3, 2, true, 'the same log'],
    [4, 2, true, 'a longer log'],
    [2, 3, true, 'a later term, though shorter'],
    [2, 2, false, 'a shorter log'],
    [9, 1, false, 'an earlier term, though longer'],
  ] as const) {
    const member = follower(1, 2)
    const said = member.hear({ ...vote(index, term, 0), term: 5 })
    t.match(said, [{ type: 'MsgVoteResp', reject: !granted, term: 5 }], why)
  }
  const member = follower(1, 2)
  member.hear({ ...vote(3, 2, 0), term: 5, from: 2 })
  const other = member.hear({ ...vote(9, 4, 0), term: 5, from: 3 })
  t.match(other, [{ type: 'MsgVoteResp', reject: true }], 'the vote is given')
  const again = member.hear({ ...vote(3, 2, 0), term: 5, from: 2 })
  t.match(again, [{ type: 'MsgVoteResp', reject: false }], 'the same vote may be given again')
})

test('all servers: what is committed is applied, in order', async (t) => {
  const member = follower(1, 1, 1)
  member.hear({ ...append(4, 1, 3), term: 1 })
  t.strictSame(member.applied, ['1-2', '1-3'])
  member.hear({ ...append(4, 1, 4), term: 1 })
  t.strictSame(member.applied, ['1-2', '1-3', '1-4'])
})

test('all servers: a later term makes everyone a follower (5.1)', async (t) => {
  const makers = { follower, candidate, leader }
  for (const [name, make] of Object.entries(makers)) {
    const types = ['MsgApp', 'MsgHeartbeat', 'MsgVote', 'MsgAppResp', 'MsgHeartbeatResp'] as const
    for (const type of types) {
      const member = make()
      member.hear({ type, term: 9, index: 1, logTerm: 1, from: 3 })
      t.match(member.node.status(), { term: 9, state: 'StateFollower' }, `${name}, ${type}`)
    }
  }
})

test('followers: an election timeout without a leader or a vote makes a candidate', async (t) => {
  const member = new LoneMember([2, 3], { electionTicks: 10, random: () => 0.5 })
  member.tick(14)
  t.equal(member.state, 'StateFollower')
  member.hear({ type: 'MsgHeartbeat', term: 1 })
  member.tick(14)
  t.equal(member.state, 'StateFollower', 'a heartbeat starts the wait anew')
  member.hear({ ...vote(1, 1, 0), term: 2, from: 3 })
  member.tick(14)
  t.equal(member.state, 'StateFollower', 'so does a vote that is given')
  member.tick(1)
  t.equal(member.state, 'StateCandidate')
})

test('candidates: a new term, a vote for itself, requests to all', async (t) => {
  const member = follower(1, 2)
  const said = member.tick(15)
  t.match(member.node.status(), { term: 3, vote: 1, state: 'StateCandidate' })
  const request = { type: 'MsgVote' as const, term: 3, index: 3, logTerm: 2 }
  t.match(said, [
    { ...request, to: 2 },
    { ...request, to: 3 },
  ])
})

test('candidates: a majority of the votes makes a leader', async (t) => {
  for (const [peers, answers, state] of [
    [[2, 3], [true], 'StateLeader'],
    [[2, 3], [false, true], 'StateLeader'],
    [[2, 3], [false], 'StateCandidate'],
    [[2, 3], [false, false], 'StateFollower'],
    [[2, 3, 4, 5], [true], 'StateCandidate'],
    [[2, 3, 4, 5], [true, true], 'StateLeader'],
    [[2, 3, 4, 5], [true, false, false, false], 'StateFollower'],
  ] as const) {
    const member = new LoneMember(peers)
    member.node.campaign()
    member.work()
    answers.forEach((granted, at) => {
      member.hear({ type: 'MsgVoteResp', from: at + 2, reject: !granted })
    })
    t.equal(member.state, state, `${peers.length + 1} members: ${answers.join()}`)
  }
  const member = new LoneMember([2, 3, 4, 5])
  member.node.campaign()
  member.work()
  member.hear({ type: 'MsgVoteResp', from: 2 })
  member.hear({ type: 'MsgVoteResp', from: 2 })
  t.equal(member.state, 'StateCandidate', 'the same vote twice is one vote')
  member.hear({ type: 'MsgVoteResp', from: 3, reject: true })
  member.hear({ type: 'MsgVoteResp', from: 3 })
  t.equal(member.state, 'StateCandidate', 'and the first answer counts')
})

test('candidates: a leader of the term is followed', async (t) => {
  for (const type of ['MsgApp', 'MsgHeartbeat'] as const) {
    const member = candidate()
    member.hear({ type, from: 3, index: 1, logTerm: 1 })
    t.match(member.node.status(), { state: 'StateFollower', lead: 3, term: 1 }, type)
  }
})

test('candidates: another timeout starts another election', async (t) => {
  const member = candidate()
  const said = member.tick(15)
  t.match(member.node.status(), { state: 'StateCandidate', term: 2 })
  t.equal(only(said, 'MsgVote').length, 2)
})

test('election timeouts are random in one to two times the setting (5.2)', async (t) => {
  const timeouts = [0, 0.25, 0.5, 0.9999].map((random) => {
    const member = new LoneMember([2, 3], { electionTicks: 10, random: () => random })
    let ticks = 0
    for (; member.state === 'StateFollower'; ticks += 1) member.tick()
    return ticks
  })
  t.strictSame(timeouts, [10, 12, 15, 19])
})

test('leaders: the first thing they say is an append to all, then heartbeats', async (t) => {
  const member = candidate()
  const said = member.hear({ type: 'MsgVoteResp', from: 2 })
  t.match(said, [
    { type: 'MsgApp', to: 2, entries: [{ term: 1, index: 2 }] },
    { type: 'MsgApp', to: 3, entries: [{ term: 1, index: 2 }] },
  ])
  t.match(member.tick(), [
    { type: 'MsgHeartbeat', to: 2 },
    { type: 'MsgHeartbeat', to: 3 },
  ])
})

test('leaders: a command is appended, sent, and applied when it is committed', async (t) => {
  const member = leader()
  t.equal(member.node.propose(bytes('x')), undefined)
  const said = member.work()
  t.match(only(said, 'MsgApp'), [{ to: 2, index: 2, entries: [{ term: 1, index: 3 }] }])
  t.strictSame(member.applied, [], 'not before a majority has it')
  member.hear({ type: 'MsgAppResp', from: 2, index: 3 })
  t.strictSame(member.applied, ['x'])
})

test('leaders: a follower that refuses is asked further back, until the logs agree', async (t) => {
  const member = new LoneMember([2, 3], {}, entriesOf(1, 1, 4, 4, 5))
  member.node.campaign()
  member.work()
  member.hear({ type: 'MsgVoteResp', from: 2 })
  const asked: number[] = []
  let next: readonly Message[] = member.hear({
    ...{ type: 'MsgAppResp', from: 3, index: 6, reject: true, rejectHint: 6, logTerm: 3 },
  })
  asked.push(...only(next, 'MsgApp').map(({ index }) => index))
  next = member.hear({
    ...{ type: 'MsgAppResp', from: 3, index: 3, reject: true, rejectHint: 1, logTerm: 1 },
  })
  asked.push(...only(next, 'MsgApp').map(({ index }) => index))
  t.strictSame(asked, [3, 1], 'whole terms are skipped at once')
  const caughtUp = member.hear({ type: 'MsgAppResp', from: 3, index: 7 })
  t.equal(member.commit, 7)
  t.match(only(caughtUp, 'MsgApp'), [{ to: 3, commit: 7 }])
})

test('leaders: what a majority has is committed, if it is of their term (5.3, 5.4)', async (t) => {
  const member = new LoneMember([2, 3, 4, 5], {}, entriesOf(1, 2))
  member.node.campaign()
  member.work()
  for (const from of [2, 3]) member.hear({ type: 'MsgVoteResp', from })
  t.equal(member.term, 3)
  for (const from of [2, 3, 4, 5]) member.hear({ type: 'MsgAppResp', from, index: 3 })
  t.equal(member.commit, 1, 'entries of earlier terms are not counted')
  member.hear({ type: 'MsgAppResp', from: 2, index: 4 })
  t.equal(member.commit, 1, 'two of five')
  member.hear({ type: 'MsgAppResp', from: 3, index: 4 })
  t.equal(member.commit, 4, 'three of five; what lies before is committed with it')
})

test('leaders never overwrite or delete entries of their own log', async (t) => {
  const group = RaftGroup.start(3)
  group.elect(1)
  const before = group.member(1).log
  group.isolate(1)
  for (const command of ['a', 'b']) group.propose(1, command)
  group.settle()
  group.heal()
  group.tickAll(3)
  t.strictSame(group.member(1).log.slice(0, before.length), before)
  t.strictSame(group.member(3).applied, ['a', 'b'])
})

function candidate(): LoneMember {
  const member = new LoneMember([2, 3])
  member.node.campaign()
  member.work()
  return member
}

function vote(index: number, logTerm: number, term: number): Message {
  return { ...blank, type: 'MsgVote', index, logTerm, term }
}

function append(index: number, logTerm: number, commit: number): Message {
  return { ...blank, type: 'MsgApp', index, logTerm, commit }
}
