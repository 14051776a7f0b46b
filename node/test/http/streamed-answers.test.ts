/** Answers that are sent while they are made: in the lane, behind Node's server, and to clients that are slow or leave. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'tap'
import { KairoError } from '../../src/errors.ts'
import type { PlainHandler } from '../../src/http/prepared-response.ts'
import { streamedAnswerLimits } from '../../src/limits/delivery-streams.ts'
import {
  eventually,
  exchange,
  metric,
  plainAnswer,
  startTestServer,
  stopTestServer,
} from '../support/http-exchange.ts'

/** What a test hands to a stream, and what the stream tells of its reader. */
class Source {
  readonly #queue: (string | Uint8Array | Error | undefined)[] = []
  #wake = (): void => {}
  taken = 0
  ended = false
  signal: AbortSignal | undefined

  /** Undefined ends the stream, an error breaks it. */
  push(...items: (string | Uint8Array | Error | undefined)[]): void {
    this.#queue.push(...items)
    this.#wake()
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        while (this.#queue.length === 0) {
          await new Promise<void>((resolve, reject) => {
            this.#wake = resolve
            this.signal?.addEventListener('abort', () => reject(this.signal?.reason))
          })
        }
        const item = this.#queue.shift()
        if (item === undefined) return
        if (item instanceof Error) throw item
        this.taken += 1
        yield typeof item === 'string' ? Buffer.from(item) : item
      }
    } finally {
      this.ended = true
    }
  }
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
const last = (path: string) => get(path, 'Connection: close\r\n')

async function setUp() {
  const sources: Source[] = []
  const handler: PlainHandler = ({ path }, signal) => {
    if (path === '/small') return plainAnswer('small')
    if (path !== '/open' && path !== '/later') return undefined
    const source = new Source()
    source.signal = signal
    sources.push(source)
    const answer = { ...plainAnswer(''), body: [], stream: source.pieces() }
    return path === '/later' ? Promise.resolve(answer) : answer
  }
  const started = await startTestServer({ plainHandlers: [handler] })
  const client = async (request: string) => {
    const socket = connect(started.port, '127.0.0.1')
    await once(socket, 'connect')
    let text = ''
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1')
    })
    socket.on('error', () => {})
    socket.write(request)
    return {
      socket,
      received: (part: string) => eventually(() => text.includes(part)),
      text: () => text,
    }
  }
  return { ...started, started, sources, client }
}

test('pieces go out as they come, and the connection goes on behind them', async (t) => {
  const { started, sources, client, registry } = await setUp()
  t.teardown(() => stopTestServer(started))
  for (const path of ['/open', '/later']) {
    const viewer = await client(get(path) + last('/small'))
    await eventually(() => sources.length > 0)
    const source = sources.pop() as Source
    source.push('first', '')
    await viewer.received('5\r\nfirst\r\n')
    t.match(viewer.text(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*Transfer-Encoding: chunked\r\n/)
    t.notMatch(viewer.text(), /\n(content-length|accept-ranges)/i)
    source.push('x'.repeat(300_000), undefined)
    await once(viewer.socket, 'close')
    t.match(viewer.text(), /x\r\n0\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*small$/)
    t.ok(viewer.text().includes(`\r\n${(300_000).toString(16)}\r\nxxx`))
    t.equal(source.ended, true)
  }
  t.equal(await metric(registry, 'kairo_http_lane_body_bytes_total'), 2 * 300_010)
})

test('HEAD gets the head only', async (t) => {
  const { started, sources, port } = await setUp()
  t.teardown(() => stopTestServer(started))
  const text = await exchange(port, 'HEAD /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  t.match(text, /200 OK[\s\S]*\r\n\r\n$/)
  t.equal(sources[0]?.taken, 0)
})

test('a stream that breaks ends the connection without the last chunk', async (t) => {
  const { started, sources, client, registry, lines } = await setUp()
  t.teardown(() => stopTestServer(started))
  for (const [error, logged] of [
    [new KairoError('ERR_TIMEOUT', 'no more parts'), 0],
    [new TypeError('a mistake'), 1],
  ] as const) {
    for (const foreign of ['', 'X-Foreign: yes\r\n']) {
      lines.length = 0
      const viewer = await client(get('/open', foreign))
      await eventually(() => sources.length > 0)
      const source = sources.pop() as Source
      source.push('first')
      await viewer.received('first')
      source.push(error)
      await once(viewer.socket, 'close')
      t.notMatch(viewer.text(), /0\r\n\r\n$/)
      await eventually(() => lines.filter(({ level }) => level === 'error').length === logged)
    }
  }
  t.equal(await metric(registry, 'kairo_http_connections_ended_total'), 2)
})

test('a client that leaves ends the stream', async (t) => {
  const { started, sources, client, lines } = await setUp()
  t.teardown(() => stopTestServer(started))
  for (const foreign of ['', 'X-Foreign: yes\r\n']) {
    for (const path of ['/open', '/later']) {
      const viewer = await client(get(path, foreign))
      await eventually(() => sources.length > 0)
      const source = sources.pop() as Source
      source.push('first')
      await viewer.received('first')
      viewer.socket.destroy()
      await eventually(() => source.ended)
      t.equal(source.signal?.aborted, true)
    }
  }
  t.same(
    lines.filter(({ level }) => level === 'error'),
    [],
  )
})

test('a client that does not read costs one piece beyond the socket, and is cut', async (t) => {
  const { started, sources, client, clock } = await setUp()
  t.teardown(() => stopTestServer(started))
  const viewer = await client(get('/open'))
  await eventually(() => sources.length > 0)
  const source = sources.pop() as Source
  viewer.socket.pause()
  const piece = Buffer.alloc(8 * 1_024 * 1_024)
  source.push(piece, piece, piece, piece, piece, piece, piece, piece)
  await eventually(() => source.taken > 0)
  const taken = source.taken
  for (let look = 0; look < 20; look += 1) await new Promise((resolve) => setImmediate(resolve))
  t.ok(source.taken <= taken + 1 && source.taken < 8)
  clock.advance(streamedAnswerLimits.stallMsMax + 2_000)
  await eventually(() => source.ended)
  t.pass('it was cut')
})

test('HTTP/1.0 clients get a body that ends with the connection, and ranges are not of a stream', async (t) => {
  const { started, sources, client } = await setUp()
  t.teardown(() => stopTestServer(started))
  const old = await client('GET /open HTTP/1.0\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n')
  await eventually(() => sources.length > 0)
  sources.pop()?.push('first', 'second', undefined)
  await once(old.socket, 'close')
  t.match(old.text(), /^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nfirstsecond$/)
  t.notMatch(old.text(), /transfer-encoding/i)
})

test('a stop lets a stream end', async (t) => {
  const { started, sources, client } = await setUp()
  const viewer = await client(get('/open'))
  await eventually(() => sources.length > 0)
  sources[0]?.push('first')
  await viewer.received('first')
  const stopped = started.server.stop()
  sources[0]?.push('second', undefined)
  await once(viewer.socket, 'close')
  t.match(viewer.text(), /second\r\n0\r\n\r\n$/)
  await stopped
})
