/**
 * The join loop with real hosts and a real HTTP server.
 */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { type Test, t, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { Join, type JoinStatus } from '../../src/host/join.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { fetchPeerInfo } from '../../src/host/peer-info.ts'
import { silentLogger } from '../../src/logger.ts'
import { startHost } from '../support/hosts.ts'
import { until } from '../support/until.ts'

// Real hosts share the machine with whatever else runs there.
t.setTimeout(180_000)

function startJoin(t: Test, host: Libp2pHost, targets: string[]): Join {
  const join = new Join(
    {
      clock: systemClock,
      logger: silentLogger,
      registry: new Registry(),
      host,
      random: () => 0,
    },
    { targets },
  )
  t.teardown(() => join.stop())
  join.start()
  return join
}

async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('joins by multiaddr with and without id, and by URL', async (t) => {
  const target = await startHost(t)
  const [address = ''] = target.multiaddrs()
  const url = await serve(t, (request, response) => {
    t.equal(request.url, '/base/api/peer')
    response.end(JSON.stringify({ peerId: target.peerId, multiaddrs: target.multiaddrs() }))
  })
  for (const entry of [address, address.replace(/\/p2p\/.*/, ''), `${url}/base`]) {
    const host = await startHost(t)
    const join = startJoin(t, host, [entry, entry])
    const [status] = (await once(join.events, 'join:connected')) as [JoinStatus]
    t.match(status, { target: entry, state: 'connected', peerId: target.peerId, failures: 0 })
    t.equal(join.status().length, 1, 'the same target twice counts once')
    t.same(host.peers(), [target.peerId])
  }
})

test('a target that is down is tried until it comes, and again after it restarts', async (t) => {
  const privateKey = await generateKeyPair('Ed25519')
  const first = await startHost(t, { privateKey })
  const [address = ''] = first.multiaddrs()
  const listen = [address.replace(/\/p2p\/.*/, '')]
  await first.stop()
  const host = await startHost(t)
  const join = startJoin(t, host, [address])
  const [failed] = (await once(join.events, 'join:failed')) as [JoinStatus]
  t.match(failed, { state: 'waiting', failures: 1, lastError: { code: 'ERR_NO_PROVIDER' } })
  const second = await startHost(t, { privateKey, listen })
  await until(() => join.status()[0]?.state === 'connected', 'the first connection')
  await second.stop()
  await until(() => join.status()[0]?.state !== 'connected', 'the loss')
  const third = await startHost(t, { privateKey, listen })
  await until(() => join.status()[0]?.state === 'connected', 'the connection after the restart')
  t.equal(join.status()[0]?.lastError, undefined)
  await until(() => third.peers().includes(host.peerId), 'the other side of it')
})

test('remembered peers are dialled when there is no target', async (t) => {
  const datastorePath = t.testdir()
  const other = await startHost(t)
  const before = await startHost(t, { datastorePath, join: [other] })
  await until(async () => other.peers().includes(before.peerId), 'the connection')
  await before.stop()
  const privateKey = await generateKeyPair('Ed25519')
  const after = await startHost(t, { datastorePath, privateKey })
  startJoin(t, after, [])
  await until(() => after.peers().includes(other.peerId), 'the redial')
})

test('this peer itself is no target', async (t) => {
  const host = await startHost(t)
  const join = startJoin(t, host, host.multiaddrs())
  await until(() => join.status()[0]?.state === 'self', 'the recognition')
})

test('what is no target is refused', async (t) => {
  const host = await startHost(t)
  for (const targets of [
    ['example.org'],
    ['ftp://x'],
    Array.from({ length: 65 }, (_, i) => `http://${i}`),
  ]) {
    t.throws(() => startJoin(t, host, targets), { code: 'ERR_CONFIG' })
  }
})

test('answers of the peer route are judged', async (t) => {
  const peerId = '12D3KooWLxFaUbhMrtHhjXCsmqGHch9ZLdTFRNHXJiwF3xCWpUap'
  const bodies: Record<string, [number, string]> = {
    '/good/api/peer': [200, JSON.stringify({ peerId, multiaddrs: ['/ip4/127.0.0.1/tcp/1'] })],
    '/missing/api/peer': [404, ''],
    '/junk/api/peer': [200, '<html>'],
    '/empty/api/peer': [200, JSON.stringify({ peerId, multiaddrs: [] })],
    '/long/api/peer': [200, `"${'x'.repeat(70_000)}"`],
  }
  const url = await serve(t, (request, response) => {
    const [status, body] = bodies[request.url ?? ''] ?? [undefined, '']
    // Any other path is never answered.
    if (status !== undefined) response.writeHead(status).end(body)
  })
  const signal = new AbortController().signal
  t.same(await fetchPeerInfo(`${url}/good/`, { signal }), {
    peerId,
    multiaddrs: [`/ip4/127.0.0.1/tcp/1/p2p/${peerId}`],
  })
  const fails = (path: string, code: string, given = signal) =>
    t.rejects(fetchPeerInfo(`${url}/${path}`, { signal: given }), { code })
  await fails('missing', 'ERR_NO_PROVIDER')
  await fails('junk', 'ERR_PROTOCOL')
  await fails('empty', 'ERR_PROTOCOL')
  await fails('long', 'ERR_LIMIT')
  await fails('silent', 'ERR_TIMEOUT', AbortSignal.timeout(50))
  await t.rejects(fetchPeerInfo('http://127.0.0.1:1', { signal }), { code: 'ERR_NO_PROVIDER' })
  await t.rejects(fetchPeerInfo('https://127.0.0.1:1', { signal }), { code: 'ERR_NO_PROVIDER' })
})
