/** Origins that break off, stall, lie, or are gone. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'tap'
import { HttpOrigin } from '../../../src/cdn/origins/http-origin.ts'
import { httpOriginLimits as limits, originBreakerLimits } from '../../../src/limits/cdn-origins.ts'
import { settle } from '../../support/manual-clock.ts'
import { allOver, ask, bodyOf, codeOf, originParts, wholeOf } from '../../support/origin-parts.ts'
import { rawAnswer, startRawOrigin } from '../../support/raw-origin.ts'
import { metricOf } from '../../support/registry-value.ts'

test('bodies that end too early', async (t) => {
  const origin = await startRawOrigin(({ socket, head }) => {
    const path = head.split(' ')[1]
    if (path === '/length') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345678')
    if (path === '/chunk') {
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n')
    }
    if (path === '/junk') {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\nxyz\r\n')
    }
    if (path === '/reset') {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345678', () =>
        socket.resetAndDestroy(),
      )
    }
    if (path === '/until-close') socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345678')
  })
  t.teardown(origin.stop)
  const { components, registry } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())

  for (const path of ['/length', '/chunk', '/junk', '/reset']) {
    await t.test(`${path} throws`, async (t) => {
      const response = await ask(http, path)
      t.equal(await codeOf(bodyOf(response)), 'ERR_PROTOCOL')
    })
  }

  await t.test('a body that lasts until the connection closes is whole', async (t) => {
    t.equal((await wholeOf(ask(http, '/until-close'))).text, '12345678')
  })

  await t.test('no room is lost', async () => {
    await origin.openConnections(0)
    await allOver(registry)
  })
})

test('heads that are none', async (t) => {
  const heads: Record<string, string> = {
    junk: 'hello\r\n\r\n',
    'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
    'a signed length': 'HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc',
    'a length and chunks':
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'a foreign transfer coding':
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'a space before the colon': 'HTTP/1.1 200 OK\r\nCache-Control : no-store\r\n\r\n',
    'a bare CR in a value': 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n',
    'a NUL in a value': 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n',
    'status 999': 'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n',
    'a huge field': `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(limits.headBytesMax)}\r\n\r\n`,
    'many fields': `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(limits.headFieldsMax + 1)}\r\n`,
    'another protocol unasked':
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  }
  const origin = await startRawOrigin(({ socket, head }) => {
    const name = decodeURIComponent((head.split(' ')[1] as string).slice(1))
    socket.write(Buffer.from(heads[name] as string, 'latin1'))
  })
  t.teardown(origin.stop)
  const { components } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())
  for (const name of Object.keys(heads)) {
    await t.test(name, async (t) => {
      t.equal(await codeOf(ask(http, `/${encodeURIComponent(name)}`)), 'ERR_PROTOCOL')
    })
  }
  await t.test('their connections are gone, and the origin is not taken for dead', async (t) => {
    await origin.openConnections(0)
    t.equal(await codeOf(ask(http, '/junk')), 'ERR_PROTOCOL')
  })
})

test('an answer to a question that nobody asked is given to nobody', async (t) => {
  const origin = await startRawOrigin(({ socket, index }) => {
    socket.write(rawAnswer(`answer ${index}`))
    if (index === 0) socket.write(rawAnswer('poison'))
  })
  t.teardown(origin.stop)
  const { components } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())
  t.equal((await wholeOf(ask(http, '/a'))).text, 'answer 0')
  t.equal((await wholeOf(ask(http, '/b'))).text, 'answer 1')
})

test('an answer to a question that is still to come is given to nobody', async (t) => {
  const origin = await startRawOrigin(({ socket, index }) => {
    socket.write(rawAnswer(`answer ${index}`))
    if (index === 0) setImmediate(() => setImmediate(() => socket.write(rawAnswer('poison'))))
  })
  t.teardown(origin.stop)
  const { components } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())
  t.equal((await wholeOf(ask(http, '/a'))).text, 'answer 0')
  // The poison comes while the connection is idle.
  await origin.openConnections(0)
  t.equal((await wholeOf(ask(http, '/b'))).text, 'answer 1')
})

test('kept connections', async (t) => {
  const modes = { second: 'answer' as 'answer' | 'close' | 'partial', always: false }
  const origin = await startRawOrigin(({ socket, indexOnSocket }) => {
    if ((indexOnSocket === 0 && !modes.always) || modes.second === 'answer') {
      socket.write(rawAnswer('x'))
    } else if (modes.second === 'close') {
      socket.destroy()
    } else {
      socket.end('HTTP/1.1 20')
    }
  })
  t.teardown(origin.stop)
  const { components, registry } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())
  const retries = () => metricOf(registry, 'kairo_cdn_origin_retries_total')

  await t.test('are used again', async (t) => {
    for (let round = 0; round < 5; round += 1) await wholeOf(ask(http, '/'))
    t.equal(origin.counts.opened, 1)
  })

  await t.test('one that the origin closed meanwhile costs another try', async (t) => {
    modes.second = 'close'
    t.equal((await wholeOf(ask(http, '/'))).text, 'x')
    t.equal(await retries(), 1)
    t.equal(origin.counts.opened, 2)
  })

  await t.test('but not where a request might be carried out twice', async (t) => {
    modes.second = 'answer'
    await wholeOf(ask(http, '/'))
    modes.second = 'close'
    t.equal(await codeOf(ask(http, '/', { method: 'POST' })), 'ERR_NO_PROVIDER')
    t.equal(await retries(), 1)
  })

  await t.test('nor where an answer had begun', async (t) => {
    modes.second = 'answer'
    await wholeOf(ask(http, '/'))
    modes.second = 'partial'
    t.match(await codeOf(ask(http, '/')), /ERR_NO_PROVIDER|ERR_PROTOCOL/)
    t.equal(await retries(), 1)
  })

  await t.test('and only once', async (t) => {
    modes.second = 'answer'
    await wholeOf(ask(http, '/'))
    Object.assign(modes, { second: 'close', always: true })
    const count = origin.heads.length
    t.equal(await codeOf(ask(http, '/')), 'ERR_PROTOCOL')
    t.equal(origin.heads.length, count + 2)
    t.equal(await retries(), 2)
  })
})

test('time', async (t) => {
  const origin = await startRawOrigin(({ socket, head }) => {
    const path = head.split(' ')[1]
    if (path === '/trickle') socket.write('HTTP/1.1 200 OK\r\nX: ')
    if (path === '/body') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123')
  })
  t.teardown(origin.stop)
  const { components, clock, registry } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())

  await t.test('a head that trickles is cut at its deadline', async (t) => {
    const work = codeOf(ask(http, '/trickle'))
    await origin.requests(1)
    await settle()
    await clock.pass(limits.headMsMax - 1)
    t.equal(await metricOf(registry, 'kairo_cdn_origin_inflight'), 1, 'still waited for')
    await clock.pass(1)
    t.equal(await work, 'ERR_TIMEOUT')
    await origin.openConnections(0)
  })

  await t.test('so is a body that stops', async (t) => {
    const response = await ask(http, '/body')
    const work = codeOf(bodyOf(response))
    await settle()
    await clock.pass(limits.stallMsMax)
    t.equal(await work, 'ERR_TIMEOUT')
    await origin.openConnections(0)
  })

  await t.test('but a reader may take its time', async (t) => {
    const response = await ask(http, '/body')
    const chunks = response.body[Symbol.asyncIterator]()
    t.equal(String((await chunks.next()).value), '123')
    await clock.pass(limits.stallMsMax * 10)
    t.equal(origin.counts.open, 1)
    const next = codeOf(chunks.next())
    await clock.pass(limits.stallMsMax)
    t.equal(await next, 'ERR_TIMEOUT')
  })

  await t.test('TLS that is never agreed on is cut as a connection', async (t) => {
    const tls = new HttpOrigin(components, { url: origin.url.replace('http:', 'https:') })
    t.teardown(() => tls.close())
    await origin.openConnections(0)
    const work = codeOf(ask(tls, '/'))
    await origin.openConnections(1)
    await settle()
    await clock.pass(limits.connectMsMax)
    t.equal(await work, 'ERR_TIMEOUT')
    await origin.openConnections(0)
  })
})

test('whoever asked may go', async (t) => {
  const origin = await startRawOrigin(({ socket, head }) => {
    if (head.includes('/body')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123')
  })
  t.teardown(origin.stop)
  const { components, clock, registry } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())

  await t.test('before, while a head is waited for, within the body', async (t) => {
    t.equal(await codeOf(ask(http, '/', { signal: AbortSignal.abort() })), 'ERR_TIMEOUT')
    const waiting = new AbortController()
    const head = codeOf(ask(http, '/', { signal: waiting.signal }))
    await origin.requests(1)
    waiting.abort()
    t.equal(await head, 'ERR_TIMEOUT')
    await origin.openConnections(0)
    const reading = new AbortController()
    const response = await ask(http, '/body', { signal: reading.signal })
    const chunks = response.body[Symbol.asyncIterator]()
    await chunks.next()
    const next = codeOf(chunks.next())
    reading.abort()
    t.equal(await next, 'ERR_TIMEOUT')
    await origin.openConnections(0)
    await allOver(registry)
    t.equal(clock.timers, 0, 'and leaves no timer')
  })

  await t.test('without having read, or in the middle of it', async () => {
    const unread = new AbortController()
    await ask(http, '/body', { signal: unread.signal })
    unread.abort()
    await origin.openConnections(0)
    const response = await ask(http, '/body')
    for await (const _ of response.body) break
    await origin.openConnections(0)
    await allOver(registry)
  })
})

test('10,000 requests to an origin that hangs', async (t) => {
  const origin = await startRawOrigin(() => {})
  t.teardown(origin.stop)
  const { components, clock, registry } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())
  const codes = new Map<unknown, number>()
  const all = Array.from({ length: 10_000 }, async (_, index) => {
    const code = await codeOf(ask(http, `/${index}`))
    codes.set(code, (codes.get(code) ?? 0) + 1)
  })
  await origin.requests(limits.socketsMax)
  t.equal(origin.counts.open, limits.socketsMax)
  t.strictSame([...codes], [['ERR_OVERLOADED', 10_000 - limits.socketsMax - limits.waitingMax]])
  t.equal(await metricOf(registry, 'kairo_cdn_origin_waiting'), limits.waitingMax)

  await clock.pass(limits.waitMsMax)
  t.strictSame([...codes], [['ERR_OVERLOADED', 10_000 - limits.socketsMax]])
  await clock.pass(limits.headMsMax)
  await Promise.all(all)
  t.equal(codes.get('ERR_TIMEOUT'), limits.socketsMax)
  t.equal(origin.heads.length, limits.socketsMax, 'what waited in vain was never sent')
  await origin.openConnections(0)
  await allOver(registry)
  t.equal(clock.timers, 0)
})

test('an origin that hangs up on some requests is asked for all others', async (t) => {
  const origin = await startRawOrigin(({ socket, head }) => {
    if (head.startsWith('GET /broken')) socket.destroy()
    else socket.end(rawAnswer('well'))
  })
  t.teardown(origin.stop)
  const { components, registry } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  t.teardown(() => http.close())
  for (let round = 0; round < 10; round += 1) {
    t.equal(await codeOf(ask(http, '/broken')), 'ERR_PROTOCOL')
  }
  t.equal((await wholeOf(ask(http, '/'))).text, 'well')
  t.equal(await metricOf(registry, 'kairo_cdn_origin_circuit_open'), 0)
})

test('10,000 requests to an origin that is dead', async (t) => {
  const server = createServer((socket) => socket.end(rawAnswer('back')))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const { components, clock, registry, lines } = originParts()
  const http = new HttpOrigin(components, { url: `http://127.0.0.1:${port}` })
  t.teardown(() => http.close())
  const refused = () => metricOf(registry, 'kairo_cdn_origin_refused_total')

  await t.test('fail at once, most without being tried', async (t) => {
    const codes = await Promise.all(
      Array.from({ length: 10_000 }, (_, index) => codeOf(ask(http, `/${index}`))),
    )
    t.strictSame(new Set(codes), new Set(['ERR_NO_PROVIDER', 'ERR_OVERLOADED']))
    t.equal(await metricOf(registry, 'kairo_cdn_origin_circuit_open'), 1)
    t.equal(lines.filter((line) => line.level === 'warn').length, 1, 'the log says so once')
    const before = await refused()
    t.equal(await codeOf(ask(http, '/')), 'ERR_NO_PROVIDER')
    t.equal(await refused(), before + 1, 'now nobody tries')
  })

  await t.test('after a while one tries', async (t) => {
    await clock.pass(originBreakerLimits.retryMsMin)
    const before = await refused()
    const codes = await Promise.all(Array.from({ length: 100 }, () => codeOf(ask(http, '/'))))
    t.strictSame(new Set(codes), new Set(['ERR_NO_PROVIDER']))
    t.equal(await refused(), before + 99)
    await clock.pass(originBreakerLimits.retryMsMin)
    t.equal(await codeOf(ask(http, '/')), 'ERR_NO_PROVIDER')
    t.equal(await refused(), before + 100, 'the wait has doubled')
  })

  await t.test('when it is back, it serves all', async (t) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    await clock.pass(originBreakerLimits.retryMsMax)
    t.equal((await wholeOf(ask(http, '/'))).text, 'back')
    const texts = await Promise.all(
      Array.from({ length: 20 }, async () => (await wholeOf(ask(http, '/'))).text),
    )
    t.strictSame(new Set(texts), new Set(['back']))
  })
})

test('an origin that is no longer in use', async (t) => {
  const origin = await startRawOrigin(({ socket, head }) => {
    if (head.includes('/slow')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na')
    else socket.write(rawAnswer('x'))
  })
  t.teardown(origin.stop)
  const { components, registry } = originParts()
  const http = new HttpOrigin(components, { url: origin.url })
  const slow = await ask(http, '/slow')
  await wholeOf(ask(http, '/'))
  await origin.openConnections(2)
  http.close()
  t.equal(await codeOf(ask(http, '/')), 'ERR_STOPPED')
  await origin.openConnections(1)
  t.equal(await metricOf(registry, 'kairo_cdn_origin_inflight'), 0, 'nothing is told of it')
  const chunks = slow.body[Symbol.asyncIterator]()
  t.equal(String((await chunks.next()).value), 'a', 'an answer under way goes on')
  await chunks.return?.()
  await origin.openConnections(0)
})
