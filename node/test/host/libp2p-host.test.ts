/**
 * The libp2p host with real nodes: addresses, listening, watching, memory.
 */
import { createServer } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { t, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { isKairoError } from '../../src/errors.ts'
import { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { KAD_PROTOCOL } from '../../src/host/protocols.ts'
import { silentLogger } from '../../src/logger.ts'
import { startHost } from '../support/hosts.ts'
import { until } from '../support/until.ts'

// Real hosts share the machine with whatever else runs there.
t.setTimeout(180_000)

const ECHO = '/kairo-test/echo/1.0.0'

function signal(): AbortSignal {
  return AbortSignal.timeout(60_000)
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

test('a memory of peers that is damaged is started anew; one that cannot be written is named', async (t) => {
  const folder = t.testdir({ peers: { CURRENT: 'damaged' }, file: '' })
  const host = await startHost(t, { datastorePath: `${folder}/peers` })
  t.same(await host.rememberedPeers(8), [])
  const error = await startHost(t, { datastorePath: `${folder}/file/x` }).catch((e) => e)
  t.ok(isKairoError(error, 'ERR_STORAGE'), String(error))
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
