/** The tracker of this peer's region, and what it decides about this peer's streams. */
import { resolve } from 'node:path'
import type { Settings } from '../config/schema.ts'
import type { Directory } from '../content/records/directory.ts'
import { CoordinationService } from '../coordination/coordination-service.ts'
import { StreamLeases } from '../coordination/stream-leases.ts'
import { StreamOwners } from '../coordination/stream-owners.ts'
import type { LoadMeter } from '../nearest/load-meter.ts'
import type { Base, ComponentsInit } from './base.ts'

/** The region of peers that name none. */
const DEFAULT_REGION = 'default'

/** Builds it. */
export function createCoordination(
  base: Base,
  { load, directory }: { readonly load: LoadMeter; readonly directory: Directory },
  { loaded: { settings }, home }: ComponentsInit,
) {
  const { host } = base
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
  return { coordination, streamLeases, streamOwners }
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
