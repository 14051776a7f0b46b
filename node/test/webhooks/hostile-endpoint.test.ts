// Endpoints that answer what no endpoint should: redirects, other protocols, floods, nothing.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { silentLogger } from '../../src/logger.ts'
import { WebhookService } from '../../src/webhooks/service.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'

const SECRET = 'a secret of enough bytes'

async function service(t: Test, urls: readonly string[], secret = SECRET) {
  const home = t.testdir()
  const clock = new ManualClock()
  const components = { clock, logger: silentLogger, registry: new Registry(), random: () => 0 }
  const webhooks = new WebhookService(
    { ...components, peerId: 'peer' },
    { urls, secret, secretFile: join(home, 'secret'), directory: join(home, 'webhooks') },
  )
  t.teardown(() => webhooks.stop())
  return { webhooks, clock }
}

/** An endpoint by hand, which does this with each connection once the request has come. */
async function endpoint(t: Test, answer: (socket: Socket) => void) {
  let requests = 0
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      requests += 1
      answer(socket)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/hook?key=secret-of-the-path`, requests: () => requests }
}

test('what is no answer is a failed attempt', async (t) => {
  const other = await endpoint(t, () => {})
  const answers: Readonly<Record<string, string>> = {
    redirect: `HTTP/1.1 307 Temporary Redirect\r\nLocation: ${other.url}\r\nContent-Length: 0\r\n\r\n`,
    'another protocol':
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    garbage: '\x00\x01\x02 not HTTP at all\r\n\r\n',
    'endless fields': `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(200_000)}\r\n\r\n`,
    'hang-up': '',
  }
  for (const [name, text] of Object.entries(answers)) {
    const { url } = await endpoint(t, (socket) => socket.end(text))
    const { webhooks } = await service(t, [url])
    await webhooks.start()
    webhooks.emit('stream.ended', { stream: 'one' })
    await until(() => webhooks.status()[0]?.error !== undefined)
    const [status] = webhooks.status()
    t.match(status, { delivered: 0, failedAttempts: 1, pending: 1 }, name)
    t.notMatch(JSON.stringify(status), /secret-of-the-path/)
  }
  t.equal(other.requests(), 0, 'a redirect is not followed')
})

test('an endless answer is cut and counts, and one that drips times out', async (t) => {
  const flood = await endpoint(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    const more = (): void => {
      if (!socket.destroyed) socket.write(Buffer.alloc(65_536), more)
    }
    more()
  })
  const { webhooks } = await service(t, [flood.url])
  await webhooks.start()
  webhooks.emit('stream.ended', { stream: 'one' })
  await until(() => webhooks.status()[0]?.delivered === 1)
  const dripping = await endpoint(t, (socket) => socket.write('HTTP/1.1 100 Continue\r\n\r\n'))
  const slow = await service(t, [dripping.url])
  await slow.webhooks.start()
  slow.webhooks.emit('stream.ended', { stream: 'one' })
  await until(() => dripping.requests() === 1)
  slow.clock.advance(10_000)
  await until(() => slow.webhooks.status()[0]?.error !== undefined)
  t.match(slow.webhooks.status()[0]?.error, /no whole answer/)
})

test('an address that no request can be made to ends nothing', async (t) => {
  const { webhooks } = await service(t, ['http://user:%zz@127.0.0.1:9/'])
  await webhooks.start()
  webhooks.emit('stream.ended', { stream: 'one' })
  await until(() => webhooks.status()[0]?.error !== undefined)
  t.match(webhooks.status()[0], { failedAttempts: 1, pending: 1 })
})

test('a secret without a key signs nothing', async (t) => {
  for (const secret of ['whsec_', 'whsec_???', 'short']) {
    const { webhooks } = await service(t, ['http://127.0.0.1:9/'], secret)
    await t.rejects(webhooks.start(), { code: 'ERR_CONFIG' }, secret)
  }
})
