// Pings of the connection monitor and of the DHT meet on one connection; neither may make the other fail.
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createNode } from '../../src/host/libp2p-node.ts'
import { Reach } from '../../src/host/reach/reach.ts'
import { ReachMetrics } from '../../src/host/reach/reach-metrics.ts'
import { reachUnknown } from '../../src/host/reach/reach-status.ts'
import { silentLogger } from '../../src/logger.ts'

function newReach(): Reach {
  const logger = silentLogger
  const metrics = new ReachMetrics(new Registry(), () => reachUnknown)
  return new Reach(
    { clock: systemClock, logger, metrics, random: Math.random, protocolsOf: () => [] },
    { isAnnounced: false, isListening: true, relay: false },
  )
}

async function startNode(t: Test) {
  const node = await createNode(
    {
      privateKey: await generateKeyPair('Ed25519'),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
    },
    { logger: silentLogger, datastore: undefined, onLocalPeer: () => {}, reach: newReach() },
  )
  await node.start()
  t.teardown(() => node.stop())
  return node
}

test('many pings at once on one connection all succeed', { timeout: 60_000 }, async (t) => {
  const [a, b] = await Promise.all([startNode(t), startNode(t)])
  await a.dial(b.getMultiaddrs())
  const pings = Array.from({ length: 6 }, () => a.services.ping.ping(b.peerId))
  const results = await Promise.allSettled(pings)
  t.same(
    results.map(({ status }) => status),
    Array(6).fill('fulfilled'),
  )
  t.equal(a.getConnections().length >= 1, true)
})
