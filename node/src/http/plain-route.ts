/**
 * Declarations of what plain handlers answer. The handlers parse their paths themselves, for speed; the declaration says the
 * same to readers of the OpenAPI document, and a test holds the two together.
 */
import type { z } from 'zod'
import type { Access } from './route.ts'

/** A path that a plain handler answers by GET and HEAD. */
export interface PlainRoute {
  /** `/live/:stream/master.m3u8`; a parameter is part of a segment or a whole one. */
  readonly path: string
  /** One sentence for the OpenAPI document. */
  readonly summary: string
  readonly access: Access
  readonly params: z.ZodObject
  readonly query?: z.ZodObject
  /** Media types of a 200 answer. */
  readonly mediaTypes: readonly string[]
  /** Further statuses that the answer may have, all with problem documents but 304 and 206. */
  readonly statuses: readonly number[]
}
