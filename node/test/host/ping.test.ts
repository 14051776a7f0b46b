// Pings of the connection monitor and of the DHT meet on one connection; neither may make the other fail.
import { generateKeyPair } from '@libp2p/crypto/keys'
import { type Test, test } from 'tap'
import { createNode } from '../../src/host/libp2p-node.ts'
import { silentLogger } from '../../src/logger.ts'

async function startNode(t: Test) {
  const node = await createNode(
    {
      privateKey: await generateKeyPair('Ed25519'),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
    },
    { logger: silentLogger, datastore: undefined, onLocalPeer: () => {} },
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
