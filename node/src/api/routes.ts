/** Every route of the peer's API, put together. */

import type { Components } from '../components.ts'
import { hlsRoutes } from '../delivery/hls-routes.ts'
import { liveStoryboardRoutes } from '../delivery/live-storyboard.ts'
import { timeRoutes } from '../delivery/time-handler.ts'
import { vodRoutes as vodPlainRoutes } from '../delivery/vod/vod-routes.ts'
import { KairoError } from '../errors.ts'
import type { Route } from '../http/route.ts'
import type { StreamRoute } from '../http/stream-route.ts'
import { KAIRO_VERSION } from '../version.ts'
import { captionRoutes } from './captions.ts'
import { cdnRoutes } from './cdn.ts'
import { fillRoutes } from './fills.ts'
import { healthRoutes } from './health.ts'
import { ipfsRoutes, ipfsStreamRoutes } from './ipfs.ts'
import { keyRoutes } from './keys.ts'
import { metricsRoute } from './metrics.ts'
import { nearestPlainRoutes, nearestRoutes } from './nearest.ts'
import { openapiRoute } from './openapi.ts'
import type { OperatorRouteComponents } from './operator.ts'
import { operatorRoutes } from './operator.ts'
import { type PeerRouteComponents, peerRoutes } from './peer.ts'
import { pullRoutes } from './pulls.ts'
import { purgeRoutes } from './purge.ts'
import { recordingRoutes } from './recordings.ts'
import { regionRoutes } from './region.ts'
import { restreamRoutes } from './restream.ts'
import { storeRoutes } from './store.ts'
import { streamOptionsRoutes } from './stream-options.ts'
import { streamRoutes as streamListRoutes } from './streams.ts'
import { swarmRoutes } from './swarms.ts'
import { transcodeRoutes } from './transcode.ts'
import { uploadRoutes } from './uploads.ts'
import { vodRoutes, vodStreamRoutes } from './vod.ts'
import { webhookRoutes } from './webhooks.ts'

/** What the routes front. */
export type ApiComponents = Components &
  OperatorRouteComponents &
  PeerRouteComponents & {
    readonly rtmpUrl: () => string | null
    readonly srtUrl: () => string | null
  }

/** The routes, the document that describes them last. */
export function apiRoutes(components: ApiComponents): {
  readonly routes: Route[]
  readonly streamRoutes: StreamRoute[]
} {
  const { publications, replicas, store, host, ipfs, coordination } = components
  const isOperator = (bearer: string | undefined): boolean =>
    components.operatorToken.verify(bearer)
  const routes = [
    ...healthRoutes(components, {
      checks: {
        store: async () => {
          const health = store.health()
          if (health.status !== 'ok') throw new KairoError('ERR_STORAGE', health.reason)
        },
        network: async () => {
          if (host.multiaddrs().length === 0) {
            throw new KairoError('ERR_STOPPED', 'the network host listens on no address')
          }
        },
      },
      others: { coordination: async () => coordination.ready() },
    }),
    metricsRoute(components),
    ...peerRoutes(components),
    ...streamListRoutes({ ...components, streams: replicas }),
    ...operatorRoutes(components),
    ...keyRoutes({
      ...components,
      prepare: (stream) => publications.prepare(stream),
      forget: async (stream) => {
        components.streamOptions.remove(stream.name)
        await components.archives.forget(stream.key.id)
        await publications.forget(stream)
      },
    }),
    ...streamOptionsRoutes(components),
    ...transcodeRoutes(components),
    ...recordingRoutes(components),
    ...restreamRoutes(components),
    ...pullRoutes(components),
    ...webhookRoutes(components),
    ...nearestRoutes({ ...components, isOperator }),
    ...cdnRoutes(components),
    ...purgeRoutes(components),
    ...fillRoutes(components),
    ...storeRoutes(components),
    ...regionRoutes(components),
    ...swarmRoutes(components),
    ...(ipfs === undefined ? [] : ipfsRoutes({ ipfs })),
  ]
  const uploadAccess = { access: components.loaded.settings.uploads }
  routes.push(...vodRoutes(components, uploadAccess))
  const streamRoutes = [
    ...uploadRoutes(components, uploadAccess),
    ...captionRoutes({ ...components, isOperator }),
    ...vodStreamRoutes(components, uploadAccess),
    ...(ipfs === undefined ? [] : ipfsStreamRoutes({ ipfs })),
  ]
  const plainRoutes = [
    ...[...hlsRoutes, ...liveStoryboardRoutes, ...vodPlainRoutes, ...timeRoutes],
    ...nearestPlainRoutes,
  ]
  const info = { version: KAIRO_VERSION }
  return {
    routes: [...routes, openapiRoute(routes, plainRoutes, info, streamRoutes)],
    streamRoutes,
  }
}
