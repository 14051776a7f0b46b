/** Answers that are another server's, early hints, and requests that are taken before everything else. */
import { test } from 'tap'
import type { PlainHandler, PreparedResponse } from '../../src/http/prepared-response.ts'
import { exchange, plainAnswer, startTestServer, stopTestServer } from '../support/http-exchange.ts'

const taken: PreparedResponse = {
  status: 200,
  verbatim: true,
  headers: { date: 'Mon, 01 Jan 2024 00:00:00 GMT', 'set-cookie': 'a=1\nb=2', 'x-own!': 'y' },
  body: [Buffer.from('hello')],
}

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

const handler: PlainHandler = (request, _signal, _client, hints) => {
  switch (request.path) {
    case '/taken':
      return taken
    case '/long':
      return { ...taken, body: [Buffer.alloc(20_000, 'x')] }
    case '/known-length':
      return {
        ...taken,
        headers: { 'content-length': '6' },
        body: [],
        stream: pieces('abc', 'def'),
      }
    case '/unknown-length':
      return { ...taken, headers: {}, body: [], stream: pieces('abc', 'def') }
    case '/hints':
      return Promise.resolve().then(() => {
        hints?.({ link: '</style.css>; rel=preload' })
        return plainAnswer('after')
      })
    case '/split':
      return { ...taken, headers: { x: 'a\r\nb: c' } }
    case '/connection':
      return { ...taken, headers: { connection: 'close' } }
    default:
      return undefined
  }
}

const get = (path: string, more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${more}\r\n`

test('verbatim answers', async (t) => {
  const started = await startTestServer({
    plainHandlers: [handler],
    rawHandler: (message, reply) => {
      if (message.headers.host !== 'raw.example') return false
      reply.end(`${message.method} ${message.url}`)
      return true
    },
  })
  t.teardown(() => stopTestServer(started))
  const { port } = started

  // A field that the lane does not know sends the request to Node's server.
  for (const [where, more] of [
    ['in the lane', ''],
    ['behind Node', 'X-Unknown: 1\r\n'],
  ] as const) {
    t.test(`${where}: fields go out as they are`, async (t) => {
      const text = await exchange(port, get('/taken', more))
      t.match(text, /\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\n/)
      t.equal(text.match(/\r\ndate:/gi)?.length, 1)
      t.match(text, /\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n/)
      t.match(text, /\r\nx-own!: y\r\n/)
      t.match(text, /\r\ncontent-length: 5\r\n/)
      t.notMatch(text, /nosniff|accept-ranges|access-control/)
      t.ok(text.endsWith('\r\n\r\nhello'))
    })

    t.test(`${where}: long and streamed bodies`, async (t) => {
      t.match(await exchange(port, get('/long', more)), /content-length: 20000\r\n[\s\S]*x{20000}$/)
      const known = await exchange(port, get('/known-length', more))
      t.match(known, /\r\ncontent-length: 6\r\n/)
      t.notMatch(known, /chunked/)
      t.ok(known.endsWith('\r\n\r\nabcdef'))
      const unknown = await exchange(port, get('/unknown-length', more))
      t.match(unknown, /\r\ntransfer-encoding: chunked\r\n/i)
      t.ok(unknown.endsWith('3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n'))
    })

    t.test(`${where}: early hints come before the answer`, async (t) => {
      const text = await exchange(port, get('/hints', more))
      const start =
        'HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK'
      t.ok(text.startsWith(start), text)
      t.ok(text.endsWith('after'))
    })

    t.test(`${where}: what cannot stand in a head becomes a problem`, async (t) => {
      t.match(await exchange(port, get('/split', more)), /^HTTP\/1\.1 500 /)
      t.match(await exchange(port, get('/connection', more)), /^HTTP\/1\.1 500 /)
    })
  }

  t.test('ranges of a verbatim answer are its handler’s affair', async (t) => {
    const text = await exchange(port, get('/taken', 'Range: bytes=0-1\r\n'))
    t.match(text, /^HTTP\/1\.1 200 OK\r\n/)
    t.ok(text.endsWith('hello'))
  })

  t.test('HTTP/1.0 clients get no early hints', async (t) => {
    const text = await exchange(port, 'GET /hints HTTP/1.0\r\nHost: a\r\n\r\n')
    t.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  })

  t.test('the raw handler is asked first, and the authority of a target is its host', async (t) => {
    const last = 'Connection: close\r\n\r\n'
    const put = `PUT /a%20b?c HTTP/1.1\r\nHost: raw.example\r\nContent-Length: 0\r\n${last}`
    t.ok((await exchange(port, put)).endsWith('PUT /a%20b?c'))
    const absolute = `GET http://raw.example/x HTTP/1.1\r\nHost: a\r\n${last}`
    t.ok((await exchange(port, absolute)).endsWith('GET /x'))
    t.match(await exchange(port, `PUT /taken HTTP/1.1\r\nHost: a\r\n${last}`), /^HTTP\/1\.1 404 /)
  })
})
