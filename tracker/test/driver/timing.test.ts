/** Time: how T follows what is measured, who comes first, and what a stop or a jump of a clock counts for. */
import { test } from 'tap'
import { ByteReader } from '../../src/driver/bytes.ts'
import { driverLimits } from '../../src/driver/driver-limits.ts'
import { ElapsedTime } from '../../src/driver/elapsed-time.ts'
import { ElectionPace, electionPlace, unheardPace } from '../../src/driver/election-pace.ts'
import { readFrameHead } from '../../src/driver/frame-codec.ts'
import { PeerLine } from '../../src/driver/peer-line.ts'
import { TickLength } from '../../src/driver/tick-length.ts'
import { WorstLately } from '../../src/driver/worst-lately.ts'
import { createMessage } from '../../src/raft/types.ts'
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

test('T follows round trips and lag between its limits', (t) => {
  const pace = new ElectionPace(-5_000)
  const peer = unheardPace()
  pace.refresh([{ heard: peer }], -4_999)
  t.equal(pace.electionMs, 100, 'at the start: twice the lag of starting')
  pace.refresh([{ heard: peer }], 0)
  t.equal(pace.electionMs, driverLimits.electionMsMin)
  peer.roundTrips.note(100, 1)
  peer.roundTrips.note(100, 1)
  pace.refresh([{ heard: peer }], 2)
  t.equal(pace.electionMs, 200)
  pace.noteLag(1_000, 3)
  pace.noteLag(1_000, 3)
  pace.refresh([{ heard: peer }], 4)
  t.equal(pace.electionMs, driverLimits.electionMsMax)
  pace.refresh([{ heard: peer }], 10_000)
  t.equal(pace.electionMs, driverLimits.electionMsMin)
  t.end()
})

test('a larger T that was heard counts until it is a second old, however often it is repeated', (t) => {
  const [a, b] = [new ElectionPace(-5_000), new ElectionPace(-5_000)]
  const [heardByA, heardByB] = [unheardPace(), unheardPace()]
  heardByA.electionMs = 400
  heardByA.measuredMs = 0
  a.refresh([{ heard: heardByA }], 1)
  t.equal(a.electionMs, 400)
  // They tell one another all the time.
  for (let nowMs = 1; nowMs < 990; nowMs += 20) {
    heardByB.electionMs = a.electionMs
    heardByB.measuredMs = nowMs - a.ageMs(nowMs)
    b.refresh([{ heard: heardByB }], nowMs)
    heardByA.electionMs = b.electionMs
    heardByA.measuredMs = nowMs - b.ageMs(nowMs)
    a.refresh([{ heard: heardByA }], nowMs)
    t.equal(b.electionMs, 400)
  }
  a.refresh([{ heard: heardByA }], 1_030)
  b.refresh([{ heard: heardByB }], 1_030)
  t.same([a.electionMs, b.electionMs], [50, 50])
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
