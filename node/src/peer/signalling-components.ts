/** The rooms in which browsers find one another: the WebTorrent tracker, and the edge of viewers' swarms. */
import { join } from 'node:path'
import type { Shelter } from '../http/shelter/shelter.ts'
import { SwarmEdge } from '../signalling/swarm/swarm-edge.ts'
import { loadSwarmSecret } from '../signalling/swarm/swarm-secret.ts'
import { WebtorrentTracker } from '../signalling/webtorrent-tracker.ts'
import type { Base, ComponentsInit } from './base.ts'

/** Each is undefined where the operator wants none. */
export interface SignallingRooms {
  readonly webtorrent: WebtorrentTracker | undefined
  readonly swarmEdge: SwarmEdge | undefined
}

/**
 * Builds them.
 * @throws KairoError `ERR_CONFIG` for a damaged secret, `ERR_STORAGE` when the home folder fails.
 */
export async function createSignalling(
  base: Base,
  { proxies }: Shelter,
  { loaded: { settings }, home }: ComponentsInit,
): Promise<SignallingRooms> {
  const { webtorrentTracker, swarm, swarmTickets, iceServers, signallingOrigins } = settings
  const origins = signallingOrigins.length > 0 ? signallingOrigins : settings.corsOrigins
  const trusts = (address: string): boolean => proxies.trusts(address)
  const parts = { ...base, trusts }
  const swarmInit = {
    ...{ origins, iceUrls: iceServers, areTicketsRequired: swarmTickets === 'required' },
  }
  return {
    webtorrent: webtorrentTracker ? new WebtorrentTracker(parts, { origins }) : undefined,
    swarmEdge: swarm
      ? new SwarmEdge(parts, {
          ...swarmInit,
          secret: await loadSwarmSecret(join(home.root, 'swarm.secret')),
        })
      : undefined,
  }
}
