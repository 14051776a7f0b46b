/** GET /api/streams: the network's streams; fronts `content/records/directory`. */
import { defineRoute, type Route } from '../http/route.ts'
import { streamsSchema } from './schemas.ts'
import { type StreamViewComponents, streamViews } from './stream-view.ts'

/** Routes about streams that anyone may ask. */
export function streamRoutes(components: StreamViewComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/streams',
      summary: "Lists the network's streams as this peer knows them.",
      access: 'public',
      response: { 200: streamsSchema },
      handler: () => ({ status: 200, body: { streams: streamViews(components) } }),
    }),
  ]
}
