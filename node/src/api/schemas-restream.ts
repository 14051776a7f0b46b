/** The shapes of the API about restream targets. */
import { z } from 'zod'
import { restreamTargetSchema } from '../ingest/stream-options.ts'

const target = z.object({
  name: z.string(),
  host: z.string().describe('Scheme, host and port; the rest of the address is secret.'),
  enabled: z.boolean(),
  state: z
    .enum(['connecting', 'sending', 'waiting', 'failed', 'off'])
    .describe('`failed`: it cannot take this stream; `off`: disabled, or the stream is not live.'),
  error: z.string().nullable(),
  since: z.iso.datetime().nullable().describe('Of the state; null before the first change.'),
  bytes: z.number().describe('Media that it took since the stream began.'),
  bitrateBps: z.number(),
  dropped: z.number().int().describe('Pictures and pieces of sound that it was too slow for.'),
  retries: z.number().int(),
})

/** GET /api/restream. */
export const restreamingSchema = z.object({
  streams: z.array(z.object({ stream: z.string(), live: z.boolean(), targets: z.array(target) })),
})

/** POST /api/keys/:name/restream. */
export const newTargetSchema = restreamTargetSchema

/** PATCH /api/keys/:name/restream/:target. */
export const targetPatchSchema = z.strictObject({
  url: restreamTargetSchema.shape.url.optional(),
  enabled: z.boolean().optional(),
})
