/** /api/cdn/purge and /api/cdn/purges: cached responses are forgotten at every peer; fronts `cdn/purge/purge-service`. */
import type { z } from 'zod'
import type { PurgeReport } from '../cdn/purge/purge-report.ts'
import type { PurgeService } from '../cdn/purge/purge-service.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { newPurgeSchema, purgeReportSchema, purgesSchema } from './schemas-purge.ts'

/** The rooms behind the routes. */
export interface PurgeRouteComponents {
  readonly purges: Pick<PurgeService, 'purge' | 'refresh' | 'reports' | 'ready'>
}

/** Routes that only the operator may call. */
export function purgeRoutes({ purges }: PurgeRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/cdn/purge',
      summary:
        'Purges cached responses at every peer of the network and waits until each has answered, at most a few seconds.',
      access: 'operator',
      body: newPurgeSchema,
      response: { 200: purgeReportSchema },
      handler: async ({ body: { selector, mode } }) => ({
        status: 200,
        body: view(await purges.purge(selector, mode)),
      }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/cdn/purges',
      summary:
        'Tells the newest purges of the region of this peer, and those given to it, and which peers have done each by now.',
      access: 'operator',
      response: { 200: purgesSchema },
      handler: async () => {
        await purges.refresh()
        return {
          status: 200,
          body: { caughtUp: purges.ready(), purges: purges.reports().reverse().map(view) },
        }
      },
    }),
  ]
}

function view({ issuedAtMs, peers, ...report }: PurgeReport): z.input<typeof purgeReportSchema> {
  return {
    ...report,
    issued: new Date(issuedAtMs).toISOString(),
    peers: peers.map(({ code = null, ms, ...peer }) => ({
      ...peer,
      code,
      ms: Math.round(ms * 10) / 10,
    })),
  }
}
