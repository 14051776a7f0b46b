/**
 * The libp2p host with real nodes: addresses, streams under load, ends of every kind, DHT and gossip.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { isKairoError } from '../../src/errors.ts'
import { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { KAD_PROTOCOL } from '../../src/host/protocols.ts'
import type { PeerStream } from '../../src/host/transport.ts'
import { silentLogger } from '../../src/logger.ts'
import { startHost, until } from '../support/hosts.ts'

const ECHO = '/kairo-test/echo/1.0.0'

function signal(): AbortSignal {
  return AbortSignal.timeout(20_000)
}

async function collect(stream: PeerStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream.incoming) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('addresses carry the peer id, over TCP and WebSocket', async (t) => {
  const host = await startHost(t, { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'] })
  const addresses = host.multiaddrs()
  t.equal(addresses.length, 2)
  for (const address of addresses) t.ok(address.endsWith(`/p2p/${host.peerId}`), address)
  const other = await startHost(t)
  const webSocket = addresses.filter((address) => address.includes('/ws'))
  t.equal(await other.dial(webSocket, { signal: signal() }), host.peerId)
  t.same(other.peers(), [host.peerId])
  t.match(other.connections(), [{ peerId: host.peerId, direction: 'outbound' }])
  await until(() => other.observedAddresses().length > 0, 'observed address')
})

test('a port that is taken is named', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const taken = `/ip4/127.0.0.1/tcp/${port}`
  const error = await startHost(t, { listen: ['/ip4/127.0.0.1/tcp/0', taken] }).catch((e) => e)
  t.ok(isKairoError(error, 'ERR_ADDRESS_IN_USE'), String(error))
  t.match(error.message, taken)
  t.notMatch(error.message, '/tcp/0')
  const wrong = await startHost(t, { listen: ['/ip4/127.0.0.1/udp/1'] }).catch((e) => e)
  t.ok(isKairoError(wrong, 'ERR_CONFIG'), String(wrong))
  const junk = await startHost(t, { listen: ['nonsense'] }).catch((e) => e)
  t.ok(isKairoError(junk, 'ERR_CONFIG'), String(junk))
})

test('streams', async (t) => {
  const server = await startHost(t)
  const client = await startHost(t, { join: [server] })

  await t.test('each half closes on its own', async (t) => {
    let seen: string | undefined
    await server.handle(ECHO, async (stream) => {
      seen = stream.remotePeer
      // Answers only after the other half is closed.
      await stream.write(await collect(stream))
    })
    const stream = await client.open(server.peerId, ECHO, { signal: signal() })
    await stream.write(Buffer.from('hello '))
    await stream.write(Buffer.from('world'))
    await stream.close()
    t.equal((await collect(stream)).toString(), 'hello world')
    t.equal(seen, client.peerId)
    await t.rejects(stream.write(Buffer.from('more')), { code: 'ERR_NO_PROVIDER' })
  })

  await t.test('64 MiB arrive whole, and a reader that waits holds the writer back', async (t) => {
    const total = 64 * 1024 * 1024
    const block = randomBytes(1024 * 1024)
    let written = 0
    const sent = createHash('sha256')
    await server.handle('/kairo-test/source/1.0.0', async (stream) => {
      for (; written < total; written += block.byteLength) {
        sent.update(block)
        await stream.write(block)
      }
    })
    const stream = await client.open(server.peerId, '/kairo-test/source/1.0.0', {
      signal: signal(),
    })
    const reader = stream.incoming[Symbol.asyncIterator]()
    const received = createHash('sha256')
    let bytes = 0
    const first = await reader.next()
    if (!first.done) {
      received.update(first.value)
      bytes += first.value.byteLength
    }
    // Nobody reads: the writer must come to rest far below the whole.
    let before = -1
    await until(async () => {
      const steady = before === written
      before = written
      await new Promise((resolve) => setTimeout(resolve, 100))
      return steady
    }, 'the writer to rest')
    t.ok(written < 24 * 1024 * 1024, `${written} bytes written to a reader that waits`)
    for await (const chunk of stream.incoming) {
      received.update(chunk)
      bytes += chunk.byteLength
    }
    t.equal(bytes, total)
    t.equal(received.digest('hex'), sent.digest('hex'))
    await stream.close()
  })

  await t.test('parallel writes stay whole', async (t) => {
    const stream = await client.open(server.peerId, ECHO, { signal: signal() })
    const blocks = [1, 2, 3].map((value) => Buffer.alloc(900_000, value))
    await Promise.all(blocks.map((block) => stream.write(block)))
    await stream.close()
    t.ok((await collect(stream)).equals(Buffer.concat(blocks)))
  })

  await t.test('an abort breaks both ends', async (t) => {
    const { promise: ended, resolve } = Promise.withResolvers<Buffer>()
    await server.handle('/kairo-test/hold/1.0.0', async (stream) => {
      const all = collect(stream)
      resolve(all)
      await stream.write(Buffer.from('ready'))
      await all
    })
    const stream = await client.open(server.peerId, '/kairo-test/hold/1.0.0', { signal: signal() })
    const reader = stream.incoming[Symbol.asyncIterator]()
    t.equal(Buffer.from((await reader.next()).value).toString(), 'ready')
    stream.abort(new Error('enough'))
    await t.rejects(reader.next(), /enough/)
    await t.rejects(stream.write(Buffer.from('x')), /enough/)
    await t.rejects(ended, { code: 'ERR_NO_PROVIDER' })
  })

  await t.test('a handler that fails aborts its stream', async (t) => {
    await server.handle('/kairo-test/fail/1.0.0', async () => {
      throw new Error('no')
    })
    const stream = await client.open(server.peerId, '/kairo-test/fail/1.0.0', { signal: signal() })
    await t.rejects(collect(stream), { code: 'ERR_NO_PROVIDER' })
  })

  await t.test('what cannot be opened says so', async (t) => {
    const open = (peerId: string, options = { signal: signal() }) =>
      client.open(peerId, '/kairo-test/none/1.0.0', options)
    await t.rejects(open(server.peerId), { code: 'ERR_NO_PROVIDER' })
    await t.rejects(open(client.peerId), { code: 'ERR_NO_PROVIDER' })
    await t.rejects(open('not a peer id'), { code: 'ERR_NO_PROVIDER' })
    await t.rejects(open(server.peerId, { signal: AbortSignal.abort() }), { code: 'ERR_TIMEOUT' })
    await t.rejects(client.dial(['/ip4/127.0.0.1/tcp/1'], { signal: signal() }), {
      code: 'ERR_NO_PROVIDER',
    })
    await t.rejects(client.dial(['junk'], { signal: signal() }), { code: 'ERR_INVALID_INPUT' })
  })
})

test('a peer that dies breaks its streams rather than ending them', async (t) => {
  const server = await startHost(t)
  const client = await startHost(t, { join: [server] })
  await server.handle(ECHO, async (stream) => {
    await stream.write(Buffer.from('begin'))
    await collect(stream)
  })
  const stream = await client.open(server.peerId, ECHO, { signal: signal() })
  const reader = stream.incoming[Symbol.asyncIterator]()
  await reader.next()
  await server.stop()
  await t.rejects(reader.next(), { code: 'ERR_NO_PROVIDER' })
  await t.rejects(server.open(client.peerId, ECHO, { signal: signal() }), { code: 'ERR_STOPPED' })
  t.same(server.multiaddrs(), [])
  await server.stop()
})

test('peers that know only one address find each other and what they provide', async (t) => {
  const bootstrap = await startHost(t)
  const hosts = [bootstrap]
  for (let index = 0; index < 5; index++) hosts.push(await startHost(t, { join: [bootstrap] }))
  const [provider, seeker] = [hosts[1], hosts[5]]
  if (provider === undefined || seeker === undefined) throw new Error('not reached')
  const cid = CID.createV1(raw.code, await sha256.digest(randomBytes(32)))
  await until(
    async () => (await provider.routing.provide(cid, { signal: signal() })) > 0,
    'a provide that reaches a peer',
  )
  const found: string[] = []
  for await (const id of seeker.routing.findProviders(cid, { signal: signal() })) found.push(id)
  t.same(found, [provider.peerId])
  await provider.handle(ECHO, async (stream) => stream.write(await collect(stream)))
  const stream = await seeker.open(provider.peerId, ECHO, { signal: signal() })
  await stream.write(Buffer.from('found'))
  await stream.close()
  t.equal((await collect(stream)).toString(), 'found')
  await provider.routing.cancel(cid)
})

test('gossip reaches a dozen peers behind one address', async (t) => {
  const bootstrap = await startHost(t)
  const others: Libp2pHost[] = []
  for (let index = 0; index < 11; index++) others.push(await startHost(t, { join: [bootstrap] }))
  const heard = new Map<string, string[]>()
  for (const host of [bootstrap, ...others]) {
    const messages: string[] = []
    heard.set(host.peerId, messages)
    host.gossip.subscribe('test', (data) => {
      const text = Buffer.from(data).toString()
      messages.push(text)
      if (text === 'throw') throw new Error('a handler that fails')
      return text === 'bad' ? 'ignore' : 'accept'
    })
  }
  const [publisher] = others
  if (publisher === undefined) throw new Error('not reached')
  let round = 0
  await until(async () => {
    // The mesh forms with the heartbeat; until then a message may find nobody.
    await publisher.gossip.publish('test', Buffer.from(`hello ${round++}`))
    await new Promise((resolve) => setTimeout(resolve, 100))
    return [...heard].filter(([id]) => id !== publisher.peerId).every(([, m]) => m.length > 0)
  }, 'a message at every peer')
  t.same(heard.get(publisher.peerId), [], 'own messages are not heard')
  await publisher.gossip.publish('test', Buffer.from('throw'))
  await t.rejects(publisher.gossip.publish('test', Buffer.alloc(65 * 1024)), { code: 'ERR_LIMIT' })
  publisher.gossip.unsubscribe('test')
})

test('watch tells of each peer that speaks a protocol, once a connection', async (t) => {
  const server = await startHost(t)
  const early: string[] = []
  server.watch(KAD_PROTOCOL, (peerId) => early.push(peerId))
  server.watch('/kairo-test/nobody/1.0.0', () => t.fail('nobody speaks this'))
  server.watch(KAD_PROTOCOL, () => {
    throw new Error('a listener that fails')
  })
  const client = await startHost(t, { join: [server] })
  await until(() => early.length > 0, 'word of the new peer')
  const late: string[] = []
  const stop = server.watch(KAD_PROTOCOL, (peerId) => late.push(peerId))
  t.same(late, [client.peerId])
  stop()
  const third = await startHost(t, { join: [server] })
  await until(() => early.includes(third.peerId), 'word of the third')
  t.same(late, [client.peerId])
  t.same(early, [client.peerId, third.peerId])
})

test('what is remembered outlives the host', async (t) => {
  const datastorePath = t.testdir()
  const server = await startHost(t)
  const privateKey = await generateKeyPair('Ed25519')
  const first = await startHost(t, { privateKey, datastorePath, join: [server] })
  t.same(await first.rememberedPeers(8), [], 'connected peers need no redial')
  const locked = await startHost(t, { datastorePath }).catch((e) => e)
  t.ok(isKairoError(locked, 'ERR_ADDRESS_IN_USE'), String(locked))
  await first.stop()
  const second = await startHost(t, { privateKey, datastorePath })
  t.equal(second.peerId, first.peerId)
  const [remembered] = await second.rememberedPeers(8)
  t.equal(remembered?.peerId, server.peerId)
  t.ok((remembered?.addresses.length ?? 0) > 0)
})

test('a host may be stopped before it started, and metrics tell of its work', async (t) => {
  const registry = new Registry()
  const host = new Libp2pHost(
    { clock: systemClock, logger: silentLogger, registry },
    { privateKey: await generateKeyPair('Ed25519'), listen: [], mdns: false },
  )
  await host.stop()
  await t.rejects(host.open(host.peerId, ECHO, { signal: signal() }), { code: 'ERR_STOPPED' })
  const text = await registry.metrics()
  t.match(text, 'kairo_host_connections 0')
  t.match(text, 'kairo_host_outbound_total{kind="stream",outcome="ERR_STOPPED"} 1')
})
