/** A peer with the objects of the `mesh-fetch` bench in RAM, in a process of its own; prints where it is. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../node/src/clock.ts'
import { digestOf } from '../../node/src/content/digest.ts'
import { FetchServer } from '../../node/src/content/fetch/fetch-server.ts'
import { ContentStore } from '../../node/src/content/store/store.ts'
import { loadIdentity } from '../../node/src/host/identity.ts'
import { Libp2pHost } from '../../node/src/host/libp2p-host.ts'
import { PeerHttps } from '../../node/src/host/peer-https/peer-https.ts'
import { silentLogger } from '../../node/src/logger.ts'
import { createRegistry } from '../../node/src/metrics/registry.ts'
import { meshObjects } from './mesh-objects.ts'

const base = { clock: systemClock, logger: silentLogger, registry: createRegistry() }
const home = await mkdtemp(join(tmpdir(), 'kairo-bench-mesh-'))
const { privateKey } = await loadIdentity(home, silentLogger)
await rm(home, { recursive: true })
const host = new Libp2pHost(base, { privateKey, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false })
const store = new ContentStore(base, { memoryBytesMax: 256 * 1024 * 1024, diskBytesMax: 0 })
const http = new PeerHttps(
  { ...base, transport: host, endpointsOf: () => undefined },
  { privateKey, listen: { host: '127.0.0.1', port: 0 } },
)
new FetchServer({ ...base, http, store }).start()
await host.start()
await http.start()
const digests: Record<string, string> = {}
for (const [name, bytes] of meshObjects()) {
  const digest = digestOf(bytes)
  store.put(digest, bytes)
  digests[name] = digest
}
const { peerId } = host
const { port, certificateDigest } = http
console.log(JSON.stringify({ peerId, port, certificateDigest, digests }))
