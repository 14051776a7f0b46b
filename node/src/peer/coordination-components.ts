/** The tracker of this peer's region, and what it decides about this peer's streams. */
import { resolve } from 'node:path'
import type { Settings } from '../config/schema.ts'
import type { Directory } from '../content/records/directory.ts'
import type { Replicas } from '../content/replica/replicas.ts'
import { CoordinationService } from '../coordination/coordination-service.ts'
import { StreamLeases } from '../coordination/stream-leases.ts'
import { StreamOwners } from '../coordination/stream-owners.ts'
import { SwarmFeed } from '../coordination/swarm-feed.ts'
import { SwarmView } from '../coordination/swarm-view.ts'
import { SwarmViewers } from '../coordination/swarm-viewers.ts'
import type { Audience } from '../delivery/audience.ts'
import type { LoadMeter } from '../nearest/load-meter.ts'
import type { PeerCatalogService } from '../nearest/peer-catalog.ts'
import type { Base, ComponentsInit } from './base.ts'

/** The region of peers that name none. */
const DEFAULT_REGION = 'default'

/** What is told to the region, and about what it decides. */
export interface CoordinationParts {
  readonly load: LoadMeter
  readonly directory: Directory
  readonly catalog: PeerCatalogService
  readonly replicas: Replicas
  readonly audience: Audience
}

/** Builds it. */
export function createCoordination(
  base: Base,
  parts: CoordinationParts,
  { loaded: { settings }, home }: ComponentsInit,
) {
  const { host } = base
  const { load, directory } = parts
  const roles = rolesOf(settings)
  const coordination = new CoordinationService(
    {
      ...base,
      peerFacts: () => ({
        isReachable: host.reach().nat !== 'private',
        load: load.reading().load,
        roles,
      }),
      expectsPeers: async () =>
        settings.join.length > 0 || (await host.rememberedPeers(1)).length > 0,
    },
    {
      folder: resolve(home.trackerDirectory),
      region: settings.region === '' ? DEFAULT_REGION : settings.region,
      regionPeers: settings.regionPeers,
      regionPort: settings.regionPort,
      coordinationUrl: settings.coordinationUrl,
    },
  )
  const streamLeases = new StreamLeases({
    ...base,
    coordination: coordination.coordination,
    peerId: host.peerId,
    isConnected: (peerId) => host.peers().includes(peerId),
    heardOwner: (id) => directory.ownerElsewhere(id),
  })
  const streamOwners = new StreamOwners({
    coordination: coordination.coordination,
    peerId: host.peerId,
    leases: streamLeases,
  })
  return { coordination, streamLeases, streamOwners, ...createSwarms(base, parts, coordination) }
}

/** What this peer tells its region of live streams and of itself, and what it asks. */
function createSwarms(
  base: Base,
  { catalog, replicas, audience }: CoordinationParts,
  coordination: CoordinationService,
) {
  const components = { ...base, swarms: () => coordination.swarms }
  const swarmFeed = new SwarmFeed({
    ...components,
    held: () => replicas.all(),
    viewers: (id) => audience.viewers(id),
    load: () => {
      const { load, freeBitsPerSecond, coordinate } = catalog.self()
      const { position, height, error } = coordinate
      const [x = 0, y = 0, z = 0] = position
      return {
        uploadFreeKbps: Math.round(freeBitsPerSecond / 1_000),
        busyPermille: Math.round(load * 1_000),
        // One that has measured nothing stands nowhere.
        coordinate: error < 1 ? { x, y, z, height } : undefined,
      }
    },
  })
  return {
    swarmFeed,
    swarmView: new SwarmView(components),
    swarmViewers: new SwarmViewers(components),
  }
}

/** What this peer does for others. */
function rolesOf({ rtmp, srt, origin, dns, relay }: Settings): string[] {
  return [
    ...(rtmp === 'off' && srt === 'off' ? [] : ['ingest']),
    ...(origin === '' ? [] : ['cdn']),
    ...(dns === 'off' ? [] : ['dns']),
    ...(relay ? ['relay'] : []),
  ]
}
