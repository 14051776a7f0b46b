/** The call lane between two peers: answers, streams with credit, frames, and all that can break. */
import { type Test, test } from 'tap'
import { CallLane, type CallStream } from '../../src/client/call-lane.ts'
import { callLimits } from '../../src/client/call-limits.ts'
import type { IncomingCall } from '../../src/client/incoming-call.ts'
import { TrackerError } from '../../src/errors.ts'
import { frameBytesMax } from '../../src/transport.ts'
import { codeOf } from '../support/driver-group.ts'
import { MemoryNetwork } from '../support/memory-network.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const service = 1
const timeoutMs = 1_000

/** Two peers, the first of which asks the second. */
function pair() {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const view = clock.view()
  let seed = 0
  const lane = (peerId: string) => {
    const transport = network.transport(peerId, view)
    seed += 0.1
    const random = () => seed
    const made = new CallLane({ transport, clock: view, random })
    transport.start({
      onFrame: (from, _, frame) => made.onFrame(from, frame),
      onLink: (other, isUp) => made.onLink(other, isUp),
    })
    return made
  }
  return { clock, network, view, a: lane('a'), b: lane('b'), lane }
}

/** Answers with what was asked. */
function echo(call: IncomingCall): void {
  call.answer(call.payload.slice())
}

/** Reads a stream and gives nothing back by itself. */
function reader(t: Test) {
  const items: Uint8Array[] = []
  let end: TrackerError | undefined | 'open' = 'open'
  return {
    items,
    get end() {
      return end
    },
    onItem: (item: Uint8Array) => {
      items.push(item)
    },
    onEnd: (error: TrackerError | undefined) => {
      if (end !== 'open') t.fail('a stream ends once')
      end = error
    },
  }
}

test('what is asked in one turn is one frame, and so are its answers', async (t) => {
  const { clock, network, a, b } = pair()
  b.serve(service, echo)
  const asked = Array.from({ length: 100 }, (_, i) => Uint8Array.of(i))
  const answers = Promise.all(asked.map((payload) => a.ask('b', service, payload, { timeoutMs })))
  t.same(await clock.result(answers), asked)
  t.equal(network.counters.sent, 2)
  // Callers that were answered together ask again together, some promises later.
  const again = Promise.all(
    asked.map(async (payload) => {
      await a.ask('b', service, payload, { timeoutMs })
      await undefined
      return a.ask('b', service, payload, { timeoutMs })
    }),
  )
  t.same(await clock.result(again), asked)
  t.equal(network.counters.sent, 6)
})

test('a peer asks itself as it asks others', async (t) => {
  const { clock, network, a } = pair()
  a.serve(service, echo)
  t.same(await clock.result(a.ask('a', service, Uint8Array.of(7), { timeoutMs })), Uint8Array.of(7))
  t.equal(network.counters.sent, 0)
})

test('frames stay below their limit, however much is asked', async (t) => {
  const { clock, network, a, b } = pair()
  b.serve(service, echo)
  let largest = 0
  network.tamper = (frame) => {
    largest = Math.max(largest, frame.length)
    return frame
  }
  const largestMax = callLimits.payloadBytesMax
  const sizes = [largestMax, 1, largestMax, 100_000, 100_000, largestMax, 200_000, 5]
  const calls = sizes.map((size) => a.ask('b', service, new Uint8Array(size), { timeoutMs }))
  const answers = await clock.result(Promise.all(calls))
  t.same(
    answers.map(({ length }) => length),
    sizes,
  )
  t.ok(largest <= frameBytesMax.call, `${largest} bytes`)
  const tooLarge = a.ask('b', service, new Uint8Array(callLimits.payloadBytesMax + 1), {
    timeoutMs,
  })
  t.equal(await codeOf(clock.result(tooLarge)), 'ERR_INVALID_INPUT')
})

test('refusals come as they are', async (t) => {
  const { clock, a, b } = pair()
  b.serve(service, (call) =>
    call.refuse(new TrackerError('ERR_NOT_LEADER', 'ask c', { leader: 'c' })),
  )
  const refused = clock.result(a.ask('b', service, new Uint8Array(), { timeoutMs }))
  await t.rejects(refused, { code: 'ERR_NOT_LEADER', message: 'ask c', leader: 'c' })
  const unknown = clock.result(a.ask('b', 99, new Uint8Array(), { timeoutMs }))
  t.equal(await codeOf(unknown), 'ERR_UNAVAILABLE', 'a service that nobody runs')
  b.serve(2, (call) => call.answer(new Uint8Array(callLimits.payloadBytesMax + 1)))
  const large = clock.result(a.ask('b', 2, new Uint8Array(), { timeoutMs }))
  t.equal(await codeOf(large), 'ERR_OVERLOADED', 'an answer that no frame has room for')
})

test('what was not sent was not done; what was may have been', async (t) => {
  const { clock, network, a, b } = pair()
  let gone = 0
  b.serve(service, (call) => {
    call.onGone = () => {
      gone += 1
    }
  })
  const nobody = a.ask('nobody', service, new Uint8Array(), { timeoutMs })
  t.equal(await codeOf(clock.result(nobody)), 'ERR_UNAVAILABLE')
  const late = a.ask('b', service, new Uint8Array(), { timeoutMs })
  t.equal(await codeOf(clock.result(late)), 'ERR_UNKNOWN_OUTCOME')
  t.ok(clock.nowMs >= timeoutMs && clock.nowMs < timeoutMs + 100)
  await clock.pass(10)
  t.equal(gone, 1, 'the other peer is told that nobody waits')
  const broken = a.ask('b', service, new Uint8Array(), { timeoutMs: 60_000 })
  await clock.pass(10)
  network.disconnect('a', 'b')
  t.equal(await codeOf(clock.result(broken)), 'ERR_UNKNOWN_OUTCOME')
  t.equal(gone, 2, 'both sides see it')
  network.connect('a', 'b')
  t.same([a.counters.timeouts, b.counters.served], [1, 2])
})

test('a peer that stood still reads what was answered before it gives up', async (t) => {
  for (const isAnswered of [true, false]) {
    const { clock, network, view, a, b } = pair()
    network.settings.delayMs = () => 10
    b.serve(service, (call) => {
      if (isAnswered) echo(call)
    })
    const outcome = codeOf(a.ask('b', service, new Uint8Array(), { timeoutMs: 30 }))
    const standStill = async () => {
      await clock.pass(15)
      view.pause()
      await clock.pass(200)
      view.resume()
      await clock.settle()
    }
    await standStill()
    t.equal(a.counters.timeouts, 0)
    // Whoever is late each time gives up all the same.
    await standStill()
    t.equal(a.counters.timeouts, isAnswered ? 0 : 1)
    t.equal(await outcome, isAnswered ? 'resolved' : 'ERR_UNKNOWN_OUTCOME')
  }
})

test('a peer that was started anew is not answered for the one before it', async (t) => {
  const { clock, b, a, network, lane } = pair()
  const calls: IncomingCall[] = []
  b.serve(service, (call) => calls.push(call))
  const before = codeOf(a.ask('b', service, Uint8Array.of(1), { timeoutMs }))
  await clock.pass(10)
  // The process ends without a word, and another takes its place.
  network.remove('a', { silently: true })
  const anew = lane('a')
  const after = codeOf(anew.ask('b', service, Uint8Array.of(2), { timeoutMs: 100 }))
  await clock.pass(10)
  calls[0]?.answer(Uint8Array.of(1))
  t.equal(
    await clock.result(after),
    'ERR_UNKNOWN_OUTCOME',
    'the old answer is not taken for its own',
  )
  a.stop()
  t.equal(await clock.result(before), 'ERR_STOPPED')
})

test('a stream sends no more than its reader takes', async (t) => {
  const { clock, a, b } = pair()
  const sent: number[] = []
  const size = 50_000
  b.serve(service, (call) => {
    const send = () => {
      let more = true
      while (more && sent.length < 40) {
        more = call.item(new Uint8Array(size))
        sent.push(size)
      }
      if (sent.length === 40) call.answer(new Uint8Array())
    }
    call.onCredit = send
    send()
  })
  const read = reader(t)
  const stream = a.open('b', service, new Uint8Array(), read)
  await clock.pass(100)
  const first = sent.length
  t.ok(first * size < callLimits.streamWindowBytes + size, `${first} items ahead`)
  t.equal(read.items.length, first)
  for (let credited = 0; read.end === 'open'; credited++) {
    stream.credit(size)
    await clock.pass(5)
    t.ok(sent.length <= first + credited + 1)
  }
  t.equal(read.items.length, 40)
  t.equal(read.end, undefined, 'it ended well')
  stream.credit(1)
  stream.close()
})

test('a stream that nobody reads any more ends at its source', async (t) => {
  const { clock, network, a, b } = pair()
  let gone = 0
  let source: IncomingCall | undefined
  b.serve(service, (call) => {
    source = call
    call.onGone = () => {
      gone += 1
    }
    call.item(Uint8Array.of(1))
  })
  const open = (): { stream: CallStream; read: ReturnType<typeof reader> } => {
    const read = reader(t)
    return { stream: a.open('b', service, new Uint8Array(), read), read }
  }
  const first = open()
  await clock.pass(10)
  first.stream.close()
  source?.item(Uint8Array.of(2))
  await clock.pass(10)
  t.equal(gone, 1)
  t.equal(first.read.items.length, 1, 'nothing comes after that')
  t.equal(source?.item(Uint8Array.of(3)), false)
  const second = open()
  await clock.pass(10_000)
  t.equal(second.read.end, 'open', 'a stream has no time limit')
  network.disconnect('a', 'b')
  await clock.pass(10)
  t.match(second.read.end, { code: 'ERR_UNKNOWN_OUTCOME' })
  t.equal(gone, 2)
})

test('answers wait for a line that takes nothing, and requests do not', async (t) => {
  const { clock, a, b } = pair()
  let isOpen = true
  const held = new CallLane({
    transport: {
      peerId: 'c',
      send: (peerId, _, frame) => {
        if (isOpen) queueMicrotask(() => lanes[peerId]?.onFrame('c', frame))
        return isOpen
      },
    },
    clock: clock.view(),
    random: () => 0.5,
  })
  const lanes: Record<string, CallLane> = { a, b }
  let call: IncomingCall | undefined
  held.serve(service, (incoming) => {
    call = incoming
  })
  const direct = new CallLane({
    transport: {
      peerId: 'd',
      send: (_, __, frame) => {
        queueMicrotask(() => held.onFrame('d', frame))
        return true
      },
    },
    clock: clock.view(),
    random: () => 0.7,
  })
  lanes.d = direct
  const answer = codeOf(direct.ask('c', service, new Uint8Array(), { timeoutMs }))
  await clock.pass(5)
  isOpen = false
  call?.answer(new Uint8Array())
  t.equal(
    await codeOf(clock.result(held.ask('d', service, new Uint8Array(), { timeoutMs }))),
    'ERR_UNAVAILABLE',
  )
  await clock.pass(100)
  isOpen = true
  t.equal(await clock.result(answer), 'resolved')
})

test('too much is refused: requests of one peer, and those that wait for one', async (t) => {
  const { clock, a, b } = pair()
  const calls: IncomingCall[] = []
  b.serve(service, (call) => calls.push(call))
  const outcomes = Array.from({ length: callLimits.asksMax + 3 }, () =>
    codeOf(a.ask('b', service, new Uint8Array(), { timeoutMs: 60_000 })),
  )
  await clock.pass(20)
  for (const call of calls) call.answer(new Uint8Array())
  const counted = new Map<string, number>()
  for (const outcome of await clock.result(Promise.all(outcomes)))
    counted.set(outcome, (counted.get(outcome) ?? 0) + 1)
  t.same(
    [...counted],
    [
      ['resolved', callLimits.asksMax],
      ['ERR_OVERLOADED', 3],
    ],
  )
  t.equal(a.counters.refusedBusy, 3)
})

test('a frame that is lost ends what it may have carried, on both sides', async (t) => {
  for (const losing of ['a', 'b']) {
    const { clock, network, a, b } = pair()
    const sources: IncomingCall[] = []
    b.serve(service, (call) => {
      sources.push(call)
      if (!call.isStream && call.payload[0] === 1) call.answer(new Uint8Array())
    })
    const read = reader(t)
    a.open('b', service, new Uint8Array(), read)
    await clock.pass(5)
    network.settings.loses = (from) => from === losing
    const call = codeOf(a.ask('b', service, Uint8Array.of(1), { timeoutMs: 60_000 }))
    await clock.pass(5)
    sources[0]?.item(Uint8Array.of(1))
    await clock.pass(5)
    network.settings.loses = () => false
    t.equal(read.end, 'open', 'nobody knows yet')
    const from = clock.nowMs
    t.equal(await clock.result(call), 'ERR_UNKNOWN_OUTCOME')
    t.match(read.end, { code: 'ERR_UNKNOWN_OUTCOME' })
    t.ok(clock.nowMs - from <= 2 * callLimits.beatMs + 10)
    await clock.pass(5)
    t.equal(sources[0]?.isOver, true)
    t.ok(a.counters.framesLost + b.counters.framesLost >= 1)
    const next = a.ask('b', service, Uint8Array.of(1), { timeoutMs })
    t.same(await clock.result(next), new Uint8Array(), 'and all goes on')
  }
})

test('a frame that nobody wrote harms nothing else', async (t) => {
  const { clock, a, b } = pair()
  b.serve(service, echo)
  b.onFrame('a', Uint8Array.of(1, 77))
  t.equal(b.counters.framesMalformed, 1)
  t.same(await clock.result(a.ask('b', service, Uint8Array.of(1), { timeoutMs })), Uint8Array.of(1))
})
