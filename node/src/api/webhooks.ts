/** /api/webhooks: where the operator's endpoints stand, and a test of them; fronts `webhooks/service`. */
import { defineRoute, type Route } from '../http/route.ts'
import type { WebhookService } from '../webhooks/service.ts'
import { webhooksSchema, webhookTestSchema } from './schemas-webhooks.ts'

/** The rooms behind the routes. */
export interface WebhookRouteComponents {
  readonly webhooks: WebhookService
}

/** Routes that only the operator may call. */
export function webhookRoutes({ webhooks }: WebhookRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/webhooks',
      summary: 'Tells where every webhook endpoint stands.',
      access: 'operator',
      response: { 200: webhooksSchema },
      handler: () => ({
        status: 200,
        body: {
          endpoints: webhooks.status().map(({ error, deliveredMs, ...endpoint }) => ({
            ...endpoint,
            error: error ?? null,
            lastDelivered: deliveredMs === undefined ? null : new Date(deliveredMs).toISOString(),
          })),
        },
      }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/webhooks/test',
      summary: 'Sends the event `webhook.test` to every endpoint.',
      access: 'operator',
      response: { 202: webhookTestSchema },
      handler: () => {
        webhooks.emit('webhook.test', { message: 'an operator asked whether this is heard' })
        return { status: 202, body: { endpoints: webhooks.status().length } }
      },
    }),
  ]
}
