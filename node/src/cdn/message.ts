/** Requests and responses as the cache sees them; header fields by lower-case name, repeated ones joined by `, ` (RFC 9110 5.3). */

/** Header fields by lower-case name. `set-cookie` lines are joined by a line feed, because commas stand in them. */
export type Fields = Readonly<Record<string, string>>

/** A client's request. */
export interface CacheRequest {
  /** As sent: methods are case-sensitive. */
  readonly method: string
  /** What the client used to reach this peer. */
  readonly scheme: 'http' | 'https'
  /** Lower case, without a default port. */
  readonly host: string
  /** Path and query as sent, beginning with `/`. */
  readonly target: string
  readonly headers: Fields
}

/** The head of a response. */
export interface ResponseHead {
  readonly status: number
  readonly headers: Fields
}

/** The head of a stored response, with what the rules need to judge its age. */
export interface StoredHead extends ResponseHead {
  /** Unix milliseconds at which the request that brought it was sent. */
  readonly requestTimeMs: number
  /** Unix milliseconds at which its head came. */
  readonly responseTimeMs: number
  /** Fields of the request that `Vary` names, normalised; the key of the variant. */
  readonly varyFields: Fields
  /** Method of the request that brought it. */
  readonly method: 'GET' | 'HEAD'
  /** Unix milliseconds of a soft purge; from then on it is stale, whatever its freshness. */
  readonly purgedMs?: number
  /** False for a 206 of which only some slices are here (RFC 9111 3.3). */
  readonly complete: boolean
}
