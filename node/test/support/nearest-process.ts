/**
 * A peer of the catalog as a process of its own: host, catalog and nothing else. Prints its id and addresses, drains on a line
 * `drain`, and stops when its standard input ends. Arguments: its client URL, then addresses to dial.
 */
import { createInterface } from 'node:readline'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { systemClock } from '../../src/clock.ts'
import { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { peerSigner } from '../../src/host/peer-signature.ts'
import { silentLogger } from '../../src/logger.ts'
import { PeerCatalogService } from '../../src/nearest/peer-catalog.ts'

const [url = '', ...join] = process.argv.slice(2)
const privateKey = await generateKeyPair('Ed25519')
const components = { clock: systemClock, logger: silentLogger, registry: new Registry() }
const host = new Libp2pHost(components, {
  ...{ privateKey, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false },
})
await host.start()
const catalog = new PeerCatalogService({
  ...components,
  ...{ host, transport: host, peers: host, gossip: host.gossip, random: Math.random },
  signer: peerSigner(privateKey),
  load: {
    reading: () => ({ load: 0, freeBitsPerSecond: 1_000_000_000, busiest: 'uplink' }),
    onClassChange: () => () => {},
  },
  describe: () => ({
    ...{ clientUrls: [url], httpsAddresses: [], certificateDigest: '', region: '' },
    ...{ latitude: 52.52, longitude: 13.4 },
  }),
})
await catalog.start()
if (join.length > 0) await host.dial(join, { signal: AbortSignal.timeout(30_000) })
process.stdout.write(`${JSON.stringify({ peerId: host.peerId, multiaddrs: host.multiaddrs() })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'drain') await catalog.drain()
}
await catalog.stop()
await host.stop()
