/** GET /api/pulls: the streams that this peer fetches from elsewhere; fronts `ingest/pull/service`. */
import { defineRoute, type Route } from '../http/route.ts'
import type { PullService } from '../ingest/pull/service.ts'
import { pullsSchema } from './schemas-pulls.ts'

/** The rooms behind the route. */
export interface PullRouteComponents {
  readonly pulls: PullService
}

/** The route; a stream's source is chosen by its option `pullUrl`. */
export function pullRoutes({ pulls }: PullRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/pulls',
      summary: 'Tells where every stream that is pulled from elsewhere stands.',
      access: 'operator',
      response: { 200: pullsSchema },
      handler: () => ({
        status: 200,
        body: {
          pulls: pulls.status().map(({ error, sinceMs, ...pull }) => ({
            ...pull,
            error: error ?? null,
            since: new Date(sinceMs).toISOString(),
          })),
        },
      }),
    }),
  ]
}
