/** Starting and stopping: taken ports, limits, and an end that is orderly and bounded. */
import { test } from 'tap'
import type { PlainHandler, PreparedResponse } from '../../src/http/prepared-response.ts'
import { HttpServer } from '../../src/http/server.ts'
import { httpLimits } from '../../src/limits.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import {
  eventually,
  metric,
  plainAnswer,
  RawClient,
  startTestServer,
  stopTestServer,
} from '../support/http-exchange.ts'
import { ManualClock } from '../support/manual-clock.ts'

type Answer = (response: PreparedResponse) => void

function blockedHandler(): { handler: PlainHandler; waiting: Answer[]; aborted: () => number } {
  const waiting: Answer[] = []
  let aborted = 0
  const handler: PlainHandler = (request, signal) => {
    if (request.path === '/small') {
      return plainAnswer('small')
    }
    signal.addEventListener('abort', () => {
      aborted += 1
    })
    return new Promise((resolve) => waiting.push(resolve))
  }
  return { handler, waiting, aborted: () => aborted }
}

const blocked = 'GET /blocked HTTP/1.1\r\nHost: a\r\n\r\n'
const small = 'GET /small HTTP/1.1\r\nHost: a\r\n\r\n'

test('a port that is taken', async (t) => {
  const started = await startTestServer()
  t.teardown(() => stopTestServer(started))
  const components = { clock: new ManualClock(), logger: silentLogger, registry: createRegistry() }
  const second = new HttpServer(components, { host: '127.0.0.1', port: started.port })
  await t.rejects(second.start(), {
    code: 'ERR_ADDRESS_IN_USE',
    message: new RegExp(`port ${started.port} .* is taken.*--http`),
  })
  t.equal(second.address(), undefined)
  await second.stop()
  const nowhere = new HttpServer(
    { ...components, registry: createRegistry() },
    { host: '203.0.113.1', port: 0 },
  )
  await t.rejects(nowhere.start(), { code: 'ERR_CONFIG' })
  await t.rejects(started.server.start(), { code: 'ERR_STOPPED' })
})

test('a stop ends idle connections and lets answers in flight finish', async (t) => {
  const { handler, waiting } = blockedHandler()
  const started = await startTestServer({ plainHandlers: [handler] })
  const idle = await RawClient.connect(started.port)
  idle.send(small)
  await idle.until((text) => text.endsWith('small'))
  const handed = await RawClient.connect(started.port)
  handed.send(`\r\n${small}`)
  await handed.until((text) => text.endsWith('small'))
  const inLane = await RawClient.connect(started.port)
  inLane.send(blocked)
  const inNode = await RawClient.connect(started.port)
  inNode.send(`\r\n${blocked}`)
  await eventually(() => waiting.length === 2)
  const stopped = started.server.stop()
  await Promise.all([idle.closed(), handed.closed()])
  t.equal(inLane.isClosed || inNode.isClosed, false)
  for (const answer of waiting) {
    answer(plainAnswer('late'))
  }
  for (const client of [inLane, inNode]) {
    t.match(await client.closed(), /Connection: close\r\n\r\nlate$/i)
  }
  await stopped
  t.equal(started.server.address(), undefined)
  t.equal(started.clock.timers, 0, 'nothing is left running')
})

test('a stop cuts what does not finish in time', async (t) => {
  const { handler, waiting, aborted } = blockedHandler()
  const started = await startTestServer({ plainHandlers: [handler] })
  const clients = await Promise.all([
    RawClient.connect(started.port),
    RawClient.connect(started.port),
  ])
  clients[0]?.send(blocked)
  clients[1]?.send(`\r\n${blocked}`)
  await eventually(() => waiting.length === 2)
  const stopped = started.server.stop()
  started.clock.advance(httpLimits.stopGraceMs)
  await stopped
  await Promise.all(clients.map((client) => client.closed()))
  await eventually(() => aborted() === 2)
  t.equal(
    await metric(started.registry, 'kairo_http_connections_ended_total', { reason: 'stop' }),
    2,
  )
  waiting[0]?.(plainAnswer('for nobody'))
})

test('connections beyond the limit are dropped and counted', async (t) => {
  const { handler } = blockedHandler()
  const started = await startTestServer({ plainHandlers: [handler] })
  t.teardown(() => stopTestServer(started))
  t.equal(started.server.nodeServer.maxConnections, httpLimits.connectionsMax)
  started.server.nodeServer.maxConnections = 1
  const first = await RawClient.connect(started.port)
  first.send(small)
  await first.until((text) => text.endsWith('small'))
  const second = await RawClient.connect(started.port)
  t.equal(await second.closed(), '')
  t.equal(await metric(started.registry, 'kairo_http_connections_dropped_total'), 1)
})

test('a failed accept is counted and the server goes on', async (t) => {
  const { handler } = blockedHandler()
  const started = await startTestServer({ plainHandlers: [handler] })
  t.teardown(() => stopTestServer(started))
  started.server.nodeServer.emit('error', new Error('accept EMFILE'))
  t.equal(await metric(started.registry, 'kairo_http_accept_failures_total'), 1)
  t.equal(started.lines.filter((line) => line.level === 'error').length, 1)
  const client = await RawClient.connect(started.port)
  client.send(small)
  t.match(await client.until((text) => text.endsWith('small')), /^HTTP\/1\.1 200 /)
})
