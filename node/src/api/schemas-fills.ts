/** The shapes of fills: the routes declare them, the command line checks against them. */
import { z } from 'zod'
import { fillLimits } from '../limits/fill.ts'
import { pageFields } from './page-query.ts'

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

const fillStates = ['waiting', 'done', 'failed'] as const

/** Which of the fills are listed. */
export const fillsQuerySchema = z.object({
  state: z.enum(fillStates).optional().describe('Lists those in this state alone.'),
  order: z
    .enum(['ordered', 'newest'])
    .default('ordered')
    .describe('As they were ordered, or the last ordered first.'),
  ...pageFields(fillLimits.fillsMax),
})

/** Fills that were asked for. */
export const fillsSchema = z.object({
  fills: z.array(
    z.object({
      url: z.string(),
      between: z.string(),
      state: z.enum(fillStates),
      attempts: z.number(),
      bytes: z.number(),
      problem: z.string(),
    }),
  ),
})

/** A part of the list, and how many there are in all. */
export const fillListSchema = fillsSchema.extend({
  waiting: z.number(),
  done: z.number(),
  failed: z.number(),
})
