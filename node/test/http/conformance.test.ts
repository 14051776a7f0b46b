/**
 * The lane and the ordinary server must not be told apart: the same request gets the same bytes from both. An empty line
 * before a request is skipped by Node's parser (RFC 9112 2.2) and not understood by the lane, so it picks the server.
 */
import { type Test, test } from 'tap'
import type { PlainHandler } from '../../src/http/prepared-response.ts'
import type { UpgradeRoute } from '../../src/http/upgrade.ts'
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

const body = 'x'.repeat(1_000)
const release = new Set<() => void>()

const handler: PlainHandler = (request, signal) => {
  switch (request.path) {
    case '/file':
      return request.ifNoneMatch === '"1"'
        ? { status: 304, headers: { etag: '"1"' }, body: [] }
        : plainAnswer([Buffer.from(body.slice(0, 300)), Buffer.from(body.slice(300))], {
            etag: '"1"',
          })
    case '/echo':
      return plainAnswer(JSON.stringify(request))
    case '/blocked':
      return new Promise((resolve, reject) => {
        release.add(() => resolve(plainAnswer('late')))
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    case '/empty':
      return { status: 204, headers: {}, body: [] }
    case '/breaks':
      throw new TypeError('secret')
    default:
      return undefined
  }
}

test('lane and ordinary server', async (t) => {
  const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket'
  const talk: UpgradeRoute = {
    path: '/talk',
    accept: ({ socket, head }) => socket.end(`${switched}\r\n\r\n${head}`),
  }
  const started = await startTestServer({ plainHandlers: [handler], upgrades: [talk] })
  const { port, registry } = started
  t.teardown(() => stopTestServer(started))

  const same = async (t: Test, request: string) => {
    const [lane, ordinary] = await Promise.all([
      exchange(port, request),
      exchange(port, `\r\n${request}`),
    ])
    t.equal(normalised(lane), normalised(ordinary), JSON.stringify(request.slice(0, 60)))
    t.not(lane, '')
    return lane
  }
  const close = 'Host: a\r\nConnection: close\r\n'

  t.test('the same bytes for every kind of answer', async (t) => {
    const before = await metric(registry, 'kairo_http_lane_handed_over_total')
    let count = 0
    for (const method of ['GET', 'HEAD']) {
      for (const path of ['/file', '/echo', '/echo?a=1&b=2', '/empty', '/breaks']) {
        for (const more of [
          '',
          'If-None-Match: "1"\r\n',
          'Accept-Encoding: gzip, br\r\n',
          'Origin: http://b\r\n',
        ]) {
          await same(t, `${method} ${path} HTTP/1.1\r\n${close}${more}\r\n`)
          count += 1
        }
      }
    }
    const after = await metric(registry, 'kairo_http_lane_handed_over_total')
    t.equal(after - before, count, 'one of each pair stayed in the lane')
  })

  t.test('pipelined requests on a connection that stays open', async (t) => {
    const request = `GET /file HTTP/1.1\r\nHost: a\r\n\r\nHEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n`
    await same(t, `${request}${request}GET /file HTTP/1.1\r\n${close}\r\n`)
  })

  t.test('a connection leaves in the middle of a pipeline, with its bytes', async (t) => {
    const plain = 'GET /file HTTP/1.1\r\nHost: a\r\n\r\n'
    const foreign = [
      'GET /file HTTP/1.1\r\nHost: a\r\nX-Unknown: 1\r\n\r\n',
      'POST /file HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /',
      'GET /file HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n',
      'GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /%66ile HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /a/../file HTTP/1.1\r\nHost: a\r\n\r\n',
    ]
    for (const request of foreign) {
      const text = await same(t, `${plain}${request}${plain}GET /echo HTTP/1.1\r\n${close}\r\n`)
      t.equal(text.match(/HTTP\/1\.1 \d/g)?.length, 4)
      t.ok(text.includes('"path":"/echo"'))
    }
  })

  t.test('what could smuggle a request is refused or read as Node reads it', async (t) => {
    const tail = `GET /echo HTTP/1.1\r\n${close}\r\n`
    const attempts: [string, number][] = [
      ['GET /file HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 400],
      [
        'GET /file HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n',
        400,
      ],
      ['GET /file HTTP/1.1\r\nHost : a\r\n\r\n', 400],
      ['GET /file HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n', 400],
      ['GET /file HTTP/1.1\nHost: a\n\n', 400],
      ['GET /file HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', 400],
      ['GET /file HTTP/1.1\r\nHost: a\r\nAccept: a\0b\r\n\r\n', 400],
      ['GET /file HTTP/1.1\r\nHost: a\r\nAccept: a\rb\r\n\r\n', 400],
      ['GET /file HTTP/1.1\r\n\r\n', 400],
      ['GET /file HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n', 200],
      ['get /file HTTP/1.1\r\nHost: a\r\n\r\n', 400],
      ['GET /file HTTP/1.2\r\nHost: a\r\n\r\n', 400],
      ['GET /file HTTP/2.0\r\nHost: a\r\n\r\n', 505],
      ['GET /file\r\n\r\n', 505],
      ['CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 501],
      ['\x16\x03\x01\x02\x00\x01\x00\x01', 400],
      [`GET /file HTTP/1.1\r\nHost: a\r\nAccept: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
      [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
    ]
    for (const [attempt, status] of attempts) {
      const text = await same(t, attempt + tail)
      t.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), JSON.stringify(attempt.slice(0, 80)))
      t.notMatch(text, /"path":"\/echo"/, 'nothing behind it is answered')
    }
  })

  t.test('ranges', async (t) => {
    const range = async (value: string, more = '') =>
      await exchange(port, `GET /file HTTP/1.1\r\n${close}Range: ${value}\r\n${more}\r\n`)
    for (const [value, from, to] of [
      ['bytes=0-0', 0, 1],
      ['bytes=299-300', 299, 301],
      ['bytes=990-', 990, 1_000],
      ['bytes=-3', 997, 1_000],
      ['bytes=-5000', 0, 1_000],
      ['bytes=500-5000', 500, 1_000],
    ] as const) {
      const text = await range(value)
      t.match(text, /^HTTP\/1\.1 206 /)
      t.match(text, `\r\ncontent-range: bytes ${from}-${to - 1}/1000\r\n`)
      t.ok(text.endsWith(`\r\n\r\n${body.slice(from, to)}`), value)
    }
    for (const value of ['bytes=1000-', 'bytes=-0']) {
      t.match(await range(value), /^HTTP\/1\.1 416 [\s\S]*\r\ncontent-range: bytes \*\/1000\r\n/)
    }
    for (const value of ['bytes=0-1,3-4', 'bytes=5-2', 'lines=1-2', 'bytes=a-b', 'bytes=-']) {
      t.match(await range(value), /^HTTP\/1\.1 200 /, value)
    }
    t.match(await range('bytes=0-1', 'If-Range: "1"\r\n'), /^HTTP\/1\.1 206 /)
    t.match(await range('bytes=0-1', 'If-Range: "2"\r\n'), /^HTTP\/1\.1 200 /)
  })

  t.test('older and absolute requests', async (t) => {
    t.match(
      await exchange(port, 'GET /file HTTP/1.0\r\n\r\n'),
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*x{1000}$/,
    )
    t.match(await exchange(port, `GET http://a/echo?q=1 HTTP/1.1\r\n${close}\r\n`), /"query":"q=1"/)
    t.match(await exchange(port, `GET http://a HTTP/1.1\r\n${close}\r\n`), /^HTTP\/1\.1 404 /)
    t.match(
      await exchange(port, `GET /%zz HTTP/1.1\r\n${close}\r\n`),
      /^HTTP\/1\.1 400 [\s\S]*ERR_INVALID_INPUT/,
    )
  })

  t.test('blocked requests on the ordinary server', async (t) => {
    const client = await RawClient.connect(port)
    client.send(`\r\nGET /blocked HTTP/1.1\r\n${close}\r\n`)
    await eventually(() => release.size === 1)
    for (const resolve of release) {
      resolve()
    }
    release.clear()
    t.match(await client.closed(), /late$/)
    const gone = await RawClient.connect(port)
    gone.send('\r\nGET /blocked HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => release.size === 1)
    release.clear()
    gone.socket.destroy()
    await eventually(
      async () => (await metric(registry, 'kairo_http_connections', { state: 'handed' })) === 0,
    )
  })

  t.test('Expect and Upgrade reach Node', async (t) => {
    const expect = await exchange(
      port,
      `POST /file HTTP/1.1\r\n${close}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n`,
    )
    t.match(expect, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 404 /)
    const upgraded = await exchange(
      port,
      'GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
    )
    t.match(upgraded, /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nhello$/)
  })
})
