// What a peer is sent: in order, as it comes in, under a cap, and no more than is wanted.
import { test } from 'tap'
import { PartMemory } from '../../src/memory/part-memory.ts'
import { meshLimits as limits } from '../../src/mesh/limits.ts'
import { Outbox } from '../../src/mesh/outbox.ts'
import { UploadTurns } from '../../src/mesh/upload-turns.ts'
import { readChunk } from '../../src/protocol/chunk.ts'
import { protocolLimits } from '../../src/protocol/limits.ts'
import { type Chunk, firstPushNo, type MeshMessage } from '../../src/protocol/mesh-messages.ts'
import { channelPair, type TestChannel } from '../support/channel-pair.ts'
import { ManualClock } from '../support/manual-clock.ts'

const fastBps = 1_000_000_000

/** Bytes of every part, by their place: no two places near one another have the same. */
const pattern = Uint8Array.from({ length: limits.lagBytesMax + 1 }, (_, at) => at * 7 + (at >> 8))

function bytesOf(from: number, to: number): Uint8Array {
  return pattern.slice(from, to)
}

/** What arrived at a peer. */
class Arrivals {
  readonly messages: MeshMessage[] = []
  readonly chunks: Chunk[] = []

  get ends(): MeshMessage[] {
    return this.messages.filter(({ kind }) => kind === 'end')
  }

  /** The bytes of a number, which have to follow one another. */
  bytesBy(no: number): { from: number; to: number; areRight: boolean } {
    const chunks = this.chunks.filter((chunk) => chunk.no === no)
    const from = chunks[0]?.offset ?? 0
    let [to, areRight] = [from, true]
    for (const { offset, bytes } of chunks) {
      areRight &&= offset === to && bytes.length <= protocolLimits.chunkBytesMax
      areRight &&= Buffer.compare(bytes, pattern.subarray(offset, offset + bytes.length)) === 0
      to += bytes.length
    }
    return { from, to, areRight }
  }
}

function stage(bps = fastBps, bytesMax = 50_000_000) {
  const clock = new ManualClock()
  const memory = new PartMemory({ bytesMax, onEvicted: () => {} })
  const turns = new UploadTurns({ clock }, bps)
  const promised = new Set<string>()
  const createPeer = (): { outbox: Outbox; channel: TestChannel; got: Arrivals } => {
    const [channel, far] = channelPair()
    const got = new Arrivals()
    far.onmessage = ({ data }) => got.chunks.push(readChunk(data))
    channel.bufferedAmountLowThreshold = limits.lowBytes
    const outbox = new Outbox(
      {
        ...{ clock, memory, turns },
        chunks: channel as unknown as RTCDataChannel,
        send: (message) => got.messages.push(message),
      },
      { isPromised: (key) => promised.has(key), onSent: () => {} },
    )
    channel.onbufferedamountlow = () => outbox.resume()
    return { outbox, channel, got }
  }
  const fill = (key: string, bytes: number): void => {
    memory.setBytes(key, bytes)
    memory.write(key, 0, bytesOf(0, bytes))
  }
  return { clock, memory, turns, promised, createPeer, fill, ...createPeer() }
}

const ask = (no: number, key: string, from = 0, to?: number) =>
  ({ kind: 'ask', no, key, from, ...(to !== undefined && { to }) }) as const

test('a part goes in order, and never more waits than the mark', async (t) => {
  const { outbox, channel, got, fill } = stage()
  fill('r/1', 1_000_000)
  outbox.takeAsk(ask(3, 'r/1'))
  t.ok(channel.bufferedAmount >= limits.highBytes, 'the channel is filled')
  t.strictSame(got.ends, [])
  channel.flow()
  t.ok(channel.bufferedMax < limits.highBytes + protocolLimits.chunkBytesMax + 8)
  t.strictSame(got.bytesBy(3), { from: 0, to: 1_000_000, areRight: true })
  t.strictSame(got.ends, [{ kind: 'end', no: 3, bytes: 1_000_000, isCut: false }])
  t.equal(outbox.size, 0)
})

test('more is put in when little waits, not before', async (t) => {
  const { outbox, channel, fill } = stage()
  fill('r/1', 1_000_000)
  outbox.takeAsk(ask(3, 'r/1'))
  const count = channel.waiting.length
  channel.flow(limits.highBytes - limits.lowBytes - 40_000)
  t.ok(channel.waiting.length < count)
  channel.flow(40_000)
  t.ok(channel.bufferedAmount >= limits.highBytes)
})

test('bytes go on as they come in, and the end when it is known', async (t) => {
  const { memory, outbox, channel, got } = stage()
  memory.write('r/1', 0, bytesOf(0, 10_000))
  outbox.takeAsk(ask(0, 'r/1', 4_000))
  channel.flow()
  t.strictSame(got.bytesBy(0), { from: 4_000, to: 10_000, areRight: true })
  memory.write('r/1', 20_000, bytesOf(20_000, 30_000))
  channel.flow()
  t.equal(got.bytesBy(0).to, 10_000, 'not what lies behind a hole')
  memory.write('r/1', 10_000, bytesOf(10_000, 20_000))
  channel.flow()
  t.strictSame(got.bytesBy(0), { from: 4_000, to: 30_000, areRight: true })
  t.strictSame(got.ends, [])
  memory.setBytes('r/1', 30_000)
  t.strictSame(got.ends, [{ kind: 'end', no: 0, bytes: 30_000, isCut: false }])
})

test('a range is sent, and nothing else', async (t) => {
  const { memory, outbox, channel, got } = stage()
  memory.write('r/1', 0, bytesOf(0, 100_000))
  outbox.takeAsk(ask(0, 'r/1', 30_000, 70_001))
  channel.flow()
  t.strictSame(got.bytesBy(0), { from: 30_000, to: 70_001, areRight: true })
  t.strictSame(got.ends, [{ kind: 'end', no: 0, isCut: false }])
})

test('what is not here ends at once, what is promised is waited for', async (t) => {
  const { memory, promised, outbox, channel, got, fill } = stage()
  outbox.takeAsk(ask(0, 'r/1'))
  t.strictSame(got.ends, [{ kind: 'end', no: 0, isCut: true }])
  fill('r/2', 1_000)
  outbox.takeAsk(ask(1, 'r/2', 1_000))
  t.strictSame(got.ends[1], { kind: 'end', no: 1, bytes: 1_000, isCut: true }, 'behind its end')
  promised.add('r/1')
  outbox.takeAsk(ask(2, 'r/1'))
  t.equal(got.ends.length, 2)
  memory.write('r/1', 0, bytesOf(0, 5_000))
  channel.flow()
  t.equal(got.bytesBy(2).to, 5_000)
  outbox.cut('r/1')
  t.strictSame(got.ends[2], { kind: 'end', no: 2, isCut: true }, 'it does not come after all')
})

test('what is dropped or evicted is sent no further', async (t) => {
  const { memory, outbox, channel, got, fill } = stage(fastBps, 1_500_000)
  fill('r/1', 1_000_000)
  outbox.takeAsk(ask(0, 'r/1'))
  outbox.push('r/1')
  memory.drop('r/1')
  t.strictSame(got.ends, [
    { kind: 'end', no: 0, isCut: true },
    { kind: 'end', no: firstPushNo, isCut: true },
  ])
  channel.flow()
  t.ok(got.bytesBy(0).to < 1_000_000)
  t.ok(got.bytesBy(0).areRight)
  fill('r/1', 1_000_000)
  outbox.takeAsk(ask(1, 'r/1'))
  fill('r/2', 1_000_000)
  t.strictSame(got.ends[2], { kind: 'end', no: 1, isCut: true })
  t.equal(outbox.size, 0)
})

test('a cancelled ask or push stops, without an end', async (t) => {
  const { outbox, channel, got, fill } = stage()
  fill('r/1', 1_000_000)
  outbox.takeAsk(ask(0, 'r/1'))
  outbox.push('r/1')
  t.strictSame(got.messages, [{ kind: 'push', no: firstPushNo, key: 'r/1' }])
  outbox.takeCancel(0)
  outbox.takeCancel(firstPushNo)
  outbox.takeCancel(77)
  channel.flow()
  t.equal(got.chunks.length, 16, 'what was in the channel')
  t.strictSame(got.ends, [])
})

test('asks take turns, and pushes take what they leave', async (t) => {
  const { outbox, channel, got, fill } = stage()
  for (const key of ['r/1', 'r/2', 'r/3']) fill(key, 200_000)
  channel.readyState = 'connecting'
  outbox.push('r/3')
  outbox.takeAsk(ask(1, 'r/1'))
  outbox.takeAsk(ask(2, 'r/2'))
  channel.readyState = 'open'
  outbox.resume()
  channel.flow()
  const order = got.chunks.map(({ no }) => no)
  t.strictSame(order.slice(0, 4), [1, 2, 1, 2])
  t.equal(order.lastIndexOf(1) < order.indexOf(firstPushNo), true)
  t.equal(got.ends.length, 3)
})

test('pushes go one after the other, the oldest first, and each once', async (t) => {
  const { outbox, channel, got, fill } = stage()
  for (const key of ['r/1', 'r/2']) fill(key, 400_000)
  outbox.push('r/1')
  outbox.push('r/2')
  outbox.push('r/2')
  channel.flow()
  t.strictSame(
    got.messages.map(({ kind }) => kind),
    ['push', 'push', 'end', 'end'],
  )
  const order = got.chunks.map(({ no }) => no)
  t.equal(order.lastIndexOf(firstPushNo) < order.indexOf(firstPushNo + 1), true)
})

test('a push that lags for long is ended', async (t) => {
  const { clock, outbox, channel, got, fill } = stage()
  fill('r/1', 1_000_000)
  outbox.push('r/1')
  clock.advance(limits.lagMsMax)
  outbox.resume()
  t.strictSame(got.ends, [])
  clock.advance(1)
  outbox.resume()
  t.strictSame(got.ends, [{ kind: 'end', no: firstPushNo, bytes: 1_000_000, isCut: true }])
  outbox.push('r/1')
  channel.flow()
  t.equal(got.ends.length, 2, 'one that keeps up is not')
})

test('a push that has caught up is not late again at once', async (t) => {
  const { clock, memory, outbox, channel, got } = stage()
  memory.write('r/1', 0, bytesOf(0, 400_000))
  outbox.push('r/1')
  clock.advance(limits.lagMsMax - 1)
  channel.flow()
  outbox.resume()
  clock.advance(limits.lagMsMax - 1)
  memory.write('r/1', 400_000, bytesOf(400_000, 800_000))
  outbox.resume()
  t.strictSame(got.ends, [])
})

test('a push is ended when too much of newer ones is ready', async (t) => {
  const { outbox, got, fill } = stage()
  fill('r/1', 1_000_000)
  fill('r/2', limits.lagBytesMax + 1)
  outbox.push('r/1')
  t.strictSame(got.ends, [])
  outbox.push('r/2')
  outbox.resume()
  t.strictSame(got.ends, [{ kind: 'end', no: firstPushNo, bytes: 1_000_000, isCut: true }])
  t.equal(outbox.size, 1, 'however long the newest is')
})

test('the cap holds for all peers together, and they share it alike', async (t) => {
  const { clock, createPeer, fill, outbox, channel, got } = stage(800_000)
  const other = createPeer()
  fill('r/1', 2_000_000)
  outbox.takeAsk(ask(0, 'r/1'))
  outbox.takeAsk(ask(1, 'r/1'))
  other.outbox.takeAsk(ask(0, 'r/1'))
  const sent = (arrivals: Arrivals): number =>
    arrivals.chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)
  channel.flow()
  t.ok(sent(got) >= 100_000, 'a second of it at first, to whom comes first')
  const before = sent(got)
  for (let ms = 0; ms < 5_000; ms += 10) {
    clock.advance(10)
    channel.flow()
    other.channel.flow()
  }
  const [mine, others] = [sent(got) - before, sent(other.got)]
  t.ok(Math.abs(mine + others - 500_000) <= 2 * protocolLimits.chunkBytesMax, 'then what is set')
  t.ok(Math.abs(mine - others) <= protocolLimits.chunkBytesMax, 'two asks are no more than one')
  t.equal(clock.timers, 1, 'one timer')
})

test('without its timer the cap is served by whatever happens', async (t) => {
  const { clock, memory, outbox, turns, channel, got, fill } = stage(800_000)
  const timers = clock.after
  clock.after = () => () => {}
  fill('r/1', 2_000_000)
  outbox.takeAsk(ask(0, 'r/1'))
  channel.flow()
  const before = got.chunks.length
  clock.advance(500)
  turns.give()
  channel.flow()
  t.ok(got.chunks.length > before)
  clock.after = timers
  memory.drop('r/1')
})

test('a higher cap counts at once', async (t) => {
  const { clock, outbox, turns, channel, got, fill } = stage(8_000)
  fill('r/1', 200_000)
  outbox.takeAsk(ask(0, 'r/1'))
  channel.flow()
  t.equal(got.chunks.length, 1)
  turns.bps = 80_000_000
  clock.advance(100)
  channel.flow()
  t.equal(got.bytesBy(0).to, 200_000)
  fill('r/2', 200_000)
  turns.bps = 1
  outbox.takeAsk(ask(1, 'r/2'))
  t.equal(clock.timers, 1)
  outbox.close()
  t.equal(clock.timers, 0, 'nobody waits any more')
})

test('a cap of nothing ends what is under way, and refuses what comes', async (t) => {
  const { clock, turns, outbox, channel, got, fill } = stage()
  fill('r/1', 1_000_000)
  outbox.takeAsk(ask(0, 'r/1'))
  turns.bps = 0
  outbox.cut()
  outbox.takeAsk(ask(1, 'r/1'))
  outbox.push('r/1')
  channel.flow()
  t.strictSame(
    got.messages.map((message) => (message.kind === 'end' ? message.isCut : message.kind)),
    [true, true],
  )
  turns.bps = fastBps
  clock.advance(1_000)
  outbox.takeAsk(ask(2, 'r/1'))
  channel.flow()
  t.equal(got.bytesBy(2).to, 1_000_000)
})

test('there are bounds for asks and pushes', async (t) => {
  const { memory, outbox, got } = stage()
  memory.write('r/1', 0, bytesOf(0, 10))
  for (let no = 0; no <= limits.asksMax; no += 1) outbox.takeAsk(ask(no, 'r/1'))
  t.strictSame(got.ends, [{ kind: 'end', no: limits.asksMax, isCut: true }])
  t.throws(() => outbox.takeAsk(ask(5, 'r/1')), { code: 'ERR_PROTOCOL' })
  for (let no = 0; no <= limits.pushesMax; no += 1) outbox.push(`r/${no}`)
  t.equal(outbox.size, limits.asksMax + limits.pushesMax)
  outbox.close()
  t.equal(outbox.size, 0)
  memory.write('r/1', 10, bytesOf(10, 20))
  t.equal(got.ends.length, 1, 'and nobody is told when the connection is gone')
})

test('a channel that takes nothing does no harm', async (t) => {
  const { outbox, channel, got, fill } = stage()
  const send = channel.send.bind(channel)
  channel.send = () => {
    throw new DOMException('full', 'OperationError')
  }
  fill('r/1', 100_000)
  outbox.takeAsk(ask(0, 'r/1'))
  channel.send = send
  outbox.resume()
  channel.flow()
  t.equal(got.bytesBy(0).to, 100_000)
})

test('memory that has no room for one more listener has nothing to give', async (t) => {
  const { memory, outbox, got, fill } = stage()
  fill('r/1', 1_000)
  memory.watch = () => {
    throw new Error('too many')
  }
  outbox.takeAsk(ask(0, 'r/1'))
  t.strictSame(got.ends, [{ kind: 'end', no: 0, bytes: 1_000, isCut: true }])
})
