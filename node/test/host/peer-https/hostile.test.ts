/** Strangers and slow or hostile peers at the HTTPS server and on streams, and servers that are not what they say. */
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import type { PeerHttpHandler } from '../../../src/host/peer-http.ts'
import {
  createCertificate,
  type PeerCertificate,
} from '../../../src/host/peer-https/certificate.ts'
import { encodeHttpFrame } from '../../../src/host/peer-https/http-frames.ts'
import { PeerHttps } from '../../../src/host/peer-https/peer-https.ts'
import type { PeerEndpoint } from '../../../src/host/peer-https/unreachable-peers.ts'
import { HTTP_PROTOCOL } from '../../../src/host/protocols.ts'
import { peerHttpLimits } from '../../../src/limits/peer-http.ts'
import { silentLogger } from '../../../src/logger.ts'
import { never } from '../../support/content-peer.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { MemoryNet } from '../../support/memory-transport.ts'
import { bytesOf, startHttpPeer } from '../../support/peer-http-pair.ts'
import { metricOf } from '../../support/registry-value.ts'
import { until } from '../../support/until.ts'

const big = randomBytes(8_000_000)

async function certificate(): Promise<PeerCertificate> {
  return await createCertificate(await generateKeyPair('Ed25519'))
}

interface RawAnswer {
  readonly status: number
  readonly code: string | undefined
  readonly bytes: Buffer
}

/** One request as a program that is no Kairo makes it. */
async function rawRequest(
  port: number,
  options: RequestOptions,
  body?: Buffer,
): Promise<RawAnswer> {
  const message = httpsRequest({
    host: '127.0.0.1',
    port,
    path: '/big',
    rejectUnauthorized: false,
    agent: false,
    ...options,
  })
  const answered = once(message, 'response')
  message.end(body)
  const [answer] = await answered
  const bytes = await bytesOf(answer)
  return { status: answer.statusCode, code: answer.headers['kairo-code'], bytes }
}

async function server(t: Test, more: Record<string, PeerHttpHandler> = {}) {
  let calls = 0
  const peer = await startHttpPeer(t, {
    handlers: {
      '/big': async () => {
        calls += 1
        return { status: 200, body: [big] }
      },
      ...more,
    },
  })
  const port = peer.http.port ?? 0
  const rejected = () =>
    metricOf(peer.registry, 'kairo_peer_http_rejected_total', { side: 'server' })
  return { peer, port, rejected, calls: () => calls }
}

test('strangers', async (t) => {
  const { port, calls, rejected } = await server(t)
  t.match(await rawRequest(port, {}), { status: 401, code: 'ERR_UNAUTHORIZED' }, 'no certificate')
  const { certificate: cert, key } = await certificate()
  t.match(await rawRequest(port, { cert, key }), { status: 200 }, 'any peer is a peer')
  const foreign = await plainCertificate()
  t.match(
    await rawRequest(port, { cert: foreign.certificate, key: foreign.key }),
    { status: 401, code: 'ERR_UNAUTHORIZED' },
    'a certificate that no peer vouches for',
  )
  t.equal(calls(), 1)
  t.equal(await rejected(), 2)
  await t.rejects(rawRequest(port, { cert, key, maxVersion: 'TLSv1.2' }), 'TLS 1.3 only')
  const plain = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, cert, key })
  await once(plain, 'secureConnect')
  t.equal(plain.getProtocol(), 'TLSv1.3')
  t.equal(plain.getCipher().standardName, 'TLS_AES_128_GCM_SHA256')
  plain.destroy()
})

test('malformed and oversize requests', async (t) => {
  const { port, calls, peer } = await server(t)
  const { certificate: cert, key } = await certificate()
  const own = { cert, key }
  const long = 'x'.repeat(peerHttpLimits.headBytesMax)
  t.match(await rawRequest(port, { ...own, headers: { long } }), { status: 431 })
  t.match(await rawRequest(port, { ...own, path: `/big?${long}` }), { status: 431 })
  t.match(await rawRequest(port, { ...own, method: 'DELETE' }), { status: 400 })
  const fields = Object.fromEntries(
    Array.from({ length: peerHttpLimits.fieldsMax + 1 }, (_, index) => [`f${index}`, '']),
  )
  t.match(await rawRequest(port, { ...own, headers: fields }), { status: 429 })
  const length = String(peerHttpLimits.requestBytesMax + 1)
  t.match(
    await rawRequest(port, { ...own, method: 'POST', headers: { 'content-length': length } }),
    { status: 413 },
    'refused by its length alone',
  )
  t.equal(calls(), 0)
  t.match(await rawRequest(port, own), { status: 200 }, 'the server goes on')
  const connections = () => metricOf(peer.registry, 'kairo_peer_http_connections')
  await until(async () => (await connections()) === 0, 'every connection is closed')
})

test('one peer has so many connections and no more', async (t) => {
  const { port, peer } = await server(t)
  const { certificate: cert, key } = await certificate()
  const sockets: TLSSocket[] = []
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let count = 0; count < peerHttpLimits.connectionsPerPeerMax + 6; count += 1) {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, cert, key })
    socket.on('error', () => {})
    sockets.push(socket)
    await once(socket, 'secureConnect')
  }
  const limited = () =>
    metricOf(peer.registry, 'kairo_peer_http_limits_total', { limit: 'peer_connections' })
  await until(async () => (await limited()) === 6, 'the last ones are closed')
  const other = await certificate()
  t.match(await rawRequest(port, { cert: other.certificate, key: other.key }), { status: 200 })
})

test('a server that does not behave', async (t) => {
  const identity = await generateKeyPair('Ed25519')
  const own = await createCertificate(identity)
  let answer: Buffer[] = []
  const hostile = createServer(
    { cert: own.certificate, key: own.key, ALPNProtocols: ['http/1.1'] },
    (socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        for (const piece of answer) socket.write(piece)
        socket.end()
      })
    },
  )
  hostile.listen(0, '127.0.0.1')
  await once(hostile, 'listening')
  t.teardown(() => hostile.close())
  const address = hostile.address()
  assert(address !== null && typeof address === 'object')
  const endpoints = new Map<string, PeerEndpoint>()
  const client = await startHttpPeer(t, { endpoints })
  const { peerIdFromPrivateKey } = await import('@libp2p/peer-id')
  const id = peerIdFromPrivateKey(identity).toString()
  endpoints.set(id, { addresses: [`127.0.0.1:${address.port}`], certificateDigest: own.digest })
  const ask = () =>
    client.http.request(
      id,
      { method: 'GET', path: '/big' },
      { signal: AbortSignal.timeout(60_000) },
    )
  const says = (...texts: string[]): void => {
    answer = texts.map((text) => Buffer.from(text))
  }
  says('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello')
  t.equal(String(await bytesOf((await ask()).body)), 'hello', 'whole, though the connection closes')
  const whole = 'x'.repeat(peerHttpLimits.readQueueBytesMax + 50_000)
  says(`HTTP/1.1 200 OK\r\ncontent-length: ${whole.length}\r\n\r\n${whole}`)
  const late = await ask()
  const connections = promisify(hostile.getConnections.bind(hostile))
  await until(async () => (await connections()) === 0, 'the server closed behind its answer')
  t.equal((await bytesOf(late.body)).byteLength, whole.length, 'a late reader gets all of it')
  says('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello')
  await t.rejects(bytesOf((await ask()).body), { code: 'ERR_NO_PROVIDER' }, 'broken off')
  says('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n')
  await t.rejects(bytesOf((await ask()).body), { code: 'ERR_NO_PROVIDER' }, 'no last chunk')
  for (const text of [
    '',
    'nonsense\r\n\r\n',
    `HTTP/1.1 200 OK\r\nlong: ${'x'.repeat(peerHttpLimits.headBytesMax)}\r\n\r\n`,
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
  ]) {
    says(text)
    await t.rejects(ask(), { code: 'ERR_NO_PROVIDER' }, text.slice(0, 40))
  }
  const many = Array.from({ length: 200 }, (_, index) => `f${index}: x\r\n`).join('')
  says(`HTTP/1.1 200 OK\r\n${many}content-length: 0\r\n\r\n`)
  await t.rejects(ask(), { code: 'ERR_PROTOCOL' })
})

test('slow readers and silent peers are cut', async (t) => {
  const clock = new ManualClock()
  const net = new MemoryNet({ clock })
  const registry = new Registry()
  const base = { clock, logger: silentLogger, registry, endpointsOf: () => undefined }
  const http = new PeerHttps({ ...base, transport: net.peer('a') }, {})
  http.handle('/big', async () => ({ status: 200, body: [big] }))
  await http.start()

  await t.test('one that does not read', async (t) => {
    const stream = await net.peer('x').open('a', HTTP_PROTOCOL, { signal: never })
    const value = { version: 1, method: 'GET', path: '/big', fields: [] }
    await stream.write(encodeHttpFrame({ case: 'request', value: value as never }, 0))
    await settle()
    t.equal(net.openStreams, 2)
    await clock.pass(peerHttpLimits.stallMsMax + peerHttpLimits.stopGraceMs)
    t.equal(net.openStreams, 0)
    t.equal(clock.timers, 0)
  })

  await t.test('one that asks nothing', async (t) => {
    await net.peer('x').open('a', HTTP_PROTOCOL, { signal: never })
    await clock.pass(peerHttpLimits.requestHeadMsMax)
    t.equal(net.openStreams, 0)
    t.equal(clock.timers, 0)
  })

  await t.test('one that stops in the middle of a body', async (t) => {
    const asker = new PeerHttps({ ...base, registry: new Registry(), transport: net.peer('b') }, {})
    await net.peer('s').handle(HTTP_PROTOCOL, async (stream) => {
      const value = { status: 200, fields: [] }
      await stream.write(encodeHttpFrame({ case: 'response', value: value as never }, 0))
      await new Promise(() => {})
    })
    const answer = await asker.request('s', { method: 'GET', path: '/' }, { signal: never })
    const body = bytesOf(answer.body)
    body.catch(() => {})
    await settle()
    await clock.pass(peerHttpLimits.stallMsMax)
    await t.rejects(body, { code: 'ERR_TIMEOUT' })
    t.equal(clock.timers, 0)
  })

  await t.test('a body of another length than it says', async (t) => {
    const asker = new PeerHttps({ ...base, registry: new Registry(), transport: net.peer('c') }, {})
    for (const length of ['4', '6']) {
      await net.peer('s').handle(HTTP_PROTOCOL, async (stream) => {
        const head = { status: 200, fields: [{ name: 'content-length', value: length }] }
        await stream.write(encodeHttpFrame({ case: 'response', value: head as never }, 0))
        const chunk = encodeHttpFrame({ case: 'chunk', value: {} as never }, 5)
        await stream.write(Buffer.concat([chunk, Buffer.from('hello')]))
        await stream.write(encodeHttpFrame({ case: 'end', value: {} as never }, 0))
        await stream.close()
      })
      const answer = await asker.request('s', { method: 'GET', path: '/' }, { signal: never })
      await t.rejects(bytesOf(answer.body), { code: 'ERR_NO_PROVIDER' })
    }
  })

  await t.test('a stopped peer says so', async (t) => {
    await http.stop()
    const asker = new PeerHttps({ ...base, registry: new Registry(), transport: net.peer('d') }, {})
    const answer = await asker.request('a', { method: 'GET', path: '/big' }, { signal: never })
    t.match(answer, { status: 503, headers: { 'kairo-code': 'ERR_STOPPED' } })
    await asker.stop()
    await t.rejects(asker.request('a', { method: 'GET', path: '/big' }, { signal: never }), {
      code: 'ERR_STOPPED',
    })
  })
})

/** A self-signed certificate without a peer's signature. */
async function plainCertificate(): Promise<{ certificate: string; key: string }> {
  const x509 = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const made = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=stranger',
      notBefore: new Date(Date.now() - 1_000),
      notAfter: new Date(Date.now() + 86_400_000),
      signingAlgorithm: algorithm,
      keys,
    },
    crypto,
  )
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`
  return { certificate: made.toString('pem'), key }
}
