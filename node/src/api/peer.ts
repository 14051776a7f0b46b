/** GET /api/peer: who this peer is, for those who want to join it by its URL, and for its pages. */
import type { Clock } from '../clock.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { EncoderCatalog } from '../media/encoder-catalog.ts'
import { KAIRO_VERSION } from '../version.ts'
import { peerSchema } from './schemas.ts'

/** What the route tells of. */
export interface PeerRouteComponents {
  readonly clock: Clock
  readonly host: {
    readonly peerId: string
    multiaddrs(): readonly string[]
    connections(): readonly { readonly peerId: string }[]
  }
  /** Port of the RTMP server; null when there is none. */
  readonly rtmpPort: () => number | null
  readonly srtPort: () => number | null
  readonly encoders: EncoderCatalog
}

/** Routes about the peer that anyone may ask. */
export function peerRoutes(components: PeerRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/peer',
      summary: 'Tells who this peer is, where to join it and where to push to it.',
      access: 'public',
      response: { 200: peerSchema },
      handler: () => ({
        status: 200,
        body: {
          peerId: components.host.peerId,
          version: KAIRO_VERSION,
          agent: `kairo/${KAIRO_VERSION}`,
          multiaddrs: [...components.host.multiaddrs()],
          rtmpPort: components.rtmpPort(),
          srtPort: components.srtPort(),
          encoders: components.encoders.working,
          // Two peers that dial each other at once hold two connections for a while.
          connectedPeers: new Set(components.host.connections().map(({ peerId }) => peerId)).size,
          time: new Date(components.clock.now()).toISOString(),
        },
      }),
    }),
  ]
}
