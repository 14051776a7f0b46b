/** The shapes of the API about webhooks. */
import { z } from 'zod'

/** GET /api/webhooks. */
export const webhooksSchema = z.object({
  endpoints: z.array(
    z.object({
      host: z.string().describe('Scheme, host and port; the rest of the address may be secret.'),
      pending: z.number().int().describe('Deliveries that wait or are under way.'),
      delivered: z.number().int(),
      failedAttempts: z.number().int(),
      dropped: z.number().int(),
      lastDelivered: z.iso.datetime().nullable(),
      error: z.string().nullable().describe('What went wrong last; null after a delivery.'),
    }),
  ),
})

/** POST /api/webhooks/test. */
export const webhookTestSchema = z.object({
  endpoints: z.number().int().describe('Endpoints that are told.'),
})
