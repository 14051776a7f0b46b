/** What is told onward: to peers that ask, to later purges, and in Cache-Status; each case was once wrong. */
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { type CdnStage, sendVersion, startCdn, startOrigin } from '../../support/cdn-stage.ts'

const body = Buffer.from('what is told '.repeat(200))
const statusOf = async (answer: Promise<{ headers: object }>): Promise<string> =>
  String(((await answer).headers as Record<string, unknown>)['cache-status'])

async function stage(headers: () => Record<string, string>) {
  let up = true
  const origin = await startOrigin((message, reply) => {
    if (up) sendVersion(message, reply, { etag: '"1"', body, headers: headers() })
    else reply.writeHead(503).end()
  })
  const cdn: CdnStage = await startCdn({ origin: origin.url })
  const stop = async (): Promise<void> => {
    await cdn.stop()
    await origin.stop()
  }
  return { origin, cdn, stop, fail: () => (up = false) }
}

test('a 304 may bring other tags, by which the response is purged from then on', async (t) => {
  let tag = 'old'
  const { cdn, stop } = await stage(() => ({ 'surrogate-key': tag, 'cache-control': 'max-age=1' }))
  t.teardown(stop)
  await cdn.get('/a')
  tag = 'new'
  cdn.clock.advance(2_000)
  t.match(await statusOf(cdn.get('/a')), 'fwd-status=304')
  t.equal(cdn.cache.purge({ by: 'tag', tag: 'old' }, 'hard'), 0)
  t.equal(cdn.cache.purge({ by: 'tag', tag: 'new' }, 'hard'), 1)
})

test('a stale response that stands in for a failed origin is no hit', async (t) => {
  const { cdn, stop, fail } = await stage(() => ({
    'cache-control': 'max-age=1, stale-if-error=60',
  }))
  t.teardown(stop)
  await cdn.get('/a')
  fail()
  cdn.clock.advance(2_000)
  const answer = await cdn.get('/a')
  t.equal(answer.status, 200)
  t.match(answer.headers['cache-status'], /fwd=stale; fwd-status=503/)
  t.notMatch(answer.headers['cache-status'], /; hit/)
})

test('a HEAD of a stale response asks once and keeps the body', async (t) => {
  const { origin, cdn, stop } = await stage(() => ({ 'cache-control': 'max-age=1' }))
  t.teardown(stop)
  await cdn.get('/a')
  cdn.clock.advance(2_000)
  await cdn.get('/a', {}, 'HEAD')
  t.equal(origin.requests.length, 2)
  const again = await cdn.get('/a')
  t.match(again.headers['cache-status'], /; hit/)
  t.ok(again.body.equals(body))
})

test('no-transform for caches alone keeps them from compressing', async (t) => {
  const { cdn, stop } = await stage(() => ({
    'content-type': 'text/plain',
    'cdn-cache-control': 'max-age=60, no-transform',
  }))
  t.teardown(stop)
  for (let turn = 0; turn < 3; turn += 1) {
    const answer = await cdn.get('/a', { 'accept-encoding': 'br' })
    t.equal(answer.headers['content-encoding'], undefined)
    t.equal(answer.headers.vary, undefined)
  }
})

test('two Host lines are no request (RFC 9112 3.2)', async (t) => {
  const { cdn, stop } = await stage(() => ({}))
  t.teardown(stop)
  const socket = connect(cdn.port, '127.0.0.1')
  socket.end(
    'GET /a HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\nConnection: close\r\n\r\n',
  )
  t.match(await text(socket), /^HTTP\/1\.1 400 /)
})
