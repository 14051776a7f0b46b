/** Three peers as processes over real libp2p: one drains, one is killed, and DNS answers change at once. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { DnsServer } from '../../src/dns/dns-server.ts'
import { peerSigner } from '../../src/host/peer-signature.ts'
import { silentLogger } from '../../src/logger.ts'
import { NearestPeers } from '../../src/nearest/nearest-peers.ts'
import { PeerCatalogService } from '../../src/nearest/peer-catalog.ts'
import { askUdp, dnsQuery, dnsReply } from '../support/dns-client.ts'
import { startHost } from '../support/hosts.ts'
import { until } from '../support/until.ts'

const program = fileURLToPath(new URL('../support/nearest-process.ts', import.meta.url))

/** Where all of them and the client are, so that round trips on a busy machine do not matter. */
const place = { latitude: 52.52, longitude: 13.4 }

async function startPeer(t: Test, url: string, join: readonly string[]) {
  // Without tap's loaders: the process is to end by itself, and tap's would be in the way.
  const child: ChildProcess = spawn(process.execPath, [program, url, ...join], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const [line] = (await once(lines, 'line')) as [string]
  return { child, ...(JSON.parse(line) as { peerId: string; multiaddrs: string[] }) }
}

/** The peer that answers DNS, in this process. */
async function startServer(t: Test) {
  const privateKey = await generateKeyPair('Ed25519')
  const host = await startHost(t, { privateKey })
  const registry = new Registry()
  const components = { clock: systemClock, logger: silentLogger, registry }
  const own = { clientUrls: ['http://192.0.2.1:80'] }
  const catalog = new PeerCatalogService({
    ...components,
    ...{ host, transport: host, peers: host, gossip: host.gossip, random: Math.random },
    signer: peerSigner(privateKey),
    load: {
      reading: () => ({ load: 0, freeBitsPerSecond: 1_000_000_000, busiest: 'uplink' }),
      onClassChange: () => () => {},
    },
    describe: () => ({
      ...{ ...own, httpsAddresses: [], certificateDigest: '', region: '' },
      ...place,
    }),
  })
  await catalog.start()
  const nearest = new NearestPeers({ ...components, catalog, geo: { locate: () => place } })
  nearest.start()
  const dns = new DnsServer(
    { ...components, nearest, ownUrls: () => own.clientUrls },
    { host: '127.0.0.1', port: 0, zone: 'cdn.example' },
  )
  await dns.start()
  t.teardown(async () => {
    await dns.stop()
    nearest.stop()
    await catalog.stop()
  })
  const { port } = dns.address()
  const answers = async (): Promise<string> => {
    const reply = dnsReply(await askUdp(port, dnsQuery({ name: 'show.cdn.example' })))
    return reply.addresses.toSorted().join(' ')
  }
  return { host, catalog, answers }
}

test('a peer that drains and one that is killed leave the answers', {
  timeout: 120_000,
}, async (t) => {
  const { host, catalog, answers } = await startServer(t)
  const join = host.multiaddrs()
  const [second, third] = await Promise.all([
    startPeer(t, 'http://192.0.2.2:80', join),
    startPeer(t, 'http://192.0.2.3:80', join),
  ])
  await until(
    async () => (await answers()) === '192.0.2.1 192.0.2.2 192.0.2.3',
    'all three peers in the answers',
  )
  second.child.stdin?.write('drain\n')
  await until(async () => (await answers()) === '192.0.2.1 192.0.2.3', 'the draining peer gone')
  t.equal(catalog.get(second.peerId)?.state, 'draining')
  third.child.kill('SIGKILL')
  await until(async () => (await answers()) === '192.0.2.1', 'the killed peer gone')
  t.equal(catalog.get(third.peerId)?.reachable, false, 'found out while its advert still lives')
  second.child.stdin?.end()
  await once(second.child, 'exit')
})
