/** GET /api/peer: who this peer is, for those who want to join it by its URL. */
import type { Clock } from '../clock.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { KAIRO_VERSION } from '../version.ts'
import { peerSchema } from './schemas.ts'

/** What the route tells of. */
export interface PeerRouteComponents {
  readonly clock: Clock
  readonly host: { readonly peerId: string; multiaddrs(): readonly string[] }
}

/** Routes about the peer that anyone may ask. */
export function peerRoutes(components: PeerRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/peer',
      summary: 'Tells the id and the addresses of this peer, so that others can join it.',
      access: 'public',
      response: { 200: peerSchema },
      handler: () => ({
        status: 200,
        body: {
          peerId: components.host.peerId,
          version: KAIRO_VERSION,
          agent: `kairo/${KAIRO_VERSION}`,
          multiaddrs: [...components.host.multiaddrs()],
          time: new Date(components.clock.now()).toISOString(),
        },
      }),
    }),
  ]
}
