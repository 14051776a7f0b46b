/** Streaming routes: who may call them, what moves through them, and what ends them. */
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { test } from 'tap'
import { z } from 'zod'
import { openapiRoute } from '../../src/api/openapi.ts'
import { KairoError } from '../../src/errors.ts'
import { rangedAnswer } from '../../src/http/ranged-answer.ts'
import { readBody } from '../../src/http/read-body.ts'
import { defineStreamRoute, type StreamRoute } from '../../src/http/stream-route.ts'
import { streamRouteLimits } from '../../src/limits/upload.ts'
import {
  eventually,
  metric,
  RawClient,
  startTestServer,
  stopTestServer,
} from '../support/http-exchange.ts'

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

async function ask(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<Reply> {
  const request = httpRequest({ port, host: '127.0.0.1', method, path, headers, agent: false })
  request.end(body)
  const [response] = await once(request, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return {
    status: response.statusCode,
    headers: response.headers,
    text: Buffer.concat(chunks).toString(),
  }
}

const alphabet = Buffer.from('abcdefghijklmnopqrstuvwxyz')
let aborted = 0
let closed = 0

const routes: StreamRoute[] = [
  defineStreamRoute({
    methods: ['POST', 'PATCH'],
    path: '/sink/:name',
    summary: 'Counts bytes.',
    access: 'operator',
    localAccess: 'public',
    params: z.object({ name: z.string().max(5) }),
    requestType: 'application/octet-stream',
    statuses: [200],
    requestsMax: 2,
    requestsPerAddressMax: 2,
    requestHeaders: ['X-Extra'],
    everyHeaders: { 'x-always': '1' },
    optionsHeaders: () => ({ 'x-options': 'yes' }),
    handler: async ({ body, params, signal }) => {
      signal.addEventListener('abort', () => {
        aborted += 1
      })
      if (params.name === 'early') throw new KairoError('ERR_STORAGE', 'the disk is full')
      if (params.name === 'bug') throw new TypeError('secret words')
      const bytes = await readBody(body, 1_000_000)
      return { status: 200, headers: {}, body: Buffer.from(`${params.name} ${bytes.byteLength}`) }
    },
  }),
  defineStreamRoute({
    methods: ['GET', 'HEAD'],
    path: '/alphabet',
    summary: 'Letters.',
    access: 'public',
    statuses: [200, 206, 304],
    responseType: 'text/plain',
    requestsMax: 8,
    requestsPerAddressMax: 8,
    handler: async (request) =>
      rangedAnswer(request, {
        length: 26,
        etag: '"abc"',
        headers: { 'content-type': 'text/plain' },
        read: async function* (first, last) {
          for (let at = first; at <= last; at += 1) yield alphabet.subarray(at, at + 1)
        },
      }),
  }),
  defineStreamRoute({
    methods: ['GET'],
    path: '/endless',
    summary: 'Never ends.',
    access: 'public',
    statuses: [200],
    requestsMax: 1,
    requestsPerAddressMax: 1,
    handler: async () => ({
      status: 200,
      headers: {},
      body: (async function* () {
        try {
          for (;;) yield Buffer.alloc(65_536)
        } finally {
          closed += 1
        }
      })(),
    }),
  }),
  defineStreamRoute({
    methods: ['GET'],
    path: '/breaks',
    summary: 'Fails half-way.',
    access: 'public',
    statuses: [200],
    requestsMax: 1,
    requestsPerAddressMax: 1,
    handler: async () => ({
      status: 200,
      headers: { 'content-length': '10' },
      body: (async function* () {
        yield Buffer.from('12345')
        throw new KairoError('ERR_STORAGE', 'the disk is gone')
      })(),
    }),
  }),
]

test('streaming routes', async (t) => {
  const started = await startTestServer({
    routes: [openapiRoute([], [], { version: '1' }, routes)],
    streamRoutes: routes,
    authenticators: { operator: ({ bearer }) => bearer === 'right' },
  })
  const { port, registry, clock, lines } = started
  t.teardown(() => stopTestServer(started))
  const own = { host: `127.0.0.1:${port}` }

  t.test('bodies of any type and size come through', async (t) => {
    const big = 'x'.repeat(900_000)
    const reply = await ask(port, 'POST', '/sink/a', { 'content-type': 'application/json' }, big)
    t.equal(reply.text, 'a 900000')
    t.equal(reply.headers['x-always'], '1')
    t.equal((await ask(port, 'PATCH', '/sink/b', {}, 'y')).text, 'b 1')
    const large = await ask(port, 'POST', '/sink/a', {}, 'x'.repeat(1_000_001))
    t.equal(large.status, 413)
    t.match(large.text, /ERR_TOO_LARGE/)
    t.equal((await ask(port, 'POST', '/sink/toolong', {}, 'y')).status, 400)
    t.equal(await metric(registry, 'kairo_http_streams', { route: '/sink/:name' }), 0)
  })

  t.test('only the operator, programs here, and pages of this very peer', async (t) => {
    const right = { authorization: 'Bearer right' }
    const status = async (headers: Record<string, string>) =>
      (await ask(port, 'POST', '/sink/a', headers, 'y')).status
    t.equal(await status({ ...own, origin: `http://127.0.0.1:${port}` }), 200)
    t.equal(await status({ ...own, 'sec-fetch-site': 'same-origin' }), 200)
    const foreign: Record<string, string>[] = [
      { origin: 'http://evil.example' },
      { origin: `http://127.0.0.1:${port + 1}` },
      { origin: `http://localhost:${port}` },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { host: 'evil.example', origin: 'http://evil.example' },
      { 'x-forwarded-for': '1.2.3.4' },
    ]
    for (const headers of foreign) {
      t.equal(await status({ ...own, ...headers }), 401, JSON.stringify(headers))
      t.equal(await status({ ...own, ...headers, ...right }), 200, 'the token opens it')
    }
    // A proxy in front of this peer that was told nothing but where the peer is.
    const proxy = await RawClient.connect(port)
    proxy.send(`POST /sink/a HTTP/1.0\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 1\r\n\r\ny`)
    await proxy.closed()
    t.match(proxy.text, /^HTTP\/1\.1 401 /)
  })

  t.test('failures are problem documents', async (t) => {
    const early = await ask(port, 'POST', '/sink/early', {}, 'y')
    t.equal(early.status, 507)
    t.match(JSON.parse(early.text), { code: 'ERR_STORAGE', instance: '/sink/early' })
    const before = lines.filter(({ level }) => level === 'error').length
    const bug = await ask(port, 'POST', '/sink/bug', {}, 'y')
    t.equal(bug.status, 500)
    t.notMatch(bug.text, /secret/)
    t.equal(lines.filter(({ level }) => level === 'error').length, before + 1)
  })

  t.test('an answer before the end of the body is read, then the connection ends', async (t) => {
    const client = await RawClient.connect(port)
    client.send(
      'POST /sink/early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nabc',
    )
    await client.until((text) => text.includes('the disk is full'))
    t.match(client.text, /^HTTP\/1\.1 507 .*connection: close/is)
    client.send(Buffer.alloc(100_000))
    t.equal(client.isClosed, false)
    await eventually(() => clock.timers > 0)
    clock.advance(streamRouteLimits.lingerMs)
    await client.closed()
  })

  t.test('a client that leaves is noticed', async (t) => {
    const before = aborted
    const client = await RawClient.connect(port)
    client.send('POST /sink/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc')
    await eventually(
      async () => (await metric(registry, 'kairo_http_streams', { route: '/sink/:name' })) === 1,
    )
    client.socket.destroy()
    await eventually(() => aborted === before + 1)
    await eventually(
      async () => (await metric(registry, 'kairo_http_streams', { route: '/sink/:name' })) === 0,
    )
    t.pass('aborted, and its place is free')
  })

  t.test('a body that drips is cut', async (t) => {
    const client = await RawClient.connect(port)
    client.send('POST /sink/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nabc')
    await eventually(
      async () => (await metric(registry, 'kairo_http_streams', { route: '/sink/:name' })) === 1,
    )
    client.send('d')
    clock.advance(streamRouteLimits.paceWindowMs)
    await client.closed()
    t.ok(
      (await metric(registry, 'kairo_http_connections_ended_total', { reason: 'too-slow' })) >= 1,
    )
  })

  t.test('a reader that does not read is cut, and its stream closed', async (t) => {
    const before = await metric(registry, 'kairo_http_connections_ended_total', {
      reason: 'too-slow',
    })
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.send('GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await eventually(
      async () => (await metric(registry, 'kairo_http_streams', { route: '/endless' })) === 1,
    )
    const ended = async () =>
      (await metric(registry, 'kairo_http_connections_ended_total', { reason: 'too-slow' })) >
      before
    await eventually(async () => {
      clock.advance(streamRouteLimits.paceWindowMs)
      return await ended()
    })
    client.socket.destroy()
    await eventually(() => closed === 1)
    t.pass('closed')
  })

  t.test('too many at once', async (t) => {
    const clients = await Promise.all([RawClient.connect(port), RawClient.connect(port)])
    for (const client of clients) {
      client.send('POST /sink/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc')
    }
    await eventually(
      async () => (await metric(registry, 'kairo_http_streams', { route: '/sink/:name' })) === 2,
    )
    const third = await ask(port, 'POST', '/sink/a', {}, 'y')
    t.equal(third.status, 429)
    t.equal(third.headers['retry-after'], String(streamRouteLimits.retryAfterS))
    t.equal(
      await metric(registry, 'kairo_http_streams_refused_total', {
        route: '/sink/:name',
        reason: 'address',
      }),
      1,
    )
    for (const client of clients) client.socket.destroy()
  })

  t.test('ranges', async (t) => {
    const get = (headers: Record<string, string>, method = 'GET') =>
      ask(port, method, '/alphabet', headers)
    const whole = await get({})
    t.equal(whole.text, 'abcdefghijklmnopqrstuvwxyz')
    t.equal(whole.headers['content-length'], '26')
    t.equal(whole.headers['access-control-allow-origin'], '*')
    const part = await get({ range: 'bytes=2-4' })
    t.same([part.status, part.text, part.headers['content-range']], [206, 'cde', 'bytes 2-4/26'])
    t.equal((await get({ range: 'bytes=-3' })).text, 'xyz')
    t.equal((await get({ range: 'bytes=24-' })).text, 'yz')
    t.equal((await get({ range: 'bytes=2-4', 'if-range': '"abc"' })).status, 206)
    t.equal((await get({ range: 'bytes=2-4', 'if-range': '"old"' })).status, 200)
    const outside = await get({ range: 'bytes=26-' })
    t.same([outside.status, outside.headers['content-range']], [416, 'bytes */26'])
    t.equal((await get({ 'if-none-match': 'W/"abc"' })).status, 304)
    const head = await get({}, 'HEAD')
    t.same([head.status, head.text, head.headers['content-length']], [200, '', '26'])
  })

  t.test('a failure half-way cuts the connection', async (t) => {
    const client = await RawClient.connect(port)
    client.send('GET /breaks HTTP/1.1\r\nHost: localhost\r\n\r\n')
    t.match(await client.closed(), /12345$/)
    t.ok(lines.some(({ message }) => message === 'a transfer failed'))
  })

  t.test('preflight and OpenAPI', async (t) => {
    const options = await ask(port, 'OPTIONS', '/sink/a', { origin: 'http://x' })
    t.equal(options.status, 204)
    t.equal(options.headers['x-options'], 'yes')
    t.match(options.headers['access-control-allow-headers'], /X-Extra/)
    t.equal(options.headers['access-control-allow-origin'], undefined)
    const document = JSON.parse((await ask(port, 'GET', '/openapi.json')).text)
    t.ok(document.paths['/sink/{name}'].patch.requestBody)
    t.ok(document.paths['/alphabet'].get.responses['206'].content['text/plain'])
    t.ok(document.paths['/alphabet'].head)
  })
})

test('an ordinary request whose body does not come is ended', async (t) => {
  const started = await startTestServer({ routes: [], streamRoutes: routes })
  t.teardown(() => stopTestServer(started))
  const client = await RawClient.connect(started.port)
  client.send('POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc')
  await client.until((text) => text.includes('404'))
  await eventually(() => started.clock.timers > 0)
  started.clock.advance(60_000)
  await client.closed()
  t.pass('ended')
})
