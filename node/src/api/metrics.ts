/** `GET /metrics`: the peer's registry in the Prometheus text format. */
import type { Registry } from 'prom-client'
import { z } from 'zod'
import { defineRoute, type Route } from '../http/route.ts'

/**
 * The metrics tell what streams and how many viewers there are, so they need the operator token, except for a program
 * on the same machine that connects directly: a scraper beside the peer needs no set-up.
 */
export function metricsRoute(components: { readonly registry: Registry }): Route {
  const { registry } = components
  return defineRoute({
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics in the Prometheus text format.',
    access: 'operator',
    localAccess: 'public',
    response: { 200: z.string() },
    textType: registry.contentType,
    handler: async () => ({
      status: 200,
      body: await registry.metrics(),
      headers: { 'cache-control': 'no-store' },
    }),
  })
}
