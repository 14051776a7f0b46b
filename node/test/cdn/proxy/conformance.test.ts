/** What public conformance suites ask of a shared cache, by the whole path of a request. */
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { test } from 'tap'
import { startCdn, startOrigin } from '../../support/cdn-stage.ts'

async function stage(
  handler: Parameters<typeof startOrigin>[0],
  init: Partial<Parameters<typeof startCdn>[0]> = {},
) {
  const origin = await startOrigin(handler)
  const cdn = await startCdn({ origin: origin.url, ...init })
  const stop = async (): Promise<void> => {
    await cdn.stop()
    await origin.stop()
  }
  const raw = async (head: string): Promise<string> => {
    const socket = connect(cdn.port, '127.0.0.1')
    socket.write(head)
    return await text(socket)
  }
  return { origin, cdn, stop, raw }
}

const lines = 'a line of text that repeats itself, as text does\n'.repeat(200)

test('a 304 and a 206 that nobody asked for are no answers', async (t) => {
  const { origin, cdn, stop } = await stage((message, reply) => {
    const headers = { 'cache-control': 'max-age=60', etag: '"1"' }
    if (message.url === '/unchanged') reply.writeHead(304, headers).end()
    else {
      const range = message.url === '/whole' ? 'bytes 0-4/5' : 'bytes 0-4/10'
      reply.writeHead(206, { ...headers, 'content-range': range }).end('01234')
    }
  })
  t.teardown(stop)
  t.equal((await cdn.get('/unchanged')).status, 502)
  t.equal((await cdn.get('/part')).status, 502)
  for (const round of [1, 2]) {
    const whole = await cdn.get('/whole')
    t.match([whole.status, whole.text], [200, '01234'], `round ${round}`)
    t.equal(whole.headers['content-range'], undefined)
  }
  t.equal(origin.requests.length, 3)
})

test('a condition on what is for one client costs one request of the origin', async (t) => {
  const { origin, cdn, stop } = await stage((message, reply) => {
    t.notOk('if-none-match' in message.headers)
    const headers = { 'cache-control': 'private', etag: '"1"', 'x-user': 'me' }
    reply.writeHead(200, headers).end('mine')
  })
  t.teardown(stop)
  const same = await cdn.get('/a', { 'if-none-match': '"1"' })
  t.match([same.status, same.text, same.headers.etag], [304, '', '"1"'])
  t.equal(same.headers['content-length'], undefined)
  t.equal((await cdn.get('/b', { 'if-none-match': '"2"' })).text, 'mine')
  t.equal((await cdn.get('/c', { 'if-match': '"2"' })).status, 412)
  t.equal(origin.requests.length, 3)
})

test('the body of a private response that its client has is not fetched', async (t) => {
  const { promise: left, resolve } = Promise.withResolvers<void>()
  const { cdn, stop } = await stage((_message, reply) => {
    reply.once('close', resolve)
    reply.writeHead(200, { 'cache-control': 'private', etag: '"1"' }).write('the beginning')
  })
  t.teardown(stop)
  t.equal((await cdn.get('/a', { 'if-none-match': '"1"' })).status, 304)
  await left
})

test('the client that brings a text gets it compressed, as it comes', async (t) => {
  const decoders = { br: brotliDecompressSync, gzip: gunzipSync, zstd: zstdDecompressSync }
  const { origin, cdn, stop } = await stage((message, reply) => {
    const headers = { 'content-type': 'text/html', 'cache-control': 'max-age=60', etag: '"1"' }
    const length = message.url?.startsWith('/length') ? { 'content-length': lines.length } : {}
    reply.writeHead(200, { ...headers, ...length })
    reply.write(lines.slice(0, 4_000))
    setTimeout(() => reply.end(lines.slice(4_000)), 10)
  })
  t.teardown(stop)
  for (const [coding, decode] of Object.entries(decoders)) {
    for (const kind of ['length', 'chunks']) {
      const path = `/${kind}/${coding}`
      const first = await cdn.get(path, { 'accept-encoding': coding })
      t.equal(first.headers['content-encoding'], coding, path)
      t.equal(decode(first.body).toString(), lines)
      t.match(first.headers, { vary: 'Accept-Encoding', etag: 'W/"1"' })
      t.ok(first.body.byteLength < 1_000)
      const plain = await cdn.get(path)
      t.equal(plain.text, lines, 'what is stored is as it came')
      t.equal(plain.headers.etag, '"1"')
    }
  }
  t.equal(origin.requests.length, 6)
  const head = await cdn.get('/length/new', { 'accept-encoding': 'br' }, 'HEAD')
  t.equal(head.headers['content-encoding'], undefined)
})

test('a compressed first answer that breaks off at the origin breaks off here', async (t) => {
  const { cdn, stop } = await stage((_message, reply) => {
    const headers = { 'content-type': 'text/html', 'cache-control': 'max-age=60' }
    reply.writeHead(200, { ...headers, 'content-length': lines.length })
    reply.write(lines.slice(0, 4_000), () => setTimeout(() => reply.destroy(), 10))
  })
  t.teardown(stop)
  await t.rejects(cdn.get('/a', { 'accept-encoding': 'br' }))
})

test('those who came by HTTP and by HTTPS get each their own', async (t) => {
  const { origin, cdn, stop } = await stage(
    (message, reply) => {
      const proto = message.headers['x-forwarded-proto']
      const headers = { 'cache-control': 'max-age=60', location: `https://site.example/` }
      reply.writeHead(proto === 'https' ? 200 : 301, headers).end(proto)
    },
    { components: { trusts: (address) => address === '127.0.0.1' } },
  )
  t.teardown(stop)
  for (const round of [1, 2]) {
    t.equal((await cdn.get('/')).status, 301, `round ${round}`)
    t.equal((await cdn.get('/', { 'x-forwarded-proto': 'https' })).status, 200)
    t.equal((await cdn.get('/', { forwarded: 'for=192.0.2.1;proto=https' })).status, 200)
  }
  t.equal(origin.requests.length, 2)
})

test('what a stranger says of HTTPS and of other hosts is not believed', async (t) => {
  const { origin, cdn, stop } = await stage((message, reply) => {
    const { 'x-forwarded-proto': proto, 'x-forwarded-host': host } = message.headers
    reply.writeHead(200, { 'cache-control': 'max-age=60' }).end(`${proto} ${host}`)
  })
  t.teardown(stop)
  const claims = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil', host: 'site.example' }
  t.equal((await cdn.get('/', claims)).text, 'http site.example')
  t.equal((await cdn.get('/', { host: 'site.example' })).text, 'http site.example')
  t.equal(origin.requests.length, 1)
})

test('the host of an absolute target is the one that counts (RFC 9112 3.2.2)', async (t) => {
  const { raw, stop } = await stage((message, reply) =>
    reply.end(`${message.headers['x-forwarded-host']} ${message.url}`),
  )
  t.teardown(stop)
  const head =
    'GET http://one.example/a?b HTTP/1.1\r\nHost: two.example\r\nConnection: close\r\n\r\n'
  t.match(await raw(head), /one\.example \/a\?b/)
  const twice =
    'GET http://one.example/ HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'
  t.match(await raw(twice), /^HTTP\/1\.1 400 /)
})

test('requests that are about this server end here', async (t) => {
  const { origin, raw, stop } = await stage((_message, reply) => reply.end())
  t.teardown(stop)
  const ask = (line: string) => raw(`${line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  const options = await ask('OPTIONS *')
  t.match(options, /^HTTP\/1\.1 204 /)
  t.match(options, /\r\nallow: GET, HEAD, OPTIONS/)
  t.match(await ask('TRACE /'), /^HTTP\/1\.1 405 /)
  t.match(await ask('CONNECT example.com:443'), /^HTTP\/1\.1 501 /)
  t.match(await ask('GET /a#b'), /^HTTP\/1\.1 400 /)
  t.match(await raw('GET /a HTTP/2.0\r\nHost: a\r\n\r\n'), /^HTTP\/1\.1 505 /)
  t.match(await raw('GET /a\r\n\r\n'), /^HTTP\/1\.1 505 /)
  const coded = 'Host: a\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n'
  t.match(await raw(`POST /a HTTP/1.1\r\n${coded}`), /^HTTP\/1\.1 501 /)
  t.notMatch(options, /fwd=/, 'it went nowhere')
  t.equal(origin.requests.length, 0)
})

test('informational responses other than hints pass, too (RFC 9110 15.2)', async (t) => {
  const { origin, raw, stop } = await stage((message, reply) => {
    reply.writeProcessing()
    const passes = message.url === '/private'
    reply.writeHead(200, { 'cache-control': passes ? 'private' : 'max-age=60' }).end('page')
  })
  t.teardown(stop)
  for (const path of ['/kept', '/private']) {
    const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n`
    t.match(await raw(`${head}\r\n`), /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 /)
    if (path === '/kept') t.match(await raw(`${head}\r\n`), /^HTTP\/1\.1 200 /)
  }
  t.equal(origin.requests.length, 2)
})

test('a client with credentials does not keep a response from all others', async (t) => {
  const { origin, cdn, stop } = await stage((_message, reply) => {
    setTimeout(() => reply.writeHead(200, { 'cache-control': 'max-age=60' }).end('page'), 50)
  })
  t.teardown(stop)
  for (const [name, value] of [
    ['authorization', 'x'],
    ['cache-control', 'no-store'],
  ] as const) {
    const before = origin.requests.length
    const path = `/${name}`
    await cdn.get(path, { [name]: value })
    // They still wait for one answer, and it is kept.
    await Promise.all(Array.from({ length: 10 }, () => cdn.get(path)))
    t.match((await cdn.get(path)).headers['cache-status'], /; hit/)
    t.equal(origin.requests.length, before + 2)
  }
})

test('users who are logged in do not keep a page from those who are not', async (t) => {
  const { cdn, stop } = await stage((message, reply) => {
    const isUser = message.headers.cookie !== undefined
    const headers = { 'cache-control': isUser ? 'private' : 'max-age=60', vary: 'Cookie' }
    reply.writeHead(200, headers).end(isUser ? 'mine' : 'for all')
  })
  t.teardown(stop)
  t.equal((await cdn.get('/a', { cookie: 'a=b' })).text, 'mine')
  t.equal((await cdn.get('/a')).text, 'for all')
  t.match((await cdn.get('/a')).headers['cache-status'], /; hit/)
  t.equal((await cdn.get('/a', { cookie: 'a=b' })).text, 'mine')
})

test('a short text says nothing of codings that it never comes in', async (t) => {
  const { cdn, stop } = await stage((_message, reply) => {
    const headers = { 'content-type': 'text/plain', 'cache-control': 'max-age=60', vary: 'Foo' }
    reply.writeHead(200, { ...headers, 'content-length': 5 }).end('short')
  })
  t.teardown(stop)
  for (const round of [1, 2]) {
    const answer = await cdn.get('/a', { 'accept-encoding': 'br' })
    t.match([answer.headers.vary, answer.text], ['Foo', 'short'], `round ${round}`)
  }
})

test('a cookie that is not to be kept reaches the client that brought it', async (t) => {
  const { origin, cdn, stop } = await stage((_message, reply) => {
    const headers = { 'cache-control': 'max-age=60, no-cache="set-cookie"', 'set-cookie': 'a=b' }
    reply.writeHead(200, headers).end('page')
  })
  t.teardown(stop)
  t.strictSame((await cdn.get('/a')).headers['set-cookie'], ['a=b'])
  t.equal((await cdn.get('/a')).headers['set-cookie'], undefined)
  t.equal(origin.requests.length, 1)
})

test('a range beyond the end costs one request of the origin', async (t) => {
  const { origin, cdn, stop } = await stage((_message, reply) =>
    reply.writeHead(416, { 'content-range': 'bytes */10' }).end(),
  )
  t.teardown(stop)
  const answer = await cdn.get('/a', { range: 'bytes=9000000-' })
  t.match([answer.status, answer.headers['content-range']], [416, 'bytes */10'])
  t.equal(origin.requests.length, 1)
  await cdn.get('/a', { range: 'bytes=9000000-, 0-1' })
  t.equal(origin.requests.length, 3, 'of several ranges others may be there')
})

test('the age that an origin tells goes on as it is, and grows from then on (RFC 9111 5.1)', async (t) => {
  const { cdn, stop } = await stage((_message, reply) => {
    cdn.clock.advance(2_000)
    reply.writeHead(200, { 'cache-control': 'max-age=60', age: '30' }).end('page')
  })
  t.teardown(stop)
  t.equal((await cdn.get('/a')).headers.age, '30')
  cdn.clock.advance(3_000)
  t.equal((await cdn.get('/a')).headers.age, '35', 'with the time that it took')
})

test('what is changed by one scheme is forgotten for both', async (t) => {
  const { origin, cdn, stop } = await stage(
    (_message, reply) => reply.writeHead(200, { 'cache-control': 'max-age=60' }).end('page'),
    { components: { trusts: () => true } },
  )
  t.teardown(stop)
  await cdn.get('/a')
  await cdn.get('/a', { 'x-forwarded-proto': 'https' }, 'DELETE')
  await cdn.get('/a')
  t.equal(origin.requests.length, 3)
})

test('a HEAD brings what the next request gets', async (t) => {
  const { origin, cdn, stop } = await stage((message, reply) => {
    const isPrivate = message.url === '/private'
    const headers = { 'cache-control': isPrivate ? 'private' : 'max-age=60', 'x-a': '1' }
    reply.writeHead(200, { ...headers, 'content-length': lines.length }).end(lines)
  })
  t.teardown(stop)
  const head = await cdn.get('/a', { range: 'bytes=0-1' }, 'HEAD')
  t.match([head.status, head.text, head.headers['x-a']], [200, '', '1'])
  t.equal(head.headers['content-length'], String(lines.length))
  t.match((await cdn.get('/a', {}, 'HEAD')).headers['cache-status'], /; hit/)
  const got = await cdn.get('/a')
  t.match([got.text, got.headers['cache-status']], [lines, /; hit/])
  t.strictSame(
    origin.requests.map(({ method }) => method),
    ['GET'],
  )
  for (const round of [1, 2]) {
    const own = await cdn.get('/private', {}, 'HEAD')
    t.match([own.status, own.text], [200, ''], `round ${round}`)
  }
  t.equal(
    origin.requests.at(-1)?.method,
    'HEAD',
    'what is not kept is not fetched with its body again',
  )
})
