/** Lines between two real hosts: order, whole frames, links, and what becomes of them when the other side goes. */
import { t, test } from 'tap'
import { RAFT_PROTOCOL } from '../../src/host/protocols.ts'
import { lineLimits } from '../../src/limits/coordination.ts'
import { startHost } from '../support/hosts.ts'
import { type LineSide, startLines } from '../support/lines.ts'
import { metricOf } from '../support/registry-value.ts'
import { until } from '../support/until.ts'

t.setTimeout(120_000)

const DEADLINE = { signal: AbortSignal.timeout(110_000) }

function numbered(number: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes).fill(number & 0xff)
  new DataView(frame.buffer).setUint32(0, number)
  return frame
}

function numbers(side: LineSide): number[] {
  return side.frames.map(({ frame }) => new DataView(frame.buffer).getUint32(0))
}

test('frames come in order on each lane, in few writes, and both ways', async (t) => {
  const a = await startLines(t)
  const b = await startLines(t, { join: [a] })
  await until(() => a.links.length > 0 && b.links.length > 0, 'the links')
  t.same([a.links, b.links], [[`+${b.host.peerId}`], [`+${a.host.peerId}`]])
  for (let number = 0; number < 500; number += 1) {
    const bytes = number % 100 === 7 ? 300_000 : 4 + (number % 50)
    t.equal(a.lines.send(b.host.peerId, 'raft', numbered(number, bytes)), true)
  }
  await until(() => b.frames.length === 500, 'the frames')
  t.same(
    numbers(b),
    Array.from({ length: 500 }, (_, index) => index),
  )
  const isWhole = b.frames.every(({ frame, peerId, lane }, index) => {
    const bytes = index % 100 === 7 ? 300_000 : 4 + (index % 50)
    const isRight = Buffer.from(frame).equals(numbered(index, bytes))
    return isRight && peerId === a.host.peerId && lane === 'raft'
  })
  t.ok(isWhole, 'each with its bytes')
  b.lines.send(a.host.peerId, 'bulk', numbered(1, 2_000_000))
  b.lines.send(a.host.peerId, 'call', numbered(2, 4))
  await until(() => a.frames.length === 2, 'the answers')
  t.same(a.frames.map(({ lane }) => lane).sort(), ['bulk', 'call'])
  t.equal(await metricOf(a.registry, 'kairo_coordination_queued_bytes'), 0)
  t.equal(await metricOf(b.registry, 'kairo_coordination_partial_bytes'), 0)
  t.equal(await metricOf(b.registry, 'kairo_coordination_lines', { direction: 'out' }), 2)
  const sent = { lane: 'raft', direction: 'out' }
  t.equal(await metricOf(a.registry, 'kairo_coordination_frames_total', sent), 500)
})

test('a frame opens the connection that it needs', async (t) => {
  const a = await startLines(t)
  const b = await startLines(t, { join: [a] })
  const c = await startLines(t, { join: [a] })
  // What a peer knows of others are their addresses.
  await b.host.libp2p().peerStore.merge(c.host.libp2p().peerId, {
    multiaddrs: c.host.libp2p().getMultiaddrs(),
  })
  b.lines.send(c.host.peerId, 'call', numbered(1, 4))
  await until(() => c.frames.length === 1, 'the frame')
  await until(() => b.links.includes(`+${c.host.peerId}`), 'the link')
})

test('a peer that is gone is told at once, and frames to it are dropped', async (t) => {
  const a = await startLines(t)
  const b = await startLines(t, { join: [a] })
  await until(() => a.links.length > 0, 'the link')
  a.lines.send(b.host.peerId, 'raft', numbered(1, 4))
  await until(() => b.frames.length === 1, 'the frame')
  await b.host.stop()
  await until(() => a.links.at(-1) === `-${b.host.peerId}`, 'the end of the link')
  a.lines.send(b.host.peerId, 'raft', numbered(2, 4))
  const isDropped = async (): Promise<boolean> =>
    (await metricOf(a.registry, 'kairo_coordination_dropped_frames_total', {
      reason: 'unreachable',
    })) > 0
  await until(isDropped, 'the failure')
  t.equal(a.lines.send(b.host.peerId, 'raft', numbered(3, 4)), false, 'not tried at once')
  t.equal(await metricOf(a.registry, 'kairo_coordination_queued_bytes'), 0)
})

test('a tracker that stops is told though its peer stays connected, and heard when it comes again', async (t) => {
  const a = await startLines(t)
  const b = await startLines(t, { join: [a] })
  await until(() => a.links.length > 0 && b.links.length > 0, 'the links')
  b.lines.send(a.host.peerId, 'raft', numbered(1, 4))
  await until(() => a.frames.length === 1, 'the frame')
  b.lines.close()
  t.equal(b.lines.send(a.host.peerId, 'raft', numbered(2, 4)), false, 'stopped')
  await until(() => a.links.includes(`-${b.host.peerId}`), 'the end of the line')
  t.ok(a.host.peers().includes(b.host.peerId), 'still connected')
  await until(() => a.links.at(-1) === `+${b.host.peerId}`, 'the link, tried again')
})

test('a peer without a tracker is no link', async (t) => {
  const a = await startLines(t)
  const plain = await startHost(t, { join: [a.host] })
  const b = await startLines(t, { join: [a] })
  await until(() => a.links.length > 0, 'the other one')
  t.same(a.links, [`+${b.host.peerId}`])
  a.lines.send(plain.peerId, 'raft', numbered(1, 4))
  await until(async () => {
    const labels = { reason: 'unreachable' }
    return (await metricOf(a.registry, 'kairo_coordination_dropped_frames_total', labels)) === 1
  }, 'the drop')
})

test('a new line takes the place of the old one', async (t) => {
  const a = await startLines(t)
  const other = await startHost(t, { join: [a.host] })
  const first = await other.open(a.host.peerId, RAFT_PROTOCOL, DEADLINE)
  await first.write(Buffer.of(1, 1, 10))
  await until(() => a.frames.length === 1, 'the first frame')
  const second = await other.open(a.host.peerId, RAFT_PROTOCOL, DEADLINE)
  await second.write(Buffer.of(1, 1, 11))
  await until(() => a.frames.length === 2, 'the second frame')
  await t.rejects(first.incoming[Symbol.asyncIterator]().next(), 'the old one is ended')
  t.same(
    a.frames.map(({ frame }) => frame[0]),
    [10, 11],
  )
  t.equal(await metricOf(a.registry, 'kairo_coordination_lines', { direction: 'in' }), 1)
  t.ok(lineLimits.streamsPerPeerMax >= 3)
})
