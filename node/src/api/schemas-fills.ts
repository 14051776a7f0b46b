/** The shapes of fills: the routes declare them, the command line checks against them. */
import { z } from 'zod'
import { fillLimits } from '../limits/fill.ts'

/** URLs to be read into the cache. */
export const newFillsSchema = z.strictObject({
  urls: z
    .array(z.url({ protocol: /^https?$/ }).max(fillLimits.urlCharsMax))
    .min(1)
    .max(fillLimits.orderMax),
  between: z
    .string()
    .max(11)
    .default('')
    .describe('A daily time in UTC, `01:00-06:00`, in which they are read; empty for at once.'),
})

/** The list of fills. */
export const fillsSchema = z.object({
  fills: z.array(
    z.object({
      url: z.string(),
      between: z.string(),
      state: z.enum(['waiting', 'done', 'failed']),
      attempts: z.number(),
      bytes: z.number(),
      problem: z.string(),
    }),
  ),
})
