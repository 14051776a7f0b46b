/** What a purge is about. */
import { z } from 'zod'

const text = z.string().min(1).max(2_048)

/** Which responses a purge takes. Hosts are lower case; a URL has scheme and host, its query as cached. */
export const purgeSelectorSchema = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('url'), url: z.url({ protocol: /^https?$/ }).max(8_192) }),
  /** One of the response's `Surrogate-Key` or `Cache-Tag`. */
  z.strictObject({ by: z.literal('tag'), tag: text, host: text.optional() }),
  /** A URL that all of them begin with. */
  z.strictObject({ by: z.literal('prefix'), prefix: z.url({ protocol: /^https?$/ }).max(8_192) }),
  z.strictObject({ by: z.literal('host'), host: text }),
  z.strictObject({ by: z.literal('everything') }),
])

/** Which responses a purge takes. */
export type PurgeSelector = z.output<typeof purgeSelectorSchema>

/** `hard` forgets, `soft` makes stale: a soft one is still served while it is asked for anew, or when the origin fails. */
export type PurgeMode = 'hard' | 'soft'

/** What purges act on. */
export interface Purgeable {
  /**
   * Applies a purge to what was stored before it; returns how many responses it took. When it has returned, no answer begins with any of
   * them, and responses of requests that were sent to an origin before it are not stored as fresh.
   */
  purge(selector: PurgeSelector, mode: PurgeMode): number
}
