// The line to the edge: with a socket that the test plays, for what a browser's does at odd times, and with real ones.
import type { AddressInfo } from 'node:net'
import { type Test, test } from 'tap'
import { WebSocketServer } from 'ws'
import { systemClock } from '../../src/clock.ts'
import {
  type EdgeMessage,
  type PageMessage,
  swarmProtocol,
} from '../../src/protocol/edge-messages.ts'
import { protocolLimits } from '../../src/protocol/limits.ts'
import { EdgeLine } from '../../src/signalling/edge-line.ts'
import { signallingLimits as limits } from '../../src/signalling/limits.ts'
import { ManualClock } from '../support/manual-clock.ts'

const welcome = {
  kind: 'welcome',
  id: 'abcdefghijklmnop',
  session: 'session-1',
  iceServers: [],
  edges: [] as string[],
  stateEveryMs: 5_000,
} as const
const failed = { kind: 'failed', key: 'r/1' } as const
const want = { kind: 'want', parts: [{ key: 'r/1', withinMs: 100 }] } as const
const gone = { kind: 'gone', id: 'abcdefghijklmnop' } as const

/** The browser's WebSocket, as far as the line uses it; what happens to it is up to the test. */
class TestSocket {
  readonly url: string
  readonly sent: unknown[] = []
  bufferedAmount = 0
  closed: [number, string] | undefined
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null

  constructor(url: string) {
    this.url = url
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(code: number, reason: string): void {
    this.closed = [code, reason]
  }

  /** The edge says something. */
  hear(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) })
  }

  open(more: object = {}): void {
    this.onopen?.()
    this.hear({ ...welcome, ...more })
  }
}

function stage(urls: readonly string[] = ['wss://one/', 'wss://two/'], random = 1) {
  const clock = new ManualClock()
  const sockets: TestSocket[] = []
  const told: unknown[] = []
  const line = new EdgeLine(
    {
      clock,
      random: () => random,
      openSocket: (url, protocol) => {
        if (url.startsWith('bad')) throw new SyntaxError('bad')
        if (protocol !== swarmProtocol) throw new Error(protocol)
        const socket = new TestSocket(url)
        sockets.push(socket)
        return socket as unknown as WebSocket
      },
    },
    {
      urls,
      hello: (session) => ({
        ...{ kind: 'hello', swarm: 's', uploadBps: 0, canConnect: true },
        ...(session !== undefined && { session }),
      }),
      onMessage: (message) => told.push(message.kind),
      onState: (isOpen) => told.push(isOpen),
    },
  )
  line.start()
  const last = (): TestSocket => sockets.at(-1) as TestSocket
  /** Lets time pass until the next try, and says how much that was. */
  const retry = (): number => {
    const [startMs, count] = [clock.nowMs(), sockets.length]
    while (sockets.length === count) clock.advance(250)
    return clock.nowMs() - startMs
  }
  const fail = (): void => last().onclose?.({ code: 1006, reason: '' })
  return { clock, sockets, told, line, last, retry, fail }
}

test('hello first, open after welcome', async (t) => {
  const { sockets, told, line, last, clock } = stage()
  line.start()
  t.equal(sockets.length, 1)
  t.notOk(line.send(failed))
  last().onopen?.()
  t.strictSame(last().sent, [{ kind: 'hello', swarm: 's', uploadBps: 0, canConnect: true }])
  t.notOk(line.send(failed), 'not before welcome')
  last().hear(welcome)
  t.strictSame(told, ['welcome', true])
  t.ok(line.send(failed))
  t.strictSame(last().sent.at(-1), failed)
  last().hear({ kind: 'of a later version' })
  last().hear(gone)
  t.strictSame(told, ['welcome', true, 'gone'])
  t.equal(line.url, 'wss://one/')
  t.equal(clock.timers, 0)
  t.strictSame(line.figures(), { breaks: 0, reason: undefined })
})

test('each edge in turn, with waits that grow to a bound', async (t) => {
  const { sockets, told, retry, fail } = stage()
  const waits = Array.from({ length: 9 }, () => {
    fail()
    return retry()
  })
  t.strictSame(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  t.strictSame(
    sockets.slice(0, 4).map(({ url }) => url),
    ['wss://one/', 'wss://two/', 'wss://one/', 'wss://two/'],
  )
  t.strictSame(told, [], 'it was never open')
})

test('a URL that the browser does not take is passed over', async (t) => {
  const { clock, line, last } = stage(['bad', 'wss://two/'])
  t.strictSame(line.figures(), { breaks: 1, reason: 'bad URL' })
  t.equal(line.url, undefined)
  clock.advance(limits.retryMsMin)
  t.equal(last().url, 'wss://two/')
})

test('half of a wait is random', async (t) => {
  const { clock, sockets, last } = stage(['wss://one/'], 0)
  last().onclose?.({ code: 1006, reason: '' })
  clock.advance(limits.retryMsMin / 2 - 1)
  t.equal(sockets.length, 1)
  clock.advance(1)
  t.equal(sockets.length, 2)
})

test('after a break the session is shown to the edges that were recommended', async (t) => {
  const { clock, sockets, told, last, line, retry, fail } = stage()
  last().open({ edges: ['wss://three/', 'wss://one/'] })
  clock.advance(limits.stableMs)
  last().onclose?.({ code: 1001, reason: 'going away' })
  t.strictSame(told, ['welcome', true, false])
  t.notOk(line.send(failed))
  t.strictSame(line.figures(), { breaks: 1, reason: '1001 going away' })
  for (let tries = 0; tries < 3; tries += 1) {
    retry()
    last().onopen?.()
    t.equal((last().sent[0] as { session?: string }).session, 'session-1')
    fail()
  }
  t.strictSame(
    sockets.map(({ url }) => url),
    ['wss://one/', 'wss://three/', 'wss://two/', 'wss://one/'],
  )
  retry()
  last().open({ session: 'session-2' })
  t.strictSame(told, ['welcome', true, false, 'welcome', true])
  fail()
  retry()
  last().onopen?.()
  t.equal((last().sent[0] as { session?: string }).session, 'session-2')
})

test('an edge that takes everybody and keeps nobody is tried ever less often', async (t) => {
  const { clock, last, retry, fail } = stage(['wss://one/'])
  for (let round = 0; round < 10; round += 1) {
    last().open()
    fail()
    retry()
  }
  last().open()
  clock.advance(limits.stableMs - 1)
  fail()
  t.equal(retry(), limits.retryMsMax)
  last().open()
  clock.advance(limits.stableMs)
  fail()
  t.equal(retry(), limits.retryMsMin, 'one that kept it for a while was good')
})

test('an edge that does not answer in time is given up', async (t) => {
  const { clock, sockets, last, retry } = stage()
  const [first] = sockets
  clock.advance(limits.openMsMax - 1)
  t.equal(first?.closed, undefined)
  clock.advance(1)
  t.strictSame(first?.closed, [4408, 'no answer'])
  retry()
  t.equal(last().url, 'wss://two/')
  last().onopen?.()
  clock.advance(limits.openMsMax)
  t.strictSame(last().closed, [4408, 'no answer'], 'nor one that is open and says nothing')
  first?.open()
  first?.onclose?.({ code: 1006, reason: '' })
  t.equal(first?.sent.length, 0, 'what a socket that was left says is not heard')
  t.equal(retry(), 2 * limits.retryMsMin)
})

test('what an edge would not say closes the line', async (t) => {
  const bad: Record<string, unknown> = {
    binary: new ArrayBuffer(8),
    'no JSON': '{',
    'too long': ' '.repeat(protocolLimits.edgeMessageCharsMax + 1),
    'a second welcome': JSON.stringify(welcome),
    'no id': '{"kind":"gone","id":"x"}',
  }
  for (const [name, data] of Object.entries(bad)) {
    const { told, last, sockets, retry } = stage()
    last().open()
    last().onmessage?.({ data })
    t.equal(sockets[0]?.closed?.[0], 4400, name)
    t.strictSame(told, ['welcome', true, false])
    retry()
    t.equal(last().url, 'wss://two/')
  }
  const early = stage()
  early.last().onopen?.()
  early.last().hear(gone)
  t.strictSame(early.last().closed, [4400, 'no welcome'])
  t.strictSame(early.told, [])
})

test('off is the end, unless the swarm is only full', async (t) => {
  for (const reason of ['ticket', 'unknown-swarm', 'misbehaved']) {
    const { clock, told, last, sockets, line } = stage()
    last().onopen?.()
    last().hear({ kind: 'off', reason, detail: 'no' })
    t.strictSame(last().closed, [1000, `off: ${reason}`])
    t.strictSame(told, ['off'])
    clock.advance(1_000_000)
    line.start()
    t.equal(sockets.length, 1)
  }
  const { clock, told, last, sockets } = stage()
  last().open()
  last().hear({ kind: 'off', reason: 'full', detail: 'no' })
  t.strictSame(told, ['welcome', true, false, 'off'])
  clock.advance(limits.fullRetryMs - 1)
  t.equal(sockets.length, 1)
  clock.advance(1)
  t.equal(sockets.length, 2)
})

test('an edge that takes nothing, or answers nothing, is left', async (t) => {
  const slow = stage()
  slow.last().open()
  slow.last().bufferedAmount = limits.bufferedBytesMax + 1
  t.notOk(slow.line.send(failed))
  t.strictSame(slow.sockets[0]?.closed, [4408, 'takes nothing'])
  t.strictSame(slow.told, ['welcome', true, false])

  const { clock, last, line, sockets } = stage()
  last().open()
  const ask = (): void => {
    for (let wants = 0; wants < limits.silentWantsMax; wants += 1) t.ok(line.send(want))
  }
  ask()
  clock.advance(limits.silentMs)
  t.ok(line.send(want))
  last().hear(gone)
  clock.advance(1)
  ask()
  clock.advance(limits.silentMs + 1)
  t.ok(line.send(failed))
  t.notOk(line.send(want))
  t.strictSame(sockets[0]?.closed, [4408, 'silent'])
})

test('a message that is too long is not sent', async (t) => {
  const { line, last } = stage()
  last().open()
  const neighbours = Array.from({ length: 2_000 }, (_, at) => ({
    ...{ id: `${at}`.padStart(16, '0'), rttMs: 1, downBps: 1 },
  }))
  t.notOk(line.send({ kind: 'state', held: [], uploadBps: 0, neighbours }))
  t.equal(last().sent.length, 1)
})

test('a line that is stopped does nothing more', async (t) => {
  const { clock, told, line, last, sockets } = stage()
  last().open()
  line.stop()
  t.strictSame(last().closed, [1000, ''])
  last().onclose?.({ code: 1000, reason: '' })
  clock.advance(1_000_000)
  t.equal(sockets.length, 1)
  t.strictSame(told, ['welcome', true])
  t.notOk(line.send(failed))
  t.equal(clock.timers, 0)
  const waiting = stage()
  waiting.last().onclose?.({ code: 1006, reason: '' })
  waiting.line.stop()
  waiting.clock.advance(1_000_000)
  t.equal(waiting.sockets.length, 1)
  const none = stage([])
  t.equal(none.sockets.length, 0)
  none.line.stop()
})

test('stopped from inside of a notice', async (t) => {
  const clock = new ManualClock()
  const socket = new TestSocket('')
  const states: boolean[] = []
  const line: EdgeLine = new EdgeLine(
    { clock, random: () => 0, openSocket: () => socket as unknown as WebSocket },
    {
      urls: ['wss://one/'],
      hello: () => ({ kind: 'hello', swarm: 's', uploadBps: 0, canConnect: false }),
      onMessage: () => line.stop(),
      onState: (isOpen) => states.push(isOpen),
    },
  )
  line.start()
  socket.open()
  t.strictSame(states, [])
  t.equal(clock.timers, 0)
})

test('with real sockets: an edge dies, and the next one takes the session over', async (t) => {
  const [first, second] = [await startEdge(t), await startEdge(t)]
  const heard: EdgeMessage['kind'][] = []
  const opened = waiter()
  const reopened = waiter()
  const states: boolean[] = []
  const line = new EdgeLine(
    {
      clock: systemClock,
      random: () => 0,
      openSocket: (url, protocol) => new WebSocket(url, protocol),
    },
    {
      urls: [first.url, second.url],
      hello: (session) => ({
        ...{ kind: 'hello', swarm: 's', uploadBps: 1, canConnect: true },
        ...(session !== undefined && { session }),
      }),
      onMessage: ({ kind }) => heard.push(kind),
      onState: (isOpen) => {
        states.push(isOpen)
        if (isOpen) (states.length === 1 ? opened : reopened).come()
      },
    },
  )
  t.teardown(() => line.stop())
  line.start()
  await opened.came
  t.equal(line.url, first.url)
  t.ok(line.send(failed))
  await first.heard(2)
  t.strictSame(first.messages.at(-1), failed)
  first.die()
  await reopened.came
  t.equal(line.url, second.url)
  t.strictSame(states, [true, false, true])
  t.strictSame(second.messages, [
    { kind: 'hello', swarm: 's', uploadBps: 1, canConnect: true, session: 'session-1' },
  ])
  second.say('{"kind":"gone"}')
  const [code, reason] = await second.closed
  t.equal(code, 4400)
  t.equal(line.figures().reason, reason)
  t.equal(heard.length, 2)
})

/** An edge that welcomes whoever says hello. */
async function startEdge(t: Test) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => die())
  const messages: PageMessage[] = []
  const closed = Promise.withResolvers<[number, string]>()
  const news = new Set<() => void>()
  server.on('connection', (socket) => {
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as PageMessage
      messages.push(message)
      if (message.kind === 'hello') socket.send(JSON.stringify(welcome))
      for (const tell of news) tell()
    })
    socket.on('close', (code, reason) => closed.resolve([code, String(reason)]))
  })
  const die = (): void => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  }
  return {
    ...{ url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, messages, die },
    closed: closed.promise,
    say: (text: string) => {
      for (const socket of server.clients) socket.send(text)
    },
    heard: (count: number) =>
      new Promise<void>((resolve) => {
        const tell = (): void => {
          if (messages.length >= count && news.delete(tell)) resolve()
        }
        news.add(tell)
        tell()
      }),
  }
}

function waiter(): { readonly came: Promise<void>; readonly come: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { came: promise, come: resolve }
}
