/** The part of a list that is asked for, of lists that may be too long to be sent every few seconds. */
import { z } from 'zod'

/** Fields of a query for such a list, which has at most `itemsMax` entries; without them all of it is meant. */
export function pageFields(itemsMax: number) {
  return {
    limit: z.coerce
      .number()
      .int()
      .min(1)
      .max(itemsMax)
      .default(itemsMax)
      .describe('Lists so many at most.'),
    skip: z.coerce
      .number()
      .int()
      .min(0)
      .max(itemsMax)
      .default(0)
      .describe('Leaves out so many at the beginning.'),
  }
}
