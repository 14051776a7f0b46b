/**
 * Kairo's cache alone in a process: the rooms of `kairo cdn` that a request passes, without the network of peers. Arguments: the origin's
 * URL, a folder, bytes of RAM and of disk for bodies.
 */
import { CdnCache } from '../../node/src/cdn/cdn-cache.ts'
import { CdnService } from '../../node/src/cdn/cdn-service.ts'
import { HostRules } from '../../node/src/cdn/host-rules.ts'
import { createOrigin } from '../../node/src/cdn/origins/create-origin.ts'
import { OriginMetrics } from '../../node/src/cdn/origins/origin-metrics.ts'
import { systemClock } from '../../node/src/clock.ts'
import { ContentStore } from '../../node/src/content/store/store.ts'
import { HttpServer } from '../../node/src/http/server.ts'
import { silentLogger } from '../../node/src/logger.ts'
import { createRegistry } from '../../node/src/metrics/registry.ts'

const [origin = '', directory = '', memory = '', disk = ''] = process.argv.slice(2)
const peerId = 'bench'
const components = { clock: systemClock, logger: silentLogger, registry: createRegistry() }
const store = new ContentStore(components, {
  directory: `${directory}/content`,
  memoryBytesMax: Number(memory),
  diskBytesMax: Number(disk),
})
const cache = new CdnCache(components, { directory: `${directory}/cdn` })
const rules = new HostRules({ directory: `${directory}/cdn`, origin })
const metrics = new OriginMetrics(components.registry)
const service = new CdnService(
  {
    ...components,
    ...{ store, cache, rules },
    createOrigin: (config) =>
      createOrigin(config, { ...components, metrics, peerId, random: Math.random }),
  },
  { peerId, region: '', isShield: false },
)
await store.start()
await cache.start()
await rules.start()
service.start()
const http = new HttpServer(components, {
  host: '127.0.0.1',
  port: 0,
  plainHandlers: [service.plainHandler],
  rawHandler: service.rawHandler,
})
await http.start()
console.log(JSON.stringify({ port: http.address()?.port }))
