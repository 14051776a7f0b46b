/** The fast lane on real sockets: answers, pipelines, splits, blocked requests, deadlines and limits. */
import { test } from 'tap'
import { KairoError } from '../../src/errors.ts'
import type { PlainHandler, PreparedResponse } from '../../src/http/prepared-response.ts'
import { httpLimits } from '../../src/limits.ts'
import {
  eventually,
  exchange,
  metric,
  normalised,
  plainAnswer,
  RawClient,
  startTestServer,
  stopTestServer,
} from '../support/http-exchange.ts'

const large = [Buffer.alloc(700_000, 'a'), Buffer.alloc(348_576, 'b')]

interface Blocked {
  readonly signal: AbortSignal
  answer(response: PreparedResponse): void
  fail(error: unknown): void
}

/** Content of every test, and the requests to `/blocked` that wait. */
function content(): { handler: PlainHandler; blocked: Blocked[] } {
  const blocked: Blocked[] = []
  const small = plainAnswer('small', { etag: '"s"' })
  const handler: PlainHandler = (request, signal) => {
    switch (request.path) {
      case '/small':
        return request.ifNoneMatch === '"s"'
          ? { status: 304, headers: { etag: '"s"' }, body: [] }
          : small
      case '/echo':
        return plainAnswer(JSON.stringify(request))
      case '/large':
        return plainAnswer(large)
      case '/blocked':
        return new Promise((resolve, reject) => {
          blocked.push({ signal, answer: resolve, fail: reject })
        })
      case '/throws':
        throw new KairoError('ERR_OUT_OF_WINDOW', 'that part is gone')
      case '/breaks':
        throw new TypeError('secret words')
      case '/bad-header':
        return plainAnswer('x', { 'x-split': 'a\r\nset-cookie: b' })
      default:
        return undefined
    }
  }
  return { handler, blocked }
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
const last = (path: string) => get(path, 'Connection: close\r\n')
const bodyOf = (text: string) => text.slice(text.indexOf('\r\n\r\n') + 4)

test('fast lane', async (t) => {
  const { handler, blocked } = content()
  const started = await startTestServer({ plainHandlers: [handler] })
  const { port, clock, registry } = started
  t.teardown(() => stopTestServer(started))
  t.beforeEach(() => {
    blocked.length = 0
  })

  t.test('answers whole and in order', async (t) => {
    const text = await exchange(port, get('/small') + get('/large') + last('/small'))
    const lengths = [...text.matchAll(/content-length: (\d+)/g)].map((match) => Number(match[1]))
    t.same(lengths, [5, 1_048_576, 5])
    t.ok(text.endsWith('\r\n\r\nsmall'))
    t.ok(text.includes(`${'a'.repeat(700_000)}${'b'.repeat(348_576)}HTTP/1.1 200 OK\r\n`))
    t.equal(await metric(registry, 'kairo_http_lane_handed_over_total'), 0)
  })

  t.test('gives the handler what was asked, and the client its headers', async (t) => {
    const text = await exchange(
      port,
      'GET /echo?_HLS_msn=3&x=%2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'.replace(
        '%2',
        '2',
      ),
    )
    t.match(JSON.parse(bodyOf(text)), { method: 'GET', path: '/echo', query: '_HLS_msn=3&x=2' })
    t.match(text, /^HTTP\/1\.1 200 OK\r\n/)
    t.match(text, /\r\naccess-control-allow-origin: \*\r\n/)
    t.match(text, /\r\ntiming-allow-origin: \*\r\n/)
    t.match(text, /\r\naccept-ranges: bytes\r\n/)
    t.match(text, /\r\nx-content-type-options: nosniff\r\n/)
    t.match(text, `\r\nDate: ${new Date(clock.now()).toUTCString()}\r\n`)
    t.match(text, /\r\nConnection: close\r\n\r\n/)
  })

  t.test('HEAD has the head of GET and no body', async (t) => {
    const whole = await exchange(port, last('/small'))
    const head = await exchange(port, last('/small').replace('GET', 'HEAD'))
    t.equal(`${head}small`, whole)
    t.match(head, /content-length: 5\r\n/)
  })

  t.test('304 has no body and no length', async (t) => {
    const request = get('/small', 'If-None-Match: "s"\r\nConnection: close\r\n')
    const text = await exchange(port, request)
    t.match(text, /^HTTP\/1\.1 304 Not Modified\r\netag: "s"\r\n/)
    t.notMatch(text, /^content-length:/im)
    t.equal(bodyOf(text), '')
  })

  t.test('a request split at every byte is answered as a whole one', async (t) => {
    const request = last('/small')
    const whole = await exchange(port, request)
    for (let at = 1; at < request.length; at += 1) {
      const client = await RawClient.connect(port)
      client.send(request.slice(0, at))
      await new Promise((resolve) => setImmediate(resolve))
      client.send(request.slice(at))
      t.equal(await client.closed(), whole, `split at ${at}`)
    }
    const client = await RawClient.connect(port)
    for (const letter of request) {
      client.send(letter)
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.equal(await client.closed(), whole)
    t.equal(await metric(registry, 'kairo_http_lane_handed_over_total'), 0)
  })

  t.test('failures become problem documents, without the words of unplanned ones', async (t) => {
    const gone = await exchange(port, last('/throws'))
    t.match(gone, /^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json\r\n/)
    t.same(JSON.parse(bodyOf(gone)), {
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      code: 'ERR_OUT_OF_WINDOW',
      detail: 'that part is gone',
      instance: '/throws',
    })
    for (const path of ['/breaks', '/bad-header']) {
      const before = started.lines.length
      const text = await exchange(port, last(path))
      t.match(text, /^HTTP\/1\.1 500 /)
      t.notMatch(text, /secret|set-cookie/)
      t.equal(started.lines.length, before + 1, 'logged once')
    }
  })

  t.test('a blocked request holds those behind it', async (t) => {
    const client = await RawClient.connect(port)
    client.send(get('/blocked') + last('/small'))
    await eventually(() => blocked.length === 1)
    t.equal(client.text, '')
    blocked[0]?.answer(plainAnswer('late'))
    const text = await client.closed()
    t.same(
      [...text.matchAll(/\r\n\r\n(late|small)/g)].map((match) => match[1]),
      ['late', 'small'],
    )
    t.equal(blocked[0]?.signal.aborted, false)
  })

  t.test('a blocked request that fails is answered with its problem', async (t) => {
    const client = await RawClient.connect(port)
    client.send(last('/blocked'))
    await eventually(() => blocked.length === 1)
    blocked[0]?.fail(new KairoError('ERR_NO_PROVIDER', 'nobody has it'))
    t.match(await client.closed(), /^HTTP\/1\.1 503 [\s\S]*"code":"ERR_NO_PROVIDER"/)
  })

  t.test('a client that leaves aborts what it waits for', async (t) => {
    const before = await metric(registry, 'kairo_http_lane_aborted_total')
    for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
      blocked.length = 0
      const client = await RawClient.connect(port)
      client.send(get('/blocked'))
      await eventually(() => blocked.length === 1)
      client.socket[leave]()
      await eventually(() => blocked[0]?.signal.aborted === true)
      const lines = started.lines.length
      if (leave === 'end') {
        blocked[0]?.answer(plainAnswer('for nobody'))
      } else {
        blocked[0]?.fail(new Error('aborted'))
      }
      await new Promise((resolve) => setImmediate(resolve))
      t.equal(started.lines.length, lines, 'nothing to log')
      client.socket.destroy()
    }
    t.equal(await metric(registry, 'kairo_http_lane_aborted_total'), before + 3)
  })

  t.test('what waits behind a blocked request is bounded', async (t) => {
    const client = await RawClient.connect(port)
    client.send(get('/blocked'))
    await eventually(() => blocked.length === 1)
    const flood = Buffer.from(get('/small').repeat(400_000))
    client.send(flood)
    await eventually(() => client.socket.bytesWritten > 1000)
    for (let turn = 0; turn < 200; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.ok(client.socket.writableLength > 0, 'the client is held back')
    blocked[0]?.answer(plainAnswer('late'))
    await client.until((text) => text.length > 100_000)
    client.socket.destroy()
  })

  t.test('1,000 blocked requests are all answered by one release', async (t) => {
    const clients = await Promise.all(Array.from({ length: 1_000 }, () => RawClient.connect(port)))
    for (const client of clients) {
      client.send(last('/blocked'))
    }
    await eventually(() => blocked.length === 1_000)
    t.equal(await metric(registry, 'kairo_http_connections', { state: 'waiting' }), 1_000)
    const answer = plainAnswer('released')
    for (const waiting of blocked) {
      waiting.answer(answer)
    }
    const texts = await Promise.all(clients.map((client) => client.closed()))
    t.equal(new Set(texts).size, 1)
    t.ok(texts[0]?.endsWith('released'))
  })

  t.test('a head that does not come in time ends with 408', async (t) => {
    const silent = await RawClient.connect(port)
    const slow = await RawClient.connect(port)
    slow.send('GET /small HT')
    const reused = await RawClient.connect(port)
    reused.send(`${get('/small')}GET /sm`)
    await reused.until((text) => text.endsWith('small'))
    await eventually(
      async () => (await metric(registry, 'kairo_http_connections', { state: 'lane' })) === 3,
    )
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(httpLimits.headerTimeoutMs + 3 * httpLimits.sweepMs)
    for (const client of [silent, slow, reused]) {
      t.match(
        await client.closed(),
        /HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*"code":"ERR_TIMEOUT"/,
      )
    }
    t.equal(
      await metric(registry, 'kairo_http_connections_ended_total', { reason: 'header-timeout' }),
      3,
    )
  })

  t.test('an idle connection ends', async (t) => {
    const client = await RawClient.connect(port)
    client.send(get('/small'))
    await client.until((text) => text.endsWith('small'))
    clock.advance(httpLimits.keepAliveTimeoutMs - 2 * httpLimits.sweepMs)
    t.equal(client.isClosed, false)
    clock.advance(4 * httpLimits.sweepMs)
    await client.closed()
    t.equal(
      await metric(registry, 'kairo_http_connections_ended_total', {
        reason: 'keep-alive-timeout',
      }),
      1,
    )
  })

  t.test('a client that does not read is cut', async (t) => {
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.send(get('/large').repeat(20))
    const connection = async () =>
      (await metric(registry, 'kairo_http_connections', { state: 'lane' })) === 1
    await eventually(connection)
    for (let turn = 0; turn < 50; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    clock.advance(httpLimits.responseTimeoutMs + 3 * httpLimits.sweepMs)
    t.equal(
      await metric(registry, 'kairo_http_connections_ended_total', { reason: 'response-timeout' }),
      1,
    )
    client.socket.destroy()
  })

  t.test('a handler that never answers is cut', async (t) => {
    const client = await RawClient.connect(port)
    client.send(get('/blocked'))
    await eventually(() => blocked.length === 1)
    clock.advance(httpLimits.responseTimeoutMs + 3 * httpLimits.sweepMs)
    await client.closed()
    t.equal(blocked[0]?.signal.aborted, true)
    t.equal(
      await metric(registry, 'kairo_http_connections_ended_total', { reason: 'handler-timeout' }),
      1,
    )
  })

  t.test('a request that ends before its head does is refused', async (t) => {
    const client = await RawClient.connect(port)
    client.send('GET /small HTTP/1.1\r\nHost: a\r\n')
    client.socket.end()
    t.match(await client.closed(), /^HTTP\/1\.1 400 /)
  })

  t.test('a client that closes its half still gets its answers', async (t) => {
    const client = await RawClient.connect(port)
    client.send(get('/small') + get('/large') + get('/small'))
    client.socket.end()
    const text = normalised(await client.closed())
    t.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 3)
  })
})
