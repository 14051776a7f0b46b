/** Variants, compression, early hints, odd targets, cookies, negative caching. */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { test } from 'tap'
import { startCdn, startOrigin } from '../../support/cdn-stage.ts'
import { exchange } from '../../support/http-exchange.ts'

const text = 'All work and no play makes Jack a dull boy. '.repeat(100)

async function stage(handler: Parameters<typeof startOrigin>[0], rule = {}) {
  const origin = await startOrigin(handler)
  const cdn = await startCdn({ origin: origin.url, rule })
  const stop = async (): Promise<void> => {
    await cdn.stop()
    await origin.stop()
  }
  return { origin, cdn, stop }
}

const page = (type = 'text/html', more = {}): Parameters<typeof startOrigin>[0] => {
  return (_message, reply) => {
    const headers = { 'content-type': type, 'cache-control': 'max-age=60', etag: '"1"', ...more }
    reply.writeHead(200, headers).end(text)
  }
}

test('text is compressed once for all who take it', async (t) => {
  const { origin, cdn, stop } = await stage(page())
  t.teardown(stop)
  const decoders = { br: brotliDecompressSync, gzip: gunzipSync, zstd: zstdDecompressSync }
  for (const [coding, decode] of Object.entries(decoders)) {
    const ask = () => cdn.get('/a', { 'accept-encoding': coding })
    const first = await ask()
    t.equal(first.headers.vary, 'Accept-Encoding')
    let answer = first
    for (
      let round = 0;
      round < 100 && answer.headers['content-encoding'] === undefined;
      round += 1
    ) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      answer = await ask()
    }
    t.equal(answer.headers['content-encoding'], coding)
    t.equal(decode(answer.body).toString(), text)
    t.equal(answer.headers.etag, 'W/"1"')
    t.ok(answer.body.byteLength < 1_000)
    const same = await cdn.get('/a', { 'accept-encoding': coding, 'if-none-match': 'W/"1"' })
    t.equal(same.status, 304)
    const part = await cdn.get('/a', { 'accept-encoding': coding, range: 'bytes=0-7' })
    t.equal(part.text, text.slice(0, 8), 'ranges are of the bytes as they are')
  }
  const plain = await cdn.get('/a')
  t.equal(plain.text, text)
  t.equal(plain.headers.vary, 'Accept-Encoding')
  t.equal(plain.headers.etag, '"1"')
  t.equal((await cdn.get('/a', { 'accept-encoding': 'br;q=0, identity' })).text, text)
  t.equal(origin.requests.length, 1)
})

test('what is not compressed: other types, no-transform, what is encoded already', async (t) => {
  const headers = { 'accept-encoding': 'br' }
  for (const handler of [
    page('video/mp4'),
    page('text/html', { 'cache-control': 'max-age=60, no-transform' }),
    page('text/html', { 'content-encoding': 'x-own', vary: 'accept-encoding' }),
  ]) {
    const { cdn, stop } = await stage(handler)
    await cdn.get('/a', headers)
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.equal((await cdn.get('/a', headers)).text, text)
    await stop()
  }
  const { cdn, stop } = await stage(page(), { compress: false })
  t.equal((await cdn.get('/a', headers)).headers.vary, undefined)
  await stop()
})

test('variants are told apart', async (t) => {
  const { origin, cdn, stop } = await stage((message, reply) => {
    const language = message.headers['accept-language'] ?? 'none'
    const headers = { 'cache-control': 'max-age=60', vary: 'Accept-Language' }
    reply.writeHead(200, headers).end(language)
  })
  t.teardown(stop)
  for (const round of [1, 2]) {
    for (const language of ['de', 'en']) {
      t.equal((await cdn.get('/a', { 'accept-language': language })).text, language)
    }
    t.equal((await cdn.get('/a')).text, 'none')
    t.equal(origin.requests.length, 3, `round ${round}`)
  }
})

test('early hints of the origin reach all who wait, in the lane and beside it', async (t) => {
  const { origin, cdn, stop } = await stage((_message, reply) => {
    reply.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' }, () =>
      reply.writeHead(200, { 'cache-control': 'max-age=60' }).end('page'),
    )
  })
  t.teardown(stop)
  for (const [path, more] of [
    ['/lane', ''],
    ['/node', 'X-Unknown: 1\r\n'],
  ] as const) {
    const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n`
    const received = await exchange(cdn.port, `${head}${more}\r\n`)
    t.match(
      received,
      /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/style\.css>[^\r]*\r\n\r\nHTTP\/1\.1 200/,
    )
    t.match(received, /page(\r\n0\r\n\r\n)?$/)
  }
  t.equal(origin.requests.length, 2)
})

test('a cookie of the origin is for one client', async (t) => {
  const { origin, cdn, stop } = await stage((_message, reply) => {
    const headers = { 'cache-control': 'max-age=60', 'set-cookie': ['a=1', 'b=2; Path=/'] }
    reply.writeHead(200, headers).end('hello')
  })
  t.teardown(stop)
  for (let round = 0; round < 2; round += 1) {
    t.same((await cdn.get('/a')).headers['set-cookie'], ['a=1', 'b=2; Path=/'])
  }
  t.equal(origin.requests.length, 2)
})

test('a 404 is kept for a moment', async (t) => {
  const { origin, cdn, stop } = await stage((_message, reply) => reply.writeHead(404).end('no'))
  t.teardown(stop)
  t.equal((await cdn.get('/a')).status, 404)
  t.equal((await cdn.get('/a')).status, 404)
  t.equal(origin.requests.length, 1)
  cdn.clock.advance(11_000)
  t.equal((await cdn.get('/a')).status, 404)
  t.equal(origin.requests.length, 2)
})

test('targets of every kind reach the origin as they came', async (t) => {
  const { cdn, stop } = await stage((message, reply) => reply.end(message.url))
  t.teardown(stop)
  for (const path of ['/%c3%bc%20x?a=%26&b', '/.well-known/x', '/a/b;c=1?q={x}']) {
    t.equal((await cdn.get(path)).text, path)
  }
  const empty = await exchange(cdn.port, 'GET /? HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  t.match(empty, /\/\?(\r\n0\r\n\r\n)?$/)
})

test('bodies without a length, empty ones, and none', async (t) => {
  const { origin, cdn, stop } = await stage((message, reply) => {
    const headers = { 'cache-control': 'max-age=60' }
    if (message.url === '/none') reply.writeHead(204, headers).end()
    else if (message.url === '/empty') reply.writeHead(200, headers).end()
    else {
      reply.writeHead(200, headers)
      reply.write('one ')
      setImmediate(() => reply.end('two'))
    }
  })
  t.teardown(stop)
  for (let round = 0; round < 2; round += 1) {
    t.equal((await cdn.get('/chunked')).text, 'one two')
    t.equal((await cdn.get('/empty')).text, '')
    t.equal((await cdn.get('/none')).status, 204)
  }
  t.equal(origin.requests.length, 3)
  t.equal((await cdn.get('/chunked', { range: 'bytes=4-6' })).text, 'two')
})
