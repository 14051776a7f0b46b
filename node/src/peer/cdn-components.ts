/** The cache in front of origins, and the purges that empty it at every peer. */
import { join as joinPath } from 'node:path'
import { CdnCache } from '../cdn/cdn-cache.ts'
import { CdnService } from '../cdn/cdn-service.ts'
import { HostRules } from '../cdn/host-rules.ts'
import { createOrigin } from '../cdn/origins/create-origin.ts'
import { OriginMetrics } from '../cdn/origins/origin-metrics.ts'
import type { BelievedPeer } from '../cdn/proxy/shields.ts'
import { PurgeService } from '../cdn/purge/purge-service.ts'
import { DiskPurgeStorage } from '../cdn/purge/purge-storage.ts'
import { FillService } from '../content/fill/fill-service.ts'
import { loadUrl } from '../content/fill/load-url.ts'
import type { ContentStore } from '../content/store/store.ts'
import type { CoordinationService } from '../coordination/coordination-service.ts'
import { RegionLog } from '../coordination/region-log.ts'
import { RegionLogMetrics } from '../coordination/region-log-metrics.ts'
import { KairoError } from '../errors.ts'
import type { Identity } from '../host/identity.ts'
import type { PeerHttps } from '../host/peer-https/peer-https.ts'
import { peerSigner } from '../host/peer-signature.ts'
import { PURGE_PROTOCOL } from '../host/protocols.ts'
import type { Shelter } from '../http/shelter/shelter.ts'
import { purgeLimits } from '../limits/purge.ts'
import type { PeerCatalogService } from '../nearest/peer-catalog.ts'
import type { Base, ComponentsInit } from './base.ts'

/** What the cache stands on. */
export interface CdnParts {
  readonly identity: Identity
  readonly store: ContentStore
  readonly peerHttp: PeerHttps
  readonly catalog: PeerCatalogService
  readonly believedPeers: () => readonly BelievedPeer[]
  readonly shelter: Shelter
  readonly coordination: CoordinationService
}

/** Builds the cache and the purges. */
export function createCdn(
  base: Base,
  { identity, store, peerHttp, catalog, believedPeers, shelter, coordination }: CdnParts,
  { loaded: { settings }, home, ownHttp }: ComponentsInit,
) {
  const { clock, logger, registry, host, random } = base
  const cdnCache = new CdnCache(base, { directory: home.cdnDirectory })
  const hostRules = new HostRules({ directory: home.cdnDirectory, origin: settings.origin })
  const regionLog = new RegionLog(
    {
      ...{ clock, logger, peerId: host.peerId, coordination: coordination.coordination },
      metrics: new RegionLogMetrics(registry),
    },
    {
      keyspace: 'purges',
      valueBytesMax: purgeLimits.signedBytesMax,
      ageMsMax: purgeLimits.logAgeMsMax,
      memberTtlMs: purgeLimits.awayMsMax,
    },
  )
  const purges = new PurgeService(
    {
      ...{ clock, logger, registry, random },
      transport: host,
      peers: host,
      signer: peerSigner(identity.privateKey),
      purgeable: cdnCache,
      members: () => [
        ...new Set([
          // Others, as those of IPFS, have no cache of ours.
          ...host.peers(PURGE_PROTOCOL),
          ...catalog.list().flatMap(({ peerId, reachable }) => (reachable ? [peerId] : [])),
        ]),
      ],
      hasLeft: (peerId) => catalog.get(peerId)?.state === 'draining',
      regionLog,
    },
    {
      purgePeers: settings.purgePeers,
      storage: new DiskPurgeStorage(joinPath(home.cdnDirectory, 'purges')),
      // Those that an etcd keeps together need no other line to each other.
      expectsPeers: async () =>
        settings.join.length > 0 ||
        settings.coordinationUrl !== '' ||
        (await host.rememberedPeers(1)).length > 0,
    },
  )
  const metrics = new OriginMetrics(registry)
  const cdn = new CdnService(
    {
      ...{ clock, logger, store, purges, believedPeers },
      cache: cdnCache,
      rules: hostRules,
      createOrigin: (config) =>
        createOrigin(config, { clock, logger, metrics, random, peerId: host.peerId }),
      trusts: (address) => shelter.proxies.trusts(address),
      peers: peerHttp,
      ping: (peerId, options) => host.ping(peerId, options),
    },
    {
      peerId: host.peerId,
      region: settings.region,
      isShield: settings.cdnPeers.length > 0,
    },
  )
  const fills = new FillService(
    {
      ...base,
      load: async (url, signal) => {
        const server = ownHttp()
        if (server === undefined) throw new KairoError('ERR_STOPPED', 'the peer does not run')
        return await loadUrl(url, server, signal)
      },
    },
    { file: joinPath(home.cdnDirectory, 'fills.json') },
  )
  return { cdnCache, hostRules, purges, cdn, fills }
}
