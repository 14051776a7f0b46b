/** The shapes of the API about pulled streams. */
import { z } from 'zod'

/** GET /api/pulls. */
export const pullsSchema = z.object({
  pulls: z.array(
    z.object({
      stream: z.string(),
      host: z.string().describe('Scheme, host and port; the rest of the address may be secret.'),
      state: z.enum(['connecting', 'pulling', 'waiting', 'failed', 'off']),
      error: z.string().nullable(),
      since: z.iso.datetime(),
      bitrateBps: z.number(),
      retries: z.number().int(),
    }),
  ),
})
