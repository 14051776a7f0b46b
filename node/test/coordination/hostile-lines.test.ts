/** A neighbour that breaks every rule of the lines: it costs little memory, and nobody else waits for it. */
import { frameLimits } from '@kairo/tracker/program'
import { Registry } from 'prom-client'
import { type Test, t, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { type LineHost, LineTransport } from '../../src/coordination/line-transport.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { RAFT_PROTOCOL, TRACKER_PROTOCOL } from '../../src/host/protocols.ts'
import { lineLimits } from '../../src/limits/coordination.ts'
import { encodeUvarint } from '../../src/protocol/uvarint.ts'
import { startHost } from '../support/hosts.ts'
import { type LineSide, startLines } from '../support/lines.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { MemoryNet } from '../support/memory-transport.ts'
import { metricOf } from '../support/registry-value.ts'
import { until } from '../support/until.ts'

t.setTimeout(120_000)

const DEADLINE = { signal: AbortSignal.timeout(110_000) }
const MiB = 1024 * 1024

interface Stage {
  readonly a: LineSide
  readonly friend: LineSide
  readonly hostile: Libp2pHost
  /** Whether the friend's frames still come, each way. */
  readonly checkFriend: () => Promise<void>
}

async function stage(t: Test): Promise<Stage> {
  const a = await startLines(t)
  const friend = await startLines(t, { join: [a] })
  const hostile = await startHost(t, { join: [a.host] })
  await until(() => a.links.length > 0 && friend.links.length > 0, 'the links')
  const checkFriend = async (): Promise<void> => {
    const ofFriend = () => a.frames.filter(({ peerId }) => peerId === friend.host.peerId).length
    const before = [ofFriend(), friend.frames.length] as const
    friend.lines.send(a.host.peerId, 'raft', Uint8Array.of(1))
    a.lines.send(friend.host.peerId, 'raft', Uint8Array.of(2))
    await until(() => ofFriend() > before[0] && friend.frames.length > before[1], 'the friend')
  }
  return { a, friend, hostile, checkFriend }
}

/** A host in memory that nobody reaches directly. */
function lineHost(net: MemoryNet): LineHost {
  return {
    ...net.peer('a'),
    ...{ watch: () => () => {}, onDisconnect: () => () => {} },
    ...{ dialledHost: () => undefined, listenHost: () => undefined },
  }
}

function ended(a: LineSide, reason: string): Promise<number> {
  return metricOf(a.registry, 'kairo_coordination_ended_lines_total', { direction: 'in', reason })
}

test('lines that nobody writes are broken off', async (t) => {
  const { a, hostile, checkFriend } = await stage(t)
  const cases: [string, string, Uint8Array, string][] = [
    ['no such lane', RAFT_PROTOCOL, Uint8Array.of(7, 1, 1), 'protocol'],
    ['too long', TRACKER_PROTOCOL, encodeUvarint(5 * MiB), 'too-large'],
    ['far too long', RAFT_PROTOCOL, Uint8Array.of(2, 255, 255, 255, 127), 'too-large'],
    ['empty', TRACKER_PROTOCOL, Uint8Array.of(0), 'protocol'],
    ['endless', TRACKER_PROTOCOL, Uint8Array.of(129, 128, 128, 128), 'protocol'],
  ]
  for (const [name, protocol, bytes, reason] of cases) {
    const before = await ended(a, reason)
    const stream = await hostile.open(a.host.peerId, protocol, DEADLINE)
    await stream.write(bytes)
    await t.rejects(stream.incoming[Symbol.asyncIterator]().next(), name)
    await until(async () => (await ended(a, reason)) === before + 1, name)
  }
  t.notOk(a.frames.some(({ peerId }) => peerId === hostile.peerId))
  await checkFriend()
})

test('who answers on a line out, or takes none, is left', async (t) => {
  const { a, hostile, checkFriend } = await stage(t)
  await hostile.handle(TRACKER_PROTOCOL, async (stream) => {
    await stream.write(new Uint8Array(100))
    for await (const _ of stream.incoming);
  })
  await hostile.handle(RAFT_PROTOCOL, async () => {
    throw new Error('no')
  })
  for (const lane of ['raft', 'call'] as const) {
    a.lines.send(hostile.peerId, lane, Uint8Array.of(1))
    const labels = { direction: 'out', reason: lane === 'raft' ? 'gone' : 'protocol' }
    await until(
      async () =>
        (await metricOf(a.registry, 'kairo_coordination_ended_lines_total', labels)) === 1,
      `the end of ${lane}`,
    )
  }
  await checkFriend()
})

test('a flood is read at a bounded pace', async (t) => {
  const { a, hostile, checkFriend } = await stage(t)
  const stream = await hostile.open(a.host.peerId, TRACKER_PROTOCOL, DEADLINE)
  let isFlooding = true
  const flood = Buffer.alloc(40_000, Buffer.of(1, 5))
  const flooding = (async () => {
    while (isFlooding) await stream.write(flood)
  })()
  const paced = () => metricOf(a.registry, 'kairo_coordination_paced_lines_total')
  await until(async () => (await paced()) >= 2, 'the pace')
  await checkFriend()
  isFlooding = false
  await flooding
  stream.abort(new Error('over'))
})

test('a peer opens no more streams than lines need', async (t) => {
  const { a, hostile, checkFriend } = await stage(t)
  const streams = await Promise.all(
    Array.from({ length: lineLimits.streamsPerPeerMax + 4 }, () =>
      hostile.open(a.host.peerId, RAFT_PROTOCOL, DEADLINE),
    ),
  )
  const ends = streams.map((stream) =>
    stream.incoming[Symbol.asyncIterator]()
      .next()
      .then(
        () => 'end',
        () => 'refused',
      ),
  )
  // Silence on the first ones is all right; of the last ones, nothing is waited for.
  const refused = await Promise.all(ends.slice(-4))
  t.same(refused, Array(4).fill('refused'))
  await checkFriend()
})

test('who never reads costs its queue and no more, and loses its line', async (t) => {
  const clock = new ManualClock()
  const net = new MemoryNet({ clock })
  const registry = new Registry()
  const host = lineHost(net)
  const lines = new LineTransport({ clock, registry, host, random: () => 0 })
  const links: string[] = []
  lines.start({ onFrame: () => {}, onLink: (peerId, isUp) => links.push(`${isUp} ${peerId}`) })
  for (const peerId of ['deaf', 'deaf too', 'friend']) {
    await net.peer(peerId).handle(TRACKER_PROTOCOL, async (stream) => {
      if (peerId === 'friend') for await (const _ of stream.incoming);
      else await new Promise(() => {})
    })
  }
  const queued = () => metricOf(registry, 'kairo_coordination_queued_bytes')
  const dropped = (reason: string) =>
    metricOf(registry, 'kairo_coordination_dropped_frames_total', { reason })
  for (let sent = 0; sent < 40; sent += 1) {
    lines.send('deaf', 'call', new Uint8Array(MiB))
    await settle()
  }
  t.equal(
    await queued(),
    frameLimits.queuedBytesMax.call,
    'no more waits for one that reads nothing',
  )
  t.ok((await dropped('full')) > 20)
  t.equal(lines.send('friend', 'call', new Uint8Array(MiB)), true, 'others go on')
  await settle()
  t.equal(await queued(), frameLimits.queuedBytesMax.call)
  await clock.pass(frameLimits.stallMsMax)
  t.equal(await queued(), 0, 'the line was broken off')
  t.ok((await dropped('broken')) > 0)
  t.equal(lines.send('deaf', 'call', new Uint8Array(1)), false, 'and is not tried again at once')
  await clock.pass(lineLimits.retryMsMin)
  t.equal(lines.send('deaf', 'call', new Uint8Array(1)), true, 'but later')
  lines.close()
  await settle()
  t.equal(lines.send('friend', 'call', new Uint8Array(1)), false)
  t.equal(await queued(), 0)
})

test('many that never read leave room for the others', async (t) => {
  const clock = new ManualClock()
  const net = new MemoryNet({ clock })
  const registry = new Registry()
  const host = lineHost(net)
  const lines = new LineTransport({ clock, registry, host, random: () => 0 })
  lines.start({ onFrame: () => {}, onLink: () => {} })
  const peers = Array.from({ length: 60 }, (_, index) => `deaf ${index}`)
  for (const peerId of [...peers, 'friend']) {
    await net.peer(peerId).handle(RAFT_PROTOCOL, async (stream) => {
      if (peerId === 'friend') for await (const _ of stream.incoming);
      else await new Promise(() => {})
    })
  }
  const frame = new Uint8Array(MiB)
  for (let round = 0; round < 16; round += 1) {
    for (const peerId of peers) lines.send(peerId, 'raft', frame)
  }
  await settle()
  const queued = await metricOf(registry, 'kairo_coordination_queued_bytes')
  t.ok(queued <= frameLimits.queuedBytesTotalMax)
  const labels = { reason: 'crowded' }
  t.ok((await metricOf(registry, 'kairo_coordination_dropped_frames_total', labels)) > 0)
  t.equal(lines.send('friend', 'raft', frame), true)
  await settle()
  const sent = { lane: 'raft', direction: 'out' }
  t.ok((await metricOf(registry, 'kairo_coordination_frames_total', sent)) >= 1)
  lines.close()
})

test('frames that never become whole: the slowest go when there are too many, and all in the end', async (t) => {
  const clock = new ManualClock()
  const net = new MemoryNet({ clock })
  const registry = new Registry()
  const host = lineHost(net)
  const lines = new LineTransport({ clock, registry, host, random: systemClock.now })
  lines.start({ onFrame: () => t.fail('no frame is whole'), onLink: () => {} })
  await lines.listen()
  const partial = new Uint8Array(7 * MiB)
  const streams = []
  for (let number = 0; number < 20; number += 1) {
    const stream = await net.peer(`slow ${number}`).open('a', RAFT_PROTOCOL, DEADLINE)
    streams.push(stream)
    await clock.pass(1)
    await stream.write(Uint8Array.of(1, ...encodeUvarint(8 * MiB)))
    await stream.write(partial)
    await settle()
  }
  const held = () => metricOf(registry, 'kairo_coordination_partial_bytes')
  const ends = (reason: string) =>
    metricOf(registry, 'kairo_coordination_ended_lines_total', { reason })
  t.ok((await held()) <= frameLimits.partialBytesTotalMax, `${await held()} bytes`)
  t.ok((await held()) > frameLimits.partialBytesTotalMax / 2)
  t.equal(await ends('memory'), 2, 'of 140 MiB in all')
  await t.rejects((streams[0] as (typeof streams)[0]).write(partial), 'the first of them')
  await clock.pass(frameLimits.stallMsMax + frameLimits.sweepMs)
  t.equal(await held(), 0)
  t.equal((await ends('memory')) + (await ends('stalled')), 20)
  lines.close()
})
