/** Requests between real peers: by HTTPS, over libp2p streams, and from the one to the other. */
import { randomBytes } from 'node:crypto'
import { type Test, test } from 'tap'
import { KairoError } from '../../../src/errors.ts'
import type { IncomingPeerRequest, PeerHttpHandler } from '../../../src/host/peer-http.ts'
import type { PeerEndpoint } from '../../../src/host/peer-https/unreachable-peers.ts'
import { peerHttpLimits } from '../../../src/limits/peer-http.ts'
import { bytesOf, type HttpPeer, startHttpPeer } from '../../support/peer-http-pair.ts'
import { metricOf } from '../../support/registry-value.ts'
import { until } from '../../support/until.ts'

const object = randomBytes(3_000_000)

function signal(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

/** What the tests ask for. */
function handlers(seen: IncomingPeerRequest[] = []): Record<string, PeerHttpHandler> {
  return {
    '/object': async (request) => {
      seen.push(request)
      return { status: 200, headers: { 'x-kind': 'object' }, body: [object] }
    },
    '/streamed': async () => ({
      status: 200,
      body: (async function* () {
        for (let at = 0; at < object.byteLength; at += 100_000) {
          yield object.subarray(at, at + 100_000)
        }
      })(),
    }),
    '/echo': async ({ body, headers, method, peerId }) => ({
      status: 201,
      headers: { 'x-method': method, 'x-peer': peerId, 'x-sent': headers['x-sent'] ?? '' },
      body: [body],
    }),
    '/missing': async () => {
      throw new KairoError('ERR_NOT_FOUND', 'there is none')
    },
    '/bug': async () => {
      throw new TypeError('a bug')
    },
    '/breaks': async () => ({
      status: 200,
      headers: { 'content-length': '3000000' },
      body: (async function* () {
        yield object.subarray(0, 500_000)
        throw new KairoError('ERR_STORAGE', 'the disk is gone')
      })(),
    }),
  }
}

async function pair(t: Test, via: 'https' | 'stream', seen: IncomingPeerRequest[] = []) {
  const endpoints = new Map<string, PeerEndpoint>()
  const https = via === 'https'
  const server = await startHttpPeer(t, { https, endpoints, handlers: handlers(seen) })
  const client = await startHttpPeer(t, { https, endpoints, join: [server] })
  return { server, client, endpoints }
}

async function asked(peer: HttpPeer, via: string, outcome: string): Promise<number> {
  return await metricOf(peer.registry, 'kairo_peer_http_asked_total', { via, outcome })
}

for (const via of ['https', 'stream'] as const) {
  test(`requests by ${via}`, async (t) => {
    const seen: IncomingPeerRequest[] = []
    const { server, client } = await pair(t, via, seen)
    const ask = (path: string) =>
      client.http.request(server.id, { method: 'GET', path }, { signal: signal() })

    await t.test('a body of one piece, with its length and fields', async (t) => {
      const answer = await ask('/object/7?x=1')
      t.equal(answer.status, 200)
      t.equal(answer.headers['x-kind'], 'object')
      t.equal(answer.headers['content-length'], String(object.byteLength))
      t.ok((await bytesOf(answer.body)).equals(object))
      t.equal(seen.at(-1)?.peerId, client.id, 'the asker is who its connection proves')
      t.equal(seen.at(-1)?.path, '/object/7?x=1')
      t.equal(await asked(client, via, 'ok'), 1)
    })

    await t.test('a body that is still being made', async (t) => {
      t.ok((await bytesOf((await ask('/streamed')).body)).equals(object))
    })

    await t.test('POST sends a body, HEAD gets none', async (t) => {
      const body = randomBytes(peerHttpLimits.requestBytesMax)
      const echo = await client.http.request(
        server.id,
        { method: 'POST', path: '/echo', body, headers: { 'x-sent': 'yes' } },
        { signal: signal() },
      )
      t.match(echo, { status: 201, headers: { 'x-method': 'POST', 'x-peer': client.id } })
      t.equal(echo.headers['x-sent'], 'yes')
      t.ok((await bytesOf(echo.body)).equals(body))
      const head = await client.http.request(
        server.id,
        { method: 'HEAD', path: '/object' },
        { signal: signal() },
      )
      t.equal(head.headers['content-length'], String(object.byteLength))
      t.equal((await bytesOf(head.body)).byteLength, 0)
    })

    await t.test('a KairoError is a status and a code, a bug tells nothing', async (t) => {
      const missing = await ask('/missing')
      t.match(missing, { status: 404, headers: { 'kairo-code': 'ERR_NOT_FOUND' } })
      t.equal((await bytesOf(missing.body)).byteLength, 0)
      t.equal((await ask('/nobody-answers-this')).status, 404)
      const bug = await ask('/bug')
      t.equal(bug.status, 500)
      t.equal(bug.headers['kairo-code'], undefined)
    })

    await t.test('a body that breaks off is no whole body', async (t) => {
      const answer = await ask('/breaks')
      await t.rejects(bytesOf(answer.body), { code: 'ERR_NO_PROVIDER' })
      t.ok((await bytesOf((await ask('/object')).body)).equals(object), 'the next one is')
    })

    await t.test('a reader that leaves early, and a signal that fires', async (t) => {
      for await (const chunk of (await ask('/streamed')).body) {
        t.ok(chunk.byteLength > 0)
        break
      }
      const given = new AbortController()
      const answer = await client.http.request(
        server.id,
        { method: 'GET', path: '/object' },
        { signal: given.signal },
      )
      given.abort(new KairoError('ERR_TIMEOUT', 'enough'))
      await t.rejects(bytesOf(answer.body), { code: 'ERR_TIMEOUT' })
      await t.rejects(
        client.http.request(
          server.id,
          { method: 'GET', path: '/object' },
          { signal: given.signal },
        ),
        { code: 'ERR_TIMEOUT' },
      )
      t.ok((await bytesOf((await ask('/object')).body)).equals(object))
    })

    await t.test('many at once', async (t) => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, async () => await bytesOf((await ask('/echo?many')).body)),
      )
      t.equal(answers.length, 100)
    })

    await t.test('malformed requests are not sent', async (t) => {
      const bad = [
        { method: 'GET', path: 'object' },
        { method: 'GET', path: '/a b' },
        { method: 'GET', path: '/object', headers: { 'x-a': 'b\r\nc: d' } },
        { method: 'PUT' as 'GET', path: '/object' },
      ] as const
      for (const request of bad) {
        await t.rejects(client.http.request(server.id, request, { signal: signal() }), {
          code: 'ERR_INVALID_INPUT',
        })
      }
      const headers = { 'x-long': 'x'.repeat(peerHttpLimits.headBytesMax + 1) }
      await t.rejects(
        client.http.request(
          server.id,
          { method: 'GET', path: '/object', headers },
          { signal: signal() },
        ),
        { code: 'ERR_LIMIT' },
      )
      const body = Buffer.alloc(peerHttpLimits.requestBytesMax + 1)
      await t.rejects(
        client.http.request(
          server.id,
          { method: 'POST', path: '/echo', body },
          { signal: signal() },
        ),
        { code: 'ERR_TOO_LARGE' },
      )
    })
  })
}

test('connections are kept', async (t) => {
  const { server, client } = await pair(t, 'https')
  for (let count = 0; count < 20; count += 1) {
    const answer = await client.http.request(
      server.id,
      { method: 'GET', path: '/object' },
      { signal: signal() },
    )
    await bytesOf(answer.body)
  }
  t.equal(await metricOf(client.registry, 'kairo_peer_http_connects_total'), 1)
  t.equal(await metricOf(server.registry, 'kairo_peer_http_connections'), 1)
})

test('where HTTPS does not reach, the stream does', async (t) => {
  const { server, client, endpoints } = await pair(t, 'https')
  const ask = () =>
    client.http.request(server.id, { method: 'GET', path: '/object' }, { signal: signal() })
  const good = server.endpoint
  endpoints.set(server.id, { ...good, addresses: ['127.0.0.1:1'] })
  t.ok((await bytesOf((await ask()).body)).equals(object))
  t.ok((await bytesOf((await ask()).body)).equals(object))
  t.equal(await metricOf(client.registry, 'kairo_peer_http_fallbacks_total'), 2)
  t.equal(
    await metricOf(client.registry, 'kairo_peer_http_connects_total'),
    1,
    'a refused address is not tried again and again',
  )
  endpoints.set(server.id, { ...good, addresses: ['127.0.0.1:1', ...good.addresses] })
  t.ok((await bytesOf((await ask()).body)).equals(object))
  t.equal(
    await asked(client, 'https', 'ok'),
    1,
    'new addresses are tried at once, one after the other',
  )
})

test('who answers is the peer that was meant', async (t) => {
  const seen: IncomingPeerRequest[] = []
  const { server, client, endpoints } = await pair(t, 'https', seen)
  const stranger = await startHttpPeer(t, { handlers: handlers(seen) })
  const ask = (path = '/object') =>
    client.http.request(server.id, { method: 'GET', path }, { signal: signal() })
  // A man in the middle with a certificate that is valid, of another peer.
  endpoints.set(server.id, { addresses: stranger.endpoint.addresses, certificateDigest: '' })
  t.ok((await bytesOf((await ask()).body)).equals(object), 'the stream reaches the true one')
  t.equal(seen.length, 1)
  t.equal(await metricOf(client.registry, 'kairo_peer_http_rejected_total'), 1)
  // The true peer with another certificate than it told of.
  endpoints.set(server.id, { ...server.endpoint, certificateDigest: 'ab'.repeat(32) })
  await bytesOf((await ask()).body)
  t.equal(await asked(client, 'https', 'ok'), 0)
  t.equal(await asked(client, 'https', 'ERR_VERIFICATION'), 2)
  // Where there is no other way the error says what happened.
  endpoints.set(server.id, { addresses: stranger.endpoint.addresses, certificateDigest: '' })
  await server.http.stop()
  await server.host.stop()
  await t.rejects(ask(), { code: 'ERR_VERIFICATION' })
  t.equal(seen.length, 2, 'the stranger was told nothing')
  endpoints.delete(server.id)
  await t.rejects(ask(), { code: 'ERR_NO_PROVIDER' })
})

test('a peer that comes back has a new certificate', async (t) => {
  const { server, client } = await pair(t, 'https')
  const again = await startHttpPeer(t)
  t.not(again.http.certificateDigest, server.http.certificateDigest)
  t.match(server.http.certificateDigest, /^[0-9a-f]{64}$/)
  await server.http.stop()
  t.equal(server.http.certificateDigest, '', 'a stopped one tells of none')
  const answer = await client.http.request(
    server.id,
    { method: 'GET', path: '/object' },
    { signal: signal() },
  )
  t.match(answer, { status: 503, headers: { 'kairo-code': 'ERR_STOPPED' } })
})

test('the handler hears that its asker is gone', async (t) => {
  for (const via of ['https', 'stream'] as const) {
    let gone = 0
    let begun = 0
    const endpoints = new Map<string, PeerEndpoint>()
    const server = await startHttpPeer(t, {
      https: via === 'https',
      endpoints,
      handlers: {
        '/hangs': (_, signal) => {
          begun += 1
          return new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              gone += 1
              reject(signal.reason as Error)
            })
          })
        },
      },
    })
    const client = await startHttpPeer(t, { endpoints, join: [server] })
    const given = new AbortController()
    const request = client.http.request(
      server.id,
      { method: 'GET', path: '/hangs' },
      { signal: given.signal },
    )
    request.catch(() => {})
    await until(() => begun === 1, 'the handler runs')
    given.abort()
    await t.rejects(request, { code: 'ERR_TIMEOUT' })
    await until(() => gone === 1, 'the handler hears of it')
  }
})
