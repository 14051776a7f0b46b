/**
 * The HTTP servers of a peer. One port has everything, unless the operator keeps pages, API and metrics apart (`adminHttp`), so that
 * every path of the other belongs to the origins that Kairo is a cache of.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { nearestHandler } from '../api/nearest.ts'
import type { OperatorRouteComponents } from '../api/operator.ts'
import { apiRoutes } from '../api/routes.ts'
import type { Components } from '../components.ts'
import type { HostPort } from '../config/address.ts'
import type { LoadedSettings } from '../config/load.ts'
import { PlayableVideos } from '../content/videos/playable-videos.ts'
import { createHlsHandler } from '../delivery/hls-handler.ts'
import type { LiveArchive } from '../delivery/live-archive.ts'
import { createLiveStoryboardHandler } from '../delivery/live-storyboard.ts'
import { createTimeHandler } from '../delivery/time-handler.ts'
import { createVodHandler } from '../delivery/vod/vod-handler.ts'
import type { PlainHandler } from '../http/prepared-response.ts'
import type { Caller } from '../http/route.ts'
import { HttpServer } from '../http/server.ts'
import { loadStaticPages } from '../http/static.ts'
import type { RtmpServer } from '../ingest/rtmp/server.ts'
import type { SrtServer } from '../ingest/srt/server.ts'
import { rtmpUrl, srtUrl } from './addresses.ts'

const WEB_FOLDER = fileURLToPath(new URL('../../web/dist', import.meta.url))

/** What the servers show. */
export interface HttpServersParts {
  readonly components: Components
  readonly loaded: LoadedSettings
  readonly rtmp: RtmpServer | undefined
  readonly srt: SrtServer | undefined
  readonly report: Pick<OperatorRouteComponents, 'status' | 'doctor'>
}

/** Where they listen. */
export interface HttpServersInit {
  readonly http: HostPort
  /** Undefined: on `http`. */
  readonly adminHttp: HostPort | undefined
}

/** The servers; one and the same where there is only one. */
export interface HttpServers {
  readonly http: HttpServer
  readonly admin: HttpServer
}

/** Builds them; nothing listens yet. */
export async function createHttpServers(
  parts: HttpServersParts,
  init: HttpServersInit,
): Promise<HttpServers> {
  const { components, loaded } = parts
  const { corsOrigins } = loaded.settings
  const own = await ownAnswers(parts)
  const shared = { ...components, metrics: components.httpMetrics }
  const { plainHandler, rawHandler, isRaw } = components.cdn
  if (init.adminHttp === undefined) {
    const plainHandlers = [plainHandler, ...own.plainHandlers]
    const both = { ...init.http, corsOrigins, ...own, plainHandlers, rawHandler, isRaw }
    const http = new HttpServer(shared, both)
    return { http, admin: http }
  }
  const cached = { ...init.http, corsOrigins, plainHandlers: [plainHandler], rawHandler }
  return {
    http: new HttpServer(shared, cached),
    admin: new HttpServer(shared, { ...init.adminHttp, corsOrigins, ...own }),
  }
}

/** Players, pages and API. */
async function ownAnswers({ components, loaded, rtmp, srt, report }: HttpServersParts) {
  const { replicas, operatorToken, archives, keys, networkVideos } = components
  const presentations = new PlayableVideos(archives, networkVideos)
  const archive: LiveArchive = {
    segments: (stream, rendition) => {
      // What was kept here of a stream that goes on at another peer is none of what that one keeps.
      const isHere = replicas.served(stream)?.status === 'origin'
      return (isHere ? archives : components.remoteDvr).segments(stream, rendition)
    },
  }
  const plainHandlers: PlainHandler[] = [
    createHlsHandler({ ...components, streams: replicas, archive }),
    createLiveStoryboardHandler({ ...components, streams: replicas }),
    createVodHandler({ ...components, presentations }),
    createTimeHandler(components),
    nearestHandler(components),
  ]
  if (existsSync(WEB_FOLDER)) plainHandlers.push(await loadStaticPages({ folder: WEB_FOLDER }))
  else {
    components.logger.warn({}, 'the web pages are not built: run npm start, which builds them')
  }
  const routes = apiRoutes({
    ...components,
    ...report,
    loaded,
    rtmpUrl: () => (rtmp === undefined ? null : rtmpUrl(rtmp)),
    rtmpPort: () => rtmp?.address().port ?? null,
    srtUrl: () => (srt === undefined ? null : srtUrl(srt)),
    srtPort: () => srt?.address().port ?? null,
  })
  return {
    plainHandlers,
    upgrades: [components.webtorrent, components.swarmEdge].flatMap((room) => room?.route ?? []),
    ...routes,
    authenticators: {
      operator: ({ bearer }: Caller) => operatorToken.verify(bearer),
      publisher: ({ bearer }: Caller) =>
        operatorToken.verify(bearer) || keys.bySecret(bearer ?? '') !== undefined,
    },
  }
}
