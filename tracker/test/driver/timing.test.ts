/** Time: how T follows what is measured, who comes first, and what a stop or a jump of a clock counts for. */
import { test } from 'tap'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { driverLimits } from '../../src/driver/driver-limits.ts'
import { ElapsedTime } from '../../src/driver/elapsed-time.ts'
import { ElectionPace, electionPlace, unheardPace } from '../../src/driver/election-pace.ts'
import { readFrameHead } from '../../src/driver/frame-codec.ts'
import { GroupElection } from '../../src/driver/group-election.ts'
import { GroupPeers } from '../../src/driver/group-peers.ts'
import { PeerLine } from '../../src/driver/peer-line.ts'
import { TickLength } from '../../src/driver/tick-length.ts'
import { WorstLately } from '../../src/driver/worst-lately.ts'
import { createMessage, type StateType } from '../../src/raft/types.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

test('one stall tells nothing, two do, and both are forgotten', (t) => {
  const worst = new WorstLately(100)
  worst.note(900, 0)
  t.equal(worst.value(1), 0)
  worst.note(7, 2)
  t.equal(worst.value(3), 7)
  worst.note(800, 4)
  t.equal(worst.value(5), 800)
  t.equal(worst.value(105), 800, 'in the window before')
  t.equal(worst.value(205), 0, 'two windows later')
  t.end()
})

const quiet = { isActive: true, ledMs: 0, followedMs: 0 }

test('T follows round trips and lag of a leader between its limits', (t) => {
  const pace = new ElectionPace(-5_000)
  t.equal(pace.electionMs, driverLimits.electionMsMin)
  pace.refresh(quiet, -4_999)
  t.equal(pace.electionMs, 100, 'at the start: twice the lag of starting')
  pace.refresh(quiet, 0)
  t.equal(pace.electionMs, driverLimits.electionMsMin)
  pace.refresh({ ...quiet, isActive: false }, 1)
  t.equal(pace.electionMs, driverLimits.electionMsIdle)
  pace.refresh({ ...quiet, ledMs: 100 }, 2)
  t.equal(pace.electionMs, 200)
  pace.noteLag(1_000, 3)
  pace.noteLag(1_000, 3)
  pace.refresh({ ...quiet, followedMs: 60 }, 4)
  t.equal(pace.electionMs, driverLimits.electionMsMax)
  t.equal(pace.followingTickMs, 120 / driverLimits.electionTicks, 'lag is the affair of leaders')
  pace.refresh(quiet, 10_000)
  t.equal(pace.electionMs, driverLimits.electionMsMin)
  t.end()
})

test('what an election took counts for T until heartbeats measured the lines', (t) => {
  const pace = new ElectionPace(-5_000)
  pace.noteCampaign(150, 0)
  pace.refresh(quiet, 0)
  t.equal(pace.electionMs, 300)
  pace.noteCampaign(20, 1)
  pace.refresh(quiet, 1)
  t.equal(pace.electionMs, 300, 'of two elections the longer one')
  pace.refresh(quiet, 2 * driverLimits.timingWindowMs)
  t.equal(pace.electionMs, driverLimits.electionMsMin)
  t.end()
})

test('the round trip of a quorum counts those who were heard', (t) => {
  const pace = new ElectionPace(0)
  const counters = { framesSent: 0, framesRefused: 0, messagesSent: 0 }
  const context = { region: 1, memberId: 1, pace, send: () => true, counters }
  const peers = new GroupPeers({
    ...{ memberId: 1, admits: () => true },
    line: (peerId) => new PeerLine(context, peerId),
  })
  const ids = [2, 3, 4, 5]
  peers.add(ids.map((memberId) => ({ memberId, peerId: `peer-${memberId}` })))
  const far = (memberId: number, ms: number): void => {
    const { roundTrips } = peers.line(memberId)?.heard ?? unheardPace()
    for (let time = 0; time < 2; time++) roundTrips.note(ms, 0)
  }
  t.equal(peers.quorumMs([1, 2, 3], 0), 0, 'of nobody is anything known')
  far(3, 200)
  t.equal(peers.quorumMs([1, 2, 3], 0), 200, 'a silent one is not the nearest')
  far(2, 30)
  t.equal(peers.quorumMs([1, 2, 3], 0), 30)
  t.equal(peers.quorumMs([1, 2, 3, 4, 5], 0), 200)
  t.equal(peers.quorumMs([2, 3, 4], 0), 200, 'without a vote of its own it needs two')
  t.equal(peers.quorumMs([1], 0), 0)
  t.end()
})

test('ticks behind a leader are as long as the leader says, and a long stop counts as T', (t) => {
  const election = new GroupElection({
    ...{ memberId: 1, tickMs: 10, writer: { syncMs: 0 } },
  })
  t.equal(election.dueBehind(25, 10), 2)
  t.equal(election.waitMs(10), 5)
  t.equal(election.dueBehind(25, 40), 0)
  t.equal(election.dueBehind(10, 40), 1)
  t.equal(election.dueBehind(100, 10), 10)
  t.equal(election.dueBehind(100_000, 10), driverLimits.electionTicks)
  t.equal(election.dueBehind(9, 10), 0)
  election.lead()
  t.same(
    [2, 2, 4, 50].map((ticks) => election.dueAsLeader(ticks)),
    [1, 2, 4, 4],
  )
  t.same(
    [1, 3, 1, 2, 2].map((due) => election.mayCampaign(due)),
    [true, false, true, false, true],
  )
  t.end()
})

test('nobody campaigns before T, each voter at another time', (t) => {
  const voters = { voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [] }
  const confState = { ...voters, autoLeave: false }
  const all = [1, 2].map((memberId) => {
    const election = new GroupElection({ memberId, tickMs: 10, writer: { syncMs: 20 } })
    election.follow(3)
    return election
  }) as [GroupElection, GroupElection]
  const ticks = (state: StateType) => all.map((each) => each.ticks(state, confState, 2))
  const { electionTicks } = driverLimits
  t.same(ticks('StateFollower'), [electionTicks, electionTicks + 2])
  for (const each of all) each.isLinkDown = true
  t.same(ticks('StateFollower'), [electionTicks, electionTicks + 1])
  t.same(ticks('StatePreCandidate'), [1, 2])
  t.same(ticks('StateCandidate'), [electionTicks + 6, electionTicks + 7])
  all[0].follow(2)
  t.notOk(all[0].isLinkDown)
  const joint = { ...confState, votersOutgoing: [1, 4, 9] }
  t.same(all[0].place(joint, 0), 0)
  t.end()
})

test('each voter has a place of its own, and the first place goes round', (t) => {
  const voters = [1, 2, 3, 4]
  const first = new Set<number>()
  for (let term = 0; term < 3; term++) {
    const places = [1, 2, 4].map((id) => electionPlace(voters, id, 3, term))
    t.same(places.toSorted(), [0, 1, 2], 'the leader that is gone has no place')
    first.add([1, 2, 4][places.indexOf(0)] as number)
  }
  t.same([...first].toSorted(), [1, 2, 4])
  t.equal(electionPlace(voters, 9, 0, 5), 4, 'who is no voter comes last')
  t.end()
})

test('a leader ticks slower only when no lease is left that followers heard no longer T for', (t) => {
  const length = new TickLength()
  length.follow(10, 0)
  t.equal(length.tickMs, 10)
  length.follow(80, 1)
  for (let tick = 0; tick < driverLimits.electionTicks; tick++) {
    length.follow(80, 1)
    t.equal(length.tickMs, 10)
  }
  length.follow(80, 1)
  t.equal(length.tickMs, 80)
  length.follow(20, 1)
  t.equal(length.tickMs, 20, 'a shorter one at once')
  length.follow(60, 4)
  length.follow(40, 4)
  length.follow(70, 4)
  t.equal(length.tickMs, 40, 'as much as was announced all the time')
  length.begin(90)
  t.equal(length.tickMs, 90, 'at once where no lease counts')
  t.end()
})

test('what passed is the larger of two clocks', (t) => {
  let [monotonic, wall] = [0, 0]
  const elapsed = new ElapsedTime({
    ...{ monotonicMs: () => monotonic, now: () => wall },
    after: () => () => {},
  })
  monotonic = 10
  wall = 10
  t.equal(elapsed.take(), 10)
  // The machine slept.
  monotonic = 11
  wall = 5_000
  t.equal(elapsed.take(), 4_990)
  // Somebody set the clock back.
  monotonic = 31
  wall = 100
  t.equal(elapsed.take(), 20)
  t.end()
})

test('a round trip is measured once for each stamp, without the time that it was held', (t) => {
  const sent: Uint8Array[] = []
  const context = (memberId: number) => ({
    ...{ region: 1, memberId, pace: new ElectionPace(-5_000) },
    send: (_: string, __: unknown, frame: Uint8Array) => sent.push(frame) > 0,
    counters: { framesSent: 0, framesRefused: 0, messagesSent: 0 },
  })
  const [toB, toA] = [new PeerLine(context(1), 'b'), new PeerLine(context(2), 'a')]
  const beat = (to: number) => createMessage({ type: 'MsgHeartbeat', to, from: 3 - to, term: 1 })
  const pass = (line: PeerLine, other: PeerLine, to: number, sentMs: number, cameMs: number) => {
    line.add(1, beat(to), sentMs)
    line.flush(sentMs)
    other.hear(readFrameHead(new ByteReader(sent.pop() as Uint8Array)), cameMs)
  }
  pass(toB, toA, 2, 1000, 1003)
  // Held for 50 ms; 4 ms on the way back.
  pass(toA, toB, 1, 1053, 1057)
  pass(toA, toB, 1, 1054, 1300)
  t.equal(toB.heard.roundTrips.value(1300), 0, 'there is but one sample, and one does not count')
  pass(toB, toA, 2, 2000, 2003)
  pass(toA, toB, 1, 2003, 2006)
  t.equal(toB.heard.roundTrips.value(2300), 6)
  t.end()
})

test('the clock of a member that is stopped holds its timers', async (t) => {
  const clock = new VirtualClock()
  const view = clock.view({ rate: 2 })
  const fired: string[] = []
  view.after(10, () => fired.push(`a ${view.monotonicMs()}`))
  view.after(30, () => fired.push(`b ${view.monotonicMs()}`))
  const cancel = view.after(31, () => fired.push('never'))
  await clock.pass(6)
  view.pause()
  await clock.pass(94)
  cancel()
  view.resume()
  t.same(fired, ['a 10', 'b 200'])
  t.end()
})
