// Webhooks against real HTTP servers that take, refuse, drip and die, over a hand-driven clock.
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { webhookLimits as limits } from '../../src/limits/webhooks.ts'
import { silentLogger } from '../../src/logger.ts'
import { WebhookService } from '../../src/webhooks/service.ts'
import { StreamEvents } from '../../src/webhooks/stream-events.ts'
import { FakePublishedSession } from '../support/fake-published-session.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { metricOf } from '../support/registry-value.ts'
import { until } from '../support/until.ts'

interface Received {
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A receiver whose answers a test chooses. */
async function receiver(t: Test) {
  const received: Received[] = []
  const state = {
    received,
    url: '',
    answer: (response: ServerResponse): void => void response.writeHead(204).end(),
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() })
    state.answer(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/secret-path`
  return state
}

function startWebhooks(t: Test, home: string, urls: readonly string[], secret = '') {
  const clock = new ManualClock()
  const registry = new Registry()
  const service = new WebhookService(
    { clock, logger: silentLogger, registry, random: () => 0, peerId: '12D3me' },
    { urls, secret, secretFile: join(home, 'webhook.secret'), directory: join(home, 'webhooks') },
  )
  t.teardown(() => service.stop())
  const metric = (name: string, reason?: string): Promise<number> =>
    metricOf(registry, name, reason === undefined ? {} : { reason })
  return { service, clock, metric }
}

test('an event is signed as the specification says', async (t) => {
  const home = t.testdir({})
  const hook = await receiver(t)
  const { service, clock } = startWebhooks(t, home, [hook.url])
  await service.start()
  service.emit('stream.ended', { stream: 'main' })
  await until(() => hook.received.length === 1)
  const [{ headers, body }] = hook.received as [Received]
  const message = JSON.parse(body)
  t.match(message, { event: 'stream.ended', peerId: '12D3me', data: { stream: 'main' } })
  t.equal(message.createdAt, new Date(clock.now()).toISOString())
  t.equal(headers['webhook-id'], message.id)
  t.equal(headers['webhook-timestamp'], String(Math.floor(clock.now() / 1000)))
  t.equal(headers['content-type'], 'application/json')
  const secret = readFileSync(join(home, 'webhook.secret'), 'utf8').trim()
  t.match(secret, /^whsec_/)
  t.equal(statSync(join(home, 'webhook.secret')).mode & 0o777, 0o600)
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signed = `${message.id}.${headers['webhook-timestamp']}.${body}`
  const expected = createHmac('sha256', key).update(signed).digest('base64')
  t.equal(headers['webhook-signature'], `v1,${expected}`)
  await until(() => service.status()[0]?.delivered === 1)
  t.notMatch(JSON.stringify(service.status()), /secret-path/)
  await service.stop()
  t.same(readdirSync(join(home, 'webhooks')), [], 'nothing waits')
})

test('a secret of the operator is taken as it is, and a damaged file is told', async (t) => {
  const home = t.testdir({})
  const hook = await receiver(t)
  const { service } = startWebhooks(t, home, [hook.url], 'our secret of 16 and more')
  await service.start()
  service.emit('error', { code: 'ERR_STORAGE', message: 'full' })
  await until(() => hook.received.length === 1)
  const [{ headers, body }] = hook.received as [Received]
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const digest = createHmac('sha256', 'our secret of 16 and more').update(signed).digest('base64')
  t.equal(headers['webhook-signature'], `v1,${digest}`)
  writeFileSync(join(home, 'webhook.secret'), 'nothing\n')
  const other = startWebhooks(t, home, [hook.url])
  await t.rejects(other.service.start(), { code: 'ERR_CONFIG' })
})

test('what fails is tried again, with the same id, ever later', async (t) => {
  const hook = await receiver(t)
  const { service, clock, metric } = startWebhooks(t, t.testdir({}), [hook.url])
  await service.start()
  hook.answer = (response) => void response.writeHead(500).end('no')
  service.emit('stream.ended', { stream: 'main' })
  for (const [index, waitMs] of [limits.retryMsMin, 2 * limits.retryMsMin].entries()) {
    await until(() => service.status()[0]?.failedAttempts === index + 1)
    t.equal(service.status()[0]?.error, 'status 500')
    clock.advance(waitMs - 1)
    t.equal(hook.received.length, index + 1)
    if (index === 1) hook.answer = (response) => void response.writeHead(200).end('yes')
    clock.advance(1)
  }
  await until(() => service.status()[0]?.delivered === 1)
  const ids = new Set(hook.received.map(({ headers }) => headers['webhook-id']))
  t.equal(ids.size, 1)
  t.equal(await metric('kairo_webhooks_failed_attempts_total', 'status'), 2)
  t.equal(service.status()[0]?.error, undefined)
})

test('a redirect is not followed, and a dead endpoint is given up', async (t) => {
  const elsewhere = await receiver(t)
  const hook = await receiver(t)
  const { service, clock, metric } = startWebhooks(t, t.testdir({}), [hook.url])
  await service.start()
  hook.answer = (response) => void response.writeHead(307, { location: elsewhere.url }).end()
  service.emit('stream.ended', { stream: 'main' })
  for (let attempt = 1; attempt <= limits.attemptsMax; attempt++) {
    await until(() => service.status()[0]?.failedAttempts === attempt)
    clock.advance(limits.retryMsMax)
  }
  t.match(service.status(), [{ dropped: 1, pending: 0, error: 'status 307' }])
  t.equal(await metric('kairo_webhooks_dropped_total', 'attempts'), 1)
  t.equal(elsewhere.received.length, 0)
  hook.answer = (response) => void response.writeHead(410).end()
  service.emit('stream.ended', { stream: 'main' })
  await until(() => service.status()[0]?.dropped === 2)
  t.equal(await metric('kairo_webhooks_dropped_total', 'gone'), 1)
})

test('answers that drip or never end cost a bounded time and memory', async (t) => {
  const hook = await receiver(t)
  const { service, clock, metric } = startWebhooks(t, t.testdir({}), [hook.url])
  await service.start()
  hook.answer = (response) => void response.writeHead(200).write('a')
  service.emit('stream.ended', { stream: 'slow' })
  await until(() => hook.received.length === 1)
  await wait(50)
  t.equal(service.status()[0]?.delivered, 0)
  clock.advance(limits.timeoutMs)
  await until(() => service.status()[0]?.failedAttempts === 1)
  t.match(service.status()[0]?.error, /within/)
  t.equal(await metric('kairo_webhooks_failed_attempts_total', 'timeout'), 1)
  hook.answer = (response) => {
    response.writeHead(200)
    const flood = (): void => void response.write(Buffer.alloc(65_536), (err) => err ?? flood())
    flood()
  }
  service.emit('stream.ended', { stream: 'flood' })
  await until(() => service.status()[0]?.delivered === 1)
  t.equal(service.status()[0]?.pending, 1, 'the first waits for its next attempt')
  t.equal(await metric('kairo_webhooks_cut_answers_total'), 1)
})

test('what was not delivered is delivered after a restart', async (t) => {
  const home = t.testdir({})
  const hook = await receiver(t)
  const first = startWebhooks(t, home, ['http://127.0.0.1:9/x', hook.url])
  await first.service.start()
  hook.answer = (response) => void response.writeHead(503).end()
  first.service.emit('vod.ready', { video: 'v', title: 'A', durationMs: 1 })
  await until(() => first.service.status().every(({ failedAttempts }) => failedAttempts === 1))
  await first.service.stop()
  writeFileSync(join(home, 'webhooks', 'broken.json'), '{')
  t.equal(readdirSync(join(home, 'webhooks')).length, 3)
  hook.answer = (response) => void response.writeHead(200).end()
  const second = startWebhooks(t, home, [hook.url])
  await second.service.start()
  await until(() => second.service.status()[0]?.delivered === 1)
  await second.service.stop()
  t.equal(hook.received[0]?.headers['webhook-id'], hook.received[1]?.headers['webhook-id'])
  t.same(readdirSync(join(home, 'webhooks')), [], 'what nobody waits for is gone too')
})

test('what is told right before a stop is told after the restart', async (t) => {
  const home = t.testdir({})
  const hook = await receiver(t)
  hook.answer = () => {}
  const first = startWebhooks(t, home, [hook.url])
  await first.service.start()
  const streams = ['one', 'two', 'three', 'four', 'five', 'six']
  for (const stream of streams) first.service.emit('stream.ended', { stream })
  await first.service.stop()
  hook.received.length = 0
  hook.answer = (response) => void response.writeHead(200).end()
  const second = startWebhooks(t, home, [hook.url])
  await second.service.start()
  await until(() => second.service.status()[0]?.delivered === streams.length)
  const told = hook.received.map(({ body }) => JSON.parse(body).data.stream)
  t.same(told.sort(), streams.toSorted(), 'each once')
})

test('too many that wait cost the oldest of the endpoint that is most behind', async (t) => {
  const hook = await receiver(t)
  const dead = 'http://127.0.0.1:9/x'
  const { service, metric } = startWebhooks(t, t.testdir({}), [dead, hook.url])
  await service.start()
  for (let count = 0; count < limits.pendingMax / 2 + 50; count++) {
    service.emit('stream.ended', { stream: `s${count}` })
  }
  t.ok((await metric('kairo_webhooks_dropped_total', 'queue')) > 0)
  const pending = service.status().reduce((sum, each) => sum + each.pending, 0)
  t.ok(pending <= limits.pendingMax)
  t.throws(() => startWebhooks(t, '/nowhere', Array(limits.endpointsMax + 1).fill('http://x')), {
    code: 'ERR_CONFIG',
  })
})

test('streams tell of themselves', async (t) => {
  const told: unknown[] = []
  const events = new StreamEvents((event, data) => told.push([event, data]))
  const session = new FakePublishedSession('main')
  events.sessionStarted(session)
  session.end('timeout')
  const again = new FakePublishedSession('main')
  events.sessionStarted(again)
  again.end('stopping')
  events.streamEnded('main')
  events.streamEnded('main')
  t.same(told, [
    ['stream.started', { stream: 'main', streamId: 'k51fake', protocol: 'rtmp' }],
    ['stream.publisher_lost', { stream: 'main', reason: 'timeout' }],
    ['stream.ended', { stream: 'main' }],
  ])
})
