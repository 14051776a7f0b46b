/** HTTP origins: what is sent, what comes back, and how connections are kept. Origins that misbehave: odd-origins.test.ts. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import type { ResponseHead } from '../../../src/cdn/message.ts'
import { HttpOrigin } from '../../../src/cdn/origins/http-origin.ts'
import { settle } from '../../support/manual-clock.ts'
import { allOver, ask, bodyOf, codeOf, originParts, wholeOf } from '../../support/origin-parts.ts'
import { rawAnswer, startRawOrigin } from '../../support/raw-origin.ts'
import { metricOf } from '../../support/registry-value.ts'

test('what is sent', async (t) => {
  const origin = await startRawOrigin(({ socket }) => socket.write(rawAnswer('x')))
  t.teardown(origin.stop)
  const { components } = originParts()
  const lineOf = (index: number) => origin.heads[index]?.split('\r\n', 1)[0]

  await t.test('the target stands behind the path of the base URL', async (t) => {
    const http = new HttpOrigin(components, { url: `${origin.url}/base/` })
    await wholeOf(ask(http, '/a%20b/c?x=/../1', { headers: { accept: 'a/b', cookie: 'k=v' } }))
    const head = origin.heads.at(-1) as string
    t.equal(lineOf(origin.heads.length - 1), 'GET /base/a%20b/c?x=/../1 HTTP/1.1')
    t.match(head, /^accept: a\/b\r$/m)
    t.match(head, /^cookie: k=v\r$/m)
    t.match(head, /^cdn-loop: kairo; peer="peerA"\r$/m)
    t.match(head, /^connection: keep-alive\r$/im)
    t.match(head, new RegExp(`^host: ${new URL(origin.url).host}\r$`, 'm'))
    t.notMatch(head, /content-length|transfer-encoding|user-agent/i)
    http.close()
  })

  await t.test('Host is the base URL’s, another one, or the client’s', async (t) => {
    for (const [host, expected] of [
      ['inner.example', 'inner.example'],
      ['client', 'cdn.example'],
    ]) {
      const http = new HttpOrigin(components, { url: origin.url, host })
      await wholeOf(ask(http, '/'))
      t.match(origin.heads.at(-1), new RegExp(`^host: ${expected}\r$`, 'm'))
      http.close()
    }
  })

  await t.test('a length that no body follows is not sent', async (t) => {
    const http = new HttpOrigin(components, { url: origin.url })
    const headers = { 'content-length': '5', 'transfer-encoding': 'chunked', connection: 'x' }
    await wholeOf(ask(http, '/', { headers }))
    t.notMatch(origin.heads.at(-1), /content-length|transfer-encoding|connection: x/i)
    http.close()
  })

  await t.test('paths that lead out of the base are refused, in any spelling', async (t) => {
    const http = new HttpOrigin(components, { url: `${origin.url}/base` })
    const count = origin.heads.length
    for (const target of [
      '/../x',
      '/a/..',
      '/a/%2e%2E/x',
      '/.%2e/x',
      '/a%2f..%2fx',
      '/a\\..\\x',
      '/a%5c..%5cx',
      '/..;/x',
      'http://elsewhere/',
      '*',
    ]) {
      t.equal(await codeOf(ask(http, target)), 'ERR_INVALID_INPUT', target)
    }
    t.equal(await codeOf(ask(http, '/a b')), 'ERR_INVALID_INPUT', 'a space')
    t.equal(await codeOf(ask(http, '/', { headers: { a: 'b\nc' } })), 'ERR_INVALID_INPUT')
    t.equal(await codeOf(ask(http, '/', { method: 'CONNECT' })), 'ERR_INVALID_INPUT')
    t.equal(origin.heads.length, count, 'nothing was sent')
    for (const target of ['/a..b/c', '/...', '/a?x=/../y']) {
      t.equal((await wholeOf(ask(http, target))).status, 200, target)
    }
    http.close()
  })

  await t.test('a request that comes back is refused before it is sent (RFC 8586)', async (t) => {
    const http = new HttpOrigin(components, { url: origin.url })
    const count = origin.heads.length
    for (const before of [
      'kairo; peer="peerA"',
      'other.example, KAIRO ;peer="peerA"',
      'kairo; peer="x", foo, kairo;peer="peerA"; trace=1',
      Array(8).fill('kairo; peer="b"').join(','),
    ]) {
      const work = ask(http, '/', { headers: { 'cdn-loop': before } })
      t.equal(await codeOf(work), 'ERR_LOOP', before)
    }
    t.equal(origin.heads.length, count)
    await wholeOf(ask(http, '/', { headers: { 'cdn-loop': 'kairo; peer="b", foo' } }))
    t.match(origin.heads.at(-1), /^cdn-loop: kairo; peer="b", foo, kairo; peer="peerA"\r$/m)
    http.close()
  })
})

test('what comes back', async (t) => {
  const answers: Record<string, string> = {
    '/twice':
      'HTTP/1.1 200 OK\r\nETag: "a"\r\nVary: A\r\nVary: B\r\nCache-Control: no-store\r\n' +
      'cache-control: max-age=5\r\nSet-Cookie: a=1, x\r\nSet-Cookie: b=2\r\n' +
      'Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nContent-Length: 0\r\n\r\n',
    '/gzip': 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08',
    '/trailers':
      'HTTP/1.1 200 OK\r\nTrailer: ETag\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '3;ext=1\r\nabc\r\n0\r\nETag: "evil"\r\nX-T: 1\r\n\r\n',
    '/moved': 'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n',
    '/none': 'HTTP/1.1 204 No Content\r\n\r\n',
    '/same': 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 77\r\n\r\n',
    '/bytes': 'HTTP/1.1 200 OK\r\nX-Bytes: caf\xe9\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n',
  }
  const origin = await startRawOrigin(({ socket, head }) => {
    const path = head.split(' ')[1] as string
    socket.write(Buffer.from(answers[path] as string, 'latin1'))
  })
  t.teardown(origin.stop)
  const { components, registry } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })

  await t.test('every line of a repeated field, and only end-to-end fields', async (t) => {
    const { headers } = await wholeOf(ask(http, '/twice'))
    t.strictSame(headers, {
      etag: '"a"',
      vary: 'A, B',
      'cache-control': 'no-store, max-age=5',
      'set-cookie': 'a=1, x\nb=2',
      'content-length': '0',
    })
  })

  await t.test(
    'bytes as sent: content codings stay, transfer codings and trailers go',
    async (t) => {
      t.equal((await wholeOf(ask(http, '/gzip'))).text, '\x1f\x8b\x08')
      const { headers, text } = await wholeOf(ask(http, '/trailers'))
      t.strictSame([headers, text], [{}, 'abc'])
      t.equal((await wholeOf(ask(http, '/bytes'))).text, '\x00\xff\r\n')
      t.equal((await wholeOf(ask(http, '/bytes'))).headers['x-bytes'], 'caf\xe9')
    },
  )

  await t.test('redirects are answers', async (t) => {
    const { status, headers } = await wholeOf(ask(http, '/moved'))
    t.strictSame([status, headers.location], [302, '/elsewhere'])
  })

  await t.test('answers without a body free their connection unread', async (t) => {
    const { opened } = origin.counts
    const asked = { headers: { 'if-none-match': '"a"' } }
    for (let round = 0; round < 3; round += 1) {
      t.equal((await ask(http, '/none')).status, 204)
      t.equal((await ask(http, '/same', asked)).status, 304)
      t.equal((await ask(http, '/same', asked)).headers['content-length'], '77')
      await new Promise(setImmediate)
    }
    t.ok(origin.counts.opened <= opened + 1, 'over the kept connection')
    t.equal(await metricOf(registry, 'kairo_cdn_origin_inflight'), 0)
  })

  await t.test('metrics count answers and bytes', async (t) => {
    t.ok((await metricOf(registry, 'kairo_cdn_origin_answers_total')) >= 10)
    t.equal(await metricOf(registry, 'kairo_cdn_origin_body_bytes_total'), 3 + 3 + 4 + 4)
  })
  http.close()
})

test('informational responses', async (t) => {
  const origin = await startRawOrigin(({ socket, head }) => {
    const many = head.startsWith('GET /many')
    socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n')
    for (let index = 0; index < (many ? 20 : 1); index += 1) {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.js>\r\n\r\n')
    }
    socket.write(rawAnswer('done'))
  })
  t.teardown(origin.stop)
  const { components } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())

  await t.test('102 and 103 are passed on before the answer, 100 is not (RFC 8297)', async (t) => {
    const heads: ResponseHead[] = []
    const { text } = await wholeOf(ask(http, '/', { onInformational: (head) => heads.push(head) }))
    t.equal(text, 'done')
    t.strictSame(heads, [
      { status: 102, headers: {} },
      { status: 103, headers: { link: '</a.css>, </b.js>' } },
    ])
  })

  await t.test('nobody needs to listen, and their number is bounded', async (t) => {
    t.equal((await wholeOf(ask(http, '/'))).text, 'done')
    t.equal(await codeOf(ask(http, '/many')), 'ERR_PROTOCOL')
  })
})

test('request bodies', async (t) => {
  const received: { readonly message: IncomingMessage; readonly text: string }[] = []
  const server: Server = createServer(async (message, reply) => {
    if (message.url === '/early') {
      reply.writeHead(413).end('no')
      message.on('error', () => {}).resume()
      return
    }
    let text = ''
    try {
      for await (const chunk of message) text += chunk
    } catch {
      // A request that breaks off is not noted.
      return
    }
    received.push({ message, text })
    reply.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { components, registry } = originParts()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const http = new HttpOrigin(components, { url })
  t.teardown(() => http.close())
  async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
    for (const text of texts) yield Buffer.from(text)
  }

  await t.test('are streamed, with their length or in chunks, whatever the method', async (t) => {
    for (const method of ['POST', 'PUT', 'DELETE', 'GET', 'PATCH']) {
      await wholeOf(ask(http, '/x', { method, body: chunks('ab', 'c') }))
      const headers = { 'content-length': '3' }
      await wholeOf(ask(http, '/x', { method, headers, body: chunks('a', 'bc') }))
      const [chunked, measured] = received.slice(-2)
      t.strictSame([chunked?.text, measured?.text], ['abc', 'abc'], method)
      t.equal(chunked?.message.headers['transfer-encoding'], 'chunked')
      t.equal(measured?.message.headers['content-length'], '3')
    }
  })

  await t.test('longer than they say they would be a second request: refused', async (t) => {
    const headers = { 'content-length': '3' }
    const body = chunks('abc', 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n')
    t.match(await codeOf(ask(http, '/x', { method: 'POST', headers, body })), /^ERR_/)
    t.notOk(received.some(({ message }) => message.url === '/smuggled'))
  })

  await t.test('that break off break the request off', async (t) => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a')
      throw new Error('the client is gone')
    }
    const count = received.length
    t.match(await codeOf(ask(http, '/x', { method: 'POST', body: broken() })), /^ERR_/)
    t.equal(received.length, count)
  })

  await t.test('an answer before their end is an answer', async (t) => {
    let hasStopped = false
    const body = (async function* () {
      try {
        for (;;) {
          yield Buffer.alloc(65_536)
          await new Promise(setImmediate)
        }
      } finally {
        hasStopped = true
      }
    })()
    const response = await ask(http, '/early', { method: 'POST', body })
    t.equal(response.status, 413)
    t.equal((await bodyOf(response)).toString(), 'no')
    while (!hasStopped) await settle()
    await allOver(registry)
  })
})
