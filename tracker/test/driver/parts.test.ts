/** Parts of a group by themselves: who may speak, when reads are answered, snapshots that come in pieces. */
import { test } from 'tap'
import { Barriers } from '../../src/driver/barriers.ts'
import { decodeBulk, encodeBulk, type SnapshotPiece } from '../../src/driver/bulk-codec.ts'
import { driverLimits } from '../../src/driver/driver-limits.ts'
import { ElectionPace } from '../../src/driver/election-pace.ts'
import { GroupPeers } from '../../src/driver/group-peers.ts'
import { PeerLine } from '../../src/driver/peer-line.ts'
import { SnapshotReceiver } from '../../src/driver/snapshot-receiver.ts'
import { SnapshotSender } from '../../src/driver/snapshot-sender.ts'
import { createMessage, type Message } from '../../src/raft/types.ts'
import { codeOf } from '../support/driver-group.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const confState = {
  ...{ voters: [1, 2], votersOutgoing: [], learners: [], learnersNext: [] },
  autoLeave: false,
}

function peers(known: ReadonlyMap<number, string> = new Map()): GroupPeers {
  const counters = { framesSent: 0, framesRefused: 0, messagesSent: 0 }
  const context = { region: 1, memberId: 1, pace: new ElectionPace(0), send: () => true, counters }
  return new GroupPeers({
    memberId: 1,
    line: (peerId) => new PeerLine(context, peerId),
    admits: (peerId, memberId) => known.get(memberId) === peerId,
  })
}

test('a member is who the directory says, and nobody else', (t) => {
  const group = peers(new Map([[5, 'e']]))
  group.replace([
    { memberId: 1, peerId: 'a' },
    { memberId: 2, peerId: 'b' },
    { memberId: 4, peerId: 'd' },
  ])
  t.ok(group.admits('b', 2))
  t.notOk(group.admits('c', 2), 'another peer as a member')
  t.notOk(group.admits('b', 1), 'a member as this one')
  t.notOk(group.admits('b', 3), 'a member as a stranger')
  t.ok(group.admits('e', 5), 'a stranger whom the region knows')
  t.notOk(group.admits('b', 5))
  group.addContacts(['f'])
  t.ok(group.admits('f', 6))
  t.ok(group.admits('f', 6))
  t.notOk(group.admits('g', 6))
  t.equal(group.line(6)?.peerId, 'f')
  t.equal(group.line(7), undefined)
  group.retain(confState)
  t.same(group.addresses(), [
    { memberId: 1, peerId: 'a' },
    { memberId: 2, peerId: 'b' },
  ])
  t.notOk(group.admits('d', 4), 'who left')
  t.end()
})

test('strangers are bounded', (t) => {
  const group = peers()
  group.addContacts(['f'])
  for (let id = 10; id < 10 + driverLimits.strangersMax; id++) t.ok(group.admits('f', id))
  t.ok(group.admits('f', 99))
  t.equal(group.peerOf(10), undefined)
  t.equal(group.peerOf(99), 'f')
  t.end()
})

test('a read is answered when the leadership is confirmed and the state has come so far', async (t) => {
  const barriers = new Barriers()
  const over: string[] = []
  const ask = (name: string) => void barriers.add().then(() => over.push(name))
  ask('a')
  ask('b')
  const first = barriers.begin()
  ask('c')
  const second = barriers.begin()
  barriers.applied(100)
  barriers.confirm({ index: 7, requestContext: second })
  barriers.applied(6)
  await Promise.resolve()
  t.same(over, [], 'neither is confirmed and applied')
  barriers.applied(7)
  await new Promise((resolve) => setImmediate(resolve))
  t.same(over, ['c'])
  barriers.confirm({ index: 3, requestContext: first })
  barriers.applied(7)
  await new Promise((resolve) => setImmediate(resolve))
  t.same(over, ['c', 'a', 'b'])
})

/** A sender and a receiver, and what passes between them. */
function transfer(data: Uint8Array, change: (frame: Uint8Array) => Uint8Array = (frame) => frame) {
  const clock = new VirtualClock()
  const counters = {
    ...{ snapshotsSent: 0, snapshotsNotSent: 0, snapshotsReceived: 0, snapshotsRefused: 0 },
  }
  const arrived: Message[] = []
  const done: boolean[] = []
  const common = { region: 1, clock: clock.view(), counters }
  const sender = new SnapshotSender({
    ...{ ...common, memberId: 1, logger: {} },
    send: (_, __, frame) => {
      clock.at(clock.nowMs + 1, () =>
        receiver.receive('a', decodeBulk(change(frame)) as SnapshotPiece),
      )
      return true
    },
    load: async (_, snapshot) => ({ ...snapshot, data }),
  })
  const receiver = new SnapshotReceiver({
    ...{ ...common, memberId: 2, admits: (group) => group === 3 },
    send: (_, __, frame) => {
      const receipt = decodeBulk(frame)
      if (receipt.kind === 'receipt') clock.at(clock.nowMs + 1, () => sender.receive('b', receipt))
      return true
    },
    onSnapshot: (_, message) => arrived.push(message),
  })
  const start = (group = 3) => {
    const snapshot = { index: 9, term: 4, confState, data: new Uint8Array(0) }
    const message = createMessage({ type: 'MsgSnap', from: 1, to: 2, term: 5, snapshot })
    return sender.add({ group, peerId: 'b', message, done: (whole) => done.push(whole) })
  }
  return { clock, counters, arrived, done, start, sender, receiver }
}

const large = Uint8Array.from({ length: 7 * driverLimits.pieceBytes + 5 }, (_, at) => at % 251)

test('a snapshot arrives as it was, however large', async (t) => {
  for (const data of [large, new Uint8Array(0), large.subarray(0, driverLimits.pieceBytes)]) {
    const stage = transfer(data)
    stage.start()
    await stage.clock.pass(100)
    t.same(stage.done, [true])
    const [message] = stage.arrived
    t.equal(Buffer.compare(message?.snapshot?.data as Uint8Array, data), 0)
    t.same([message?.term, message?.snapshot?.index, message?.snapshot?.term], [5, 9, 4])
    t.same(message?.snapshot?.confState, confState)
  }
})

test('a damaged piece ends the transfer', async (t) => {
  let pieces = 0
  const stage = transfer(large, (frame) => {
    pieces += 1
    if (pieces === 3) frame[frame.length - 1] = (frame[frame.length - 1] as number) ^ 1
    return frame
  })
  stage.start()
  await stage.clock.pass(100)
  t.same([stage.done, stage.arrived], [[false], []])
  t.equal(stage.counters.snapshotsRefused, 1)
})

test('a transfer of which nothing is heard is given up at both ends', async (t) => {
  let pieces = 0
  const stage = transfer(large, (frame) => {
    pieces += 1
    // The title of another snapshot, which nobody answers: all but the first piece are lost.
    const piece = decodeBulk(frame) as SnapshotPiece
    return pieces === 1 ? frame : encodeBulk({ ...piece, transfer: 77, title: undefined })
  })
  stage.start()
  await stage.clock.pass(driverLimits.transferIdleMs - 10)
  t.same(stage.done, [])
  await stage.clock.pass(20)
  t.same(stage.done, [false])
  t.equal(stage.counters.snapshotsRefused, 1)
})

test('snapshots for groups that are not here are refused; what waits is bounded', async (t) => {
  const stage = transfer(large)
  stage.start(8)
  await stage.clock.pass(100)
  t.same(stage.done, [false])
  stage.done.length = 0
  const most = driverLimits.sendsMax + driverLimits.sendsWaitingMax
  for (let at = 0; at < most; at++) t.ok(stage.start())
  t.notOk(stage.start())
  stage.sender.linkBroke('b')
  await stage.clock.pass(2_000)
  t.equal(stage.done.length, most)
  t.equal(stage.done.filter((whole) => whole).length, driverLimits.sendsWaitingMax)
  stage.receiver.stop()
  stage.sender.stop()
})

test('reads are bounded', async (t) => {
  const barriers = new Barriers()
  for (let at = 0; at < driverLimits.barriersMax; at++) void barriers.add()
  t.equal(await codeOf(barriers.add()), 'ERR_OVERLOADED')
})
