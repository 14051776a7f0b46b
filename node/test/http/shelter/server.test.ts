/** A server with a shelter, and clients that ask too much, in the fast lane and beside it. */
import { test } from 'tap'
import { z } from 'zod'
import type { PlainHandler, PreparedResponse } from '../../../src/http/prepared-response.ts'
import { defineRoute } from '../../../src/http/route.ts'
import { clientLimits, overloadLimits } from '../../../src/limits/shelter.ts'
import { httpLimits } from '../../../src/limits.ts'
import {
  eventually,
  exchange,
  metric,
  plainAnswer,
  RawClient,
  startTestServer,
  stopTestServer,
  type TestServer,
} from '../../support/http-exchange.ts'

const plain = 'GET /small HTTP/1.1\r\nHost: a\r\n\r\n'
/** An empty line in front is nothing that the fast lane takes. */
const beside = `\r\n${plain}`
const burst = clientLimits.burstS

const handler: PlainHandler = (request) =>
  request.path === '/small' ? plainAnswer('small') : undefined

function count(text: string, status: number): number {
  return text.split(`HTTP/1.1 ${status} `).length - 1
}

function refused(started: TestServer, reason: string): Promise<number> {
  return metric(started.registry, 'kairo_http_shelter_refused_total', { reason })
}

for (const [where, request] of [
  ['in the fast lane', plain],
  ['at the ordinary server', beside],
] as const) {
  test(`requests of one address, ${where}`, async (t) => {
    const started = await startTestServer({ plainHandlers: [handler] }, { requestsPerSecondMax: 5 })
    t.teardown(() => stopTestServer(started))
    const client = await RawClient.connect(started.port)
    client.send(request + plain.repeat(5 * burst + 3))
    const text = await client.closed()
    t.equal(count(text, 200), 5 * burst, 'the connection counts with its first request')
    t.equal(count(text, 429), 1, 'then the connection ends')
    t.match(text, /retry-after: 1\r\n/i)
    t.match(text, /connection: close\r\n/i)
    t.match(text, /"code":"ERR_LIMIT"/)
    t.ok((await refused(started, 'rate-address')) >= 1)

    const second = await RawClient.connect(started.port)
    t.match(
      await second.closed(),
      /^HTTP\/1\.1 429 [\s\S]*retry-after: 1[\s\S]*ERR_LIMIT/,
      'unheard',
    )

    const neighbour = await RawClient.connect(started.port, '127.0.1.1')
    neighbour.send(request)
    t.match(await neighbour.until((one) => one.endsWith('small')), / 200 /, 'others are served')

    started.clock.advance(1_000)
    const later = await RawClient.connect(started.port)
    later.send(request)
    t.match(await later.until((one) => one.endsWith('small')), / 200 /, 'a second later again')
  })
}

test('a request that the lane hands over is counted once', async (t) => {
  const started = await startTestServer({ plainHandlers: [handler] }, { requestsPerSecondMax: 2 })
  t.teardown(() => stopTestServer(started))
  const client = await RawClient.connect(started.port)
  client.send('GET /other HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2 * burst + 1))
  const text = await client.closed()
  t.strictSame([count(text, 404), count(text, 429)], [2 * burst, 1])
})

test('requests of one subnet', async (t) => {
  const started = await startTestServer({ plainHandlers: [handler] }, { requestsPerSecondMax: 1 })
  t.teardown(() => stopTestServer(started))
  let answered = 0
  for (let host = 1; host <= 20; host += 1) {
    const client = await RawClient.connect(started.port, `127.0.0.${host}`)
    client.send(plain)
    const text = await client.until((one) => one.length > 0)
    answered += count(text, 200)
    client.socket.destroy()
  }
  t.equal(answered, burst * clientLimits.subnetShare)
  t.equal(await refused(started, 'rate-subnet'), 20 - answered)
})

test('connections of one address and of one subnet', async (t) => {
  const started = await startTestServer(
    { plainHandlers: [handler] },
    { connectionsPerAddressMax: 3 },
  )
  t.teardown(() => stopTestServer(started))
  const open = async (address: string, request: string): Promise<RawClient> => {
    const client = await RawClient.connect(started.port, address)
    client.send(request)
    await client.until((text) => text.length > 0)
    return client
  }
  const held = [
    await open('127.0.0.1', plain),
    await open('127.0.0.1', beside),
    await open('127.0.0.1', plain),
  ]
  t.match((await open('127.0.0.1', plain)).text, / 429 /)
  t.equal(await refused(started, 'connections-address'), 1)
  for (const address of [2, 3, 4]) {
    for (let one = 0; one < 3; one += 1) held.push(await open(`127.0.0.${address}`, plain))
  }
  t.ok(held.every((client) => / 200 /.test(client.text)))
  t.match((await open('127.0.0.5', plain)).text, / 429 /)
  t.equal(await refused(started, 'connections-subnet'), 1)

  for (const client of held.slice(0, 2)) client.socket.destroy()
  for (let room = 0; room < 2; room += 1) {
    await eventually(async () => / 200 /.test((await open('127.0.0.1', plain)).text))
  }
  t.match((await open('127.0.0.1', plain)).text, / 429 /)
  t.pass('each closed connection has made room, wherever it was served')
})

test('proxies are not counted, but whom they speak for', async (t) => {
  const started = await startTestServer(
    { plainHandlers: [handler] },
    {
      requestsPerSecondMax: 2,
      connectionsPerAddressMax: 1,
      trustedProxies: ['127.0.0.0/8'],
    },
  )
  t.teardown(() => stopTestServer(started))
  const ask = (address?: string): Promise<string> => {
    const field = address === undefined ? '' : `X-Forwarded-For: 9.9.9.9, ${address}\r\n`
    const head = `GET /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${field}\r\n`
    return exchange(started.port, head)
  }
  for (let index = 0; index < 20; index += 1) t.match(await ask(), / 200 /)
  const own = await RawClient.connect(started.port)
  own.send(beside.repeat(20))
  await own.until((text) => count(text, 200) === 20)
  t.notOk(own.isClosed, 'beside the lane neither')
  for (let index = 0; index < 2 * burst; index += 1) t.match(await ask('192.0.2.7'), / 200 /)
  t.match(await ask('192.0.2.7'), / 429 /)
  t.match(await ask('192.0.3.7'), / 200 /)
})

test('behind a proxy, addresses are those of the clients', async (t) => {
  const clients: string[] = []
  const telling: PlainHandler = (_request, _signal, client) => {
    clients.push(client)
    return plainAnswer('x')
  }
  const secret = defineRoute({
    method: 'GET',
    path: '/secret',
    summary: 'Secret.',
    access: 'operator',
    response: { 200: z.object({}) },
    handler: () => ({ status: 200, body: {} }),
  })
  const started = await startTestServer(
    {
      plainHandlers: [(...args) => (args[0].path === '/small' ? telling(...args) : undefined)],
      routes: [secret],
      authenticators: { operator: async () => false },
    },
    { trustedProxies: ['127.0.0.1'] },
  )
  t.teardown(() => stopTestServer(started))
  const ask = (path: string, from: string, localAddress?: string): Promise<string> =>
    exchange(
      started.port,
      `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer x\r\nX-Forwarded-For: ${from}\r\n\r\n`,
      localAddress,
    )
  await ask('/small', '192.0.2.7')
  await ask('/small', '192.0.2.7', '127.0.0.2')
  t.strictSame(clients, ['192.0.2.7', '127.0.0.2'])
  for (let guess = 0; guess < httpLimits.authFailuresMax; guess += 1) {
    t.match(await ask('/secret', '192.0.2.7'), / 401 /)
  }
  t.match(await ask('/secret', '192.0.2.7'), / 429 /, 'who guesses is refused')
  t.match(await ask('/secret', '192.0.2.8'), / 401 /, 'not everybody behind the proxy')
  t.match(await ask('/secret', '127.0.0.1'), / 401 /, 'nor is anybody local by its own word')
})

test('work in flight', async (t) => {
  const waiting: ((response: PreparedResponse) => void)[] = []
  const aborted: unknown[] = []
  const blocked: PlainHandler = (request, signal) => {
    if (request.path === '/small') return plainAnswer('small')
    if (request.path !== '/blocked') return undefined
    signal.addEventListener('abort', () => aborted.push(signal.reason))
    return new Promise((resolve) => waiting.push(resolve))
  }
  const live = defineRoute({
    method: 'GET',
    path: '/health/live',
    summary: 'Lives.',
    access: 'public',
    response: { 200: z.object({ ok: z.boolean() }) },
    handler: () => ({ status: 200, body: { ok: true } }),
  })
  let share = 0
  const started = await startTestServer(
    { plainHandlers: [blocked], routes: [live] },
    { memoryShare: () => share },
  )
  t.teardown(() => stopTestServer(started))
  const blockedBeside = '\r\nGET /blocked HTTP/1.1\r\nHost: a\r\n\r\n'
  const inFlight = () => metric(started.registry, 'kairo_http_in_flight')
  const finish = (): void => {
    for (const answer of waiting.splice(0)) answer(plainAnswer('late'))
  }

  await t.test('a pipeline has so much at once, and then ends', async (t) => {
    const client = await RawClient.connect(started.port)
    client.send(blockedBeside.repeat(clientLimits.inFlightPerConnectionMax + 5))
    await eventually(async () => (await refused(started, 'in-flight-connection')) > 0)
    t.equal(waiting.length, clientLimits.inFlightPerConnectionMax)
    finish()
    const text = await client.closed()
    t.equal(count(text, 200), clientLimits.inFlightPerConnectionMax)
    t.match(text, /HTTP\/1\.1 503 [\s\S]*retry-after: 2\r\n[\s\S]*ERR_OVERLOADED/i)
    await eventually(async () => (await inFlight()) === 0)
  })

  await t.test('all together have so much, and health is told nevertheless', async (t) => {
    const clients: RawClient[] = []
    while (waiting.length < overloadLimits.inFlightMax) {
      const client = await RawClient.connect(started.port)
      const room = overloadLimits.inFlightMax - waiting.length
      const requests = Math.min(room, clientLimits.inFlightPerConnectionMax)
      const before = waiting.length
      client.send(blockedBeside.repeat(requests))
      clients.push(client)
      await eventually(() => waiting.length === before + requests)
    }
    t.match(await exchange(started.port, beside), / 503 [\s\S]*retry-after: 2/)
    t.equal(await refused(started, 'in-flight'), 1)
    const lane = await RawClient.connect(started.port)
    lane.send(plain)
    t.match(
      await lane.until((text) => text.endsWith('small')),
      / 200 /,
      'what is in memory is served',
    )
    const health = await RawClient.connect(started.port)
    health.send('GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    t.match(await health.closed(), /HTTP\/1\.1 200/)
    for (const client of clients) client.socket.destroy()
    await eventually(() => aborted.length >= overloadLimits.inFlightMax)
    finish()
    await eventually(async () => (await inFlight()) === 0)
  })

  await t.test('without memory nothing new is waited for', async (t) => {
    share = 0.95
    for (let look = 0; look < overloadLimits.looksToRise; look += 1) {
      started.clock.advance(overloadLimits.tickMs)
    }
    t.equal(await metric(started.registry, 'kairo_http_overloaded'), 1)
    aborted.length = 0
    const lane = await exchange(started.port, 'GET /blocked HTTP/1.1\r\nHost: a\r\n\r\n')
    t.match(lane, / 503 [\s\S]*retry-after: 2[\s\S]*ERR_OVERLOADED/)
    t.match(aborted, [{ code: 'ERR_OVERLOADED' }], 'what had begun is called off')
    finish()
    t.match(await exchange(started.port, beside), / 503 /)
    const hit = await RawClient.connect(started.port)
    hit.send(plain)
    t.match(await hit.until((text) => text.endsWith('small')), / 200 /)
    const health = 'GET /health/live?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    t.match(await exchange(started.port, health), / 200 /)
    share = 0.1
    for (let look = 0; look < overloadLimits.looksToFall; look += 1) {
      started.clock.advance(overloadLimits.tickMs)
    }
    t.match(
      await exchange(started.port, beside.replace('Host', 'Connection: close\r\nHost')),
      / 200 /,
    )
  })
})

test('the operator is served while all others are turned away', async (t) => {
  const waiting: (() => void)[] = []
  const operators = defineRoute({
    method: 'POST',
    path: '/api/purge',
    summary: 'Purges.',
    access: 'operator',
    response: { 200: z.object({ done: z.boolean() }) },
    handler: () => ({ status: 200, body: { done: true } }),
  })
  const slow = defineRoute({
    method: 'GET',
    path: '/api/slow',
    summary: 'Waits.',
    access: 'operator',
    response: { 200: z.object({}) },
    handler: async () => {
      await new Promise<void>((resolve) => waiting.push(resolve))
      return { status: 200, body: {} }
    },
  })
  let share = 0
  const started = await startTestServer(
    {
      plainHandlers: [handler],
      routes: [operators, slow],
      authenticators: { operator: ({ bearer }) => bearer === 'right' },
    },
    { memoryShare: () => share },
  )
  t.teardown(() => stopTestServer(started))
  const look = (times: number): void => {
    for (let count = 0; count < times; count += 1) started.clock.advance(overloadLimits.tickMs)
  }
  const ask = (line: string, token: string | undefined): Promise<string> => {
    const field = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
    return exchange(
      started.port,
      `${line} HTTP/1.1\r\nHost: a\r\n${field}Connection: close\r\n\r\n`,
    )
  }
  share = 0.95
  look(overloadLimits.looksToRise)
  t.match(await ask('POST /api/purge', 'right'), / 200 [\s\S]*"done":true/)
  t.equal(await metric(started.registry, 'kairo_http_shelter_spared_total'), 1)
  t.match(await ask('POST /api/purge', undefined), / 503 /)
  for (let guess = 0; guess <= httpLimits.authFailuresMax; guess += 1) {
    t.match(await ask('POST /api/purge', 'wrong'), / 503 /)
  }
  t.match(await ask('GET /elsewhere', 'right'), / 503 /, 'a token for an origin')

  const asked = Array.from({ length: overloadLimits.operatorInFlightMax }, () =>
    ask('GET /api/slow', 'right'),
  )
  await eventually(() => waiting.length === overloadLimits.operatorInFlightMax)
  t.match(await ask('POST /api/purge', 'right'), / 503 /, 'as many at once as are spared')
  t.equal(await refused(started, 'in-flight-operator'), 1)
  for (const answer of waiting.splice(0)) answer()
  for (const text of await Promise.all(asked)) t.match(text, / 200 /)
  await eventually(async () => (await metric(started.registry, 'kairo_http_in_flight')) === 0)
  t.match(await ask('POST /api/purge', 'right'), / 200 /)
  share = 0.1
  look(overloadLimits.looksToFall)
  t.match(await ask('POST /api/purge', 'wrong'), / 401 /, 'the guesses of before counted nowhere')
})
