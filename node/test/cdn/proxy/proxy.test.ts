/** The proxy before a real origin: hits, misses, validation, staleness, errors, what passes through. */
import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import { sendVersion, startCdn, startOrigin } from '../../support/cdn-stage.ts'
import { httpRequest } from '../../support/http-get.ts'

const body = randomBytes(3_000)

async function stage(rule: Record<string, unknown> = {}) {
  const origin = await startOrigin((message, reply) =>
    sendVersion(message, reply, { etag: '"1"', body }),
  )
  const cdn = await startCdn({ origin: origin.url, rule })
  const stop = async (): Promise<void> => {
    await cdn.stop()
    await origin.stop()
  }
  return { origin, cdn, stop }
}

test('a response is fetched once and served from then on', async (t) => {
  const { origin, cdn, stop } = await stage()
  t.teardown(stop)
  const first = await cdn.get('/a')
  t.equal(first.status, 200)
  t.ok(first.body.equals(body))
  t.match(first.headers['cache-status'], /^kairo; fwd=uri-miss; stored/)
  cdn.clock.advance(3_000)
  const second = await cdn.get('/a')
  t.ok(second.body.equals(body))
  t.match(second.headers['cache-status'], /^kairo; hit; ttl=57$/)
  t.equal(second.headers.age, '3')
  t.equal(second.headers.date, first.headers.date)
  t.match(second.headers.via, /^1\.1 kairo-/)
  t.equal(origin.requests.length, 1)
  t.equal((await cdn.get('/a', {}, 'HEAD')).headers['content-length'], '3000')
  t.equal((await cdn.get('/a', { 'if-none-match': '"1"' })).status, 304)
  t.equal((await cdn.get('/a', { 'x-unknown': '1' })).headers['cache-status'], 'kairo; hit; ttl=57')
  t.equal(origin.requests.length, 1)
})

test('a stale response is validated, and fresh again', async (t) => {
  const { origin, cdn, stop } = await stage()
  t.teardown(stop)
  await cdn.get('/a')
  cdn.clock.advance(61_000)
  const validated = await cdn.get('/a')
  t.match(validated.headers['cache-status'], /fwd=stale; fwd-status=304/)
  t.ok(validated.body.equals(body))
  t.equal(origin.requests[1]?.headers['if-none-match'], '"1"')
  t.match((await cdn.get('/a')).headers['cache-status'], /hit/)
  cdn.clock.advance(61_000)
  origin.handler = (message, reply) =>
    sendVersion(message, reply, { etag: '"2"', body: Buffer.from('two') })
  t.equal((await cdn.get('/a')).text, 'two')
  t.equal((await cdn.get('/a')).text, 'two')
  t.equal(origin.requests.length, 3)
})

test('an unreachable origin: stale-if-error, else a problem that says when to come again', async (t) => {
  const { origin, cdn, stop } = await stage({ staleIfErrorS: 600 })
  t.teardown(stop)
  await cdn.get('/a')
  cdn.clock.advance(61_000)
  origin.handler = (_message, reply) => reply.writeHead(500).end('broken')
  const stood = await cdn.get('/a')
  t.equal(stood.status, 200)
  t.match(stood.headers['cache-status'], /fwd-status=500; detail=stale-if-error/)
  await origin.stop()
  t.equal((await cdn.get('/a')).status, 200)
  const none = await cdn.get('/b')
  t.equal(none.status, 502)
  t.equal(none.headers['content-type'], 'application/problem+json')
  t.equal(none.headers['retry-after'], '5')
  t.match(JSON.parse(none.text), { status: 502, code: 'ERR_NO_PROVIDER', instance: '/b' })
})

test('stale-while-revalidate: the old one now, the new one behind', async (t) => {
  const { origin, cdn, stop } = await stage({ staleWhileRevalidateS: 600 })
  t.teardown(stop)
  await cdn.get('/a')
  cdn.clock.advance(61_000)
  origin.handler = (message, reply) =>
    sendVersion(message, reply, { etag: '"2"', body: Buffer.from('two') })
  const stale = await cdn.get('/a')
  t.ok(stale.body.equals(body))
  t.match(stale.headers['cache-status'], /hit; ttl=-1/)
  for (let round = 0; round < 50 && (await cdn.get('/a')).text !== 'two'; round += 1);
  t.equal((await cdn.get('/a')).text, 'two')
  t.equal(origin.requests.length, 2)
})

test('what may not be stored is asked for each time, and not waited for', async (t) => {
  const { origin, cdn, stop } = await stage()
  t.teardown(stop)
  let count = 0
  origin.handler = (_message, reply) => {
    count += 1
    reply.writeHead(200, { 'cache-control': 'private' }).end(`for you ${count}`)
  }
  const texts = await Promise.all([1, 2, 3].map(async () => (await cdn.get('/me')).text))
  t.same(texts.sort(), ['for you 1', 'for you 2', 'for you 3'])
  t.match((await cdn.get('/me')).headers['cache-status'], /fwd=uri-miss/)
})

test('an unsafe request passes with its body, and its target is forgotten', async (t) => {
  const { origin, cdn, stop } = await stage()
  t.teardown(stop)
  await cdn.get('/a')
  origin.handler = (message, reply) => {
    if (message.method !== 'POST') {
      sendVersion(message, reply, { etag: '"2"', body: Buffer.from('two') })
      return
    }
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => reply.end(Buffer.concat(chunks)))
  }
  const sent = 'x'.repeat(300_000)
  const posted = await httpRequest(`${cdn.url}/a`, { method: 'POST', body: sent })
  t.equal(posted.text, sent)
  t.match(posted.headers['cache-status'], /fwd=method/)
  t.equal((await cdn.get('/a')).text, 'two')
})

test('requests that end here', async (t) => {
  const { origin, cdn, stop } = await stage()
  t.teardown(stop)
  t.equal((await cdn.get('/a', { 'cache-control': 'only-if-cached' })).status, 504)
  t.equal((await cdn.get('/a', {}, 'TRACE')).status, 405)
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket' }
  t.equal((await cdn.get('/a', upgrade)).status, 501)
  const loop = { 'cdn-loop': 'kairo; peer="12D3KooWTest"' }
  t.equal((await cdn.get('/a', loop)).status, 508)
  t.equal(origin.requests.length, 0)
})

test('1,000 simultaneous misses are one origin request, and all follow along', async (t) => {
  const { origin, cdn, stop } = await stage({ sliceBytes: 65_536 })
  t.teardown(stop)
  const large = Buffer.from('0123456789'.repeat(15_000))
  const { promise: go, resolve: release } = Promise.withResolvers<void>()
  origin.handler = (_message, reply) => {
    void go.then(() => {
      reply.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': large.byteLength })
      reply.write(large.subarray(0, 100_000))
      setImmediate(() => reply.end(large.subarray(100_000)))
    })
  }
  const paths = Array.from({ length: 1_000 }, (_, index) => ({ 'x-number': String(index) }))
  const answers = paths.map((headers) => cdn.get('/big', headers))
  while ((await flights(cdn.registry)) < 1) await new Promise((done) => setTimeout(done, 5))
  release()
  const bodies = await Promise.all(answers)
  t.ok(bodies.every((answer) => answer.body.equals(large)))
  t.equal(origin.requests.length, 1)
})

async function flights(registry: import('prom-client').Registry): Promise<number> {
  const metric = await registry.getSingleMetric('kairo_cdn_flights')?.get()
  return metric?.values[0]?.value ?? 0
}
