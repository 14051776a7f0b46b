/** The shapes of the API about host rules. */
import { z } from 'zod'
import { hostRuleSchema } from '../cdn/host-rule.ts'

/** PUT /api/cdn/rules/:name. */
export const newHostRuleSchema = hostRuleSchema.omit({ name: true }).extend({
  force: z
    .boolean()
    .default(false)
    .describe(
      'Take the rule although it takes the requests for the pages and the API of this peer.',
    ),
})

const shownOrigin = z.discriminatedUnion('type', [
  z.object({ type: z.literal('http'), url: z.string(), host: z.string().optional() }),
  z.object({ type: z.literal('folder'), path: z.string() }),
  z.object({
    type: z.literal('s3'),
    endpoint: z.string(),
    region: z.string(),
    bucket: z.string(),
    prefix: z.string(),
    accessKeyId: z.string(),
    hasSecret: z.boolean().describe('The secret key itself is never shown.'),
  }),
])

/** A host rule as it is shown: without secrets. */
export const hostRuleViewSchema = z.object({
  name: z.string(),
  hosts: z.array(z.string()),
  pathPrefix: z.string(),
  origin: shownOrigin,
  defaultTtlS: z.number().int(),
  negativeTtlS: z.number().int(),
  staleWhileRevalidateS: z.number().int(),
  staleIfErrorS: z.number().int(),
  query: z.enum(['keep', 'sort', 'ignore']),
  sliceBytes: z.number().int(),
  compress: z.boolean(),
  bytesMax: z.number().int(),
})

/** GET /api/cdn/rules. */
export const hostRulesSchema = z.object({
  rules: z.array(hostRuleViewSchema),
  entries: z.number().int().describe('Responses in the cache of this peer.'),
})
