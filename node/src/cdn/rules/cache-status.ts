/** The `Cache-Status` field (RFC 9211). */

/** Why a request went to the origin (RFC 9211 2.2). */
export type ForwardReason =
  | 'bypass'
  | 'method'
  | 'uri-miss'
  | 'vary-miss'
  | 'miss'
  | 'request'
  | 'stale'
  | 'partial'

/** How this cache dealt with a request. */
export interface CacheStatus {
  /** It was answered without the origin; excludes `fwd`. */
  readonly hit?: true
  readonly fwd?: ForwardReason
  /** What the origin answered, where that is not what the client gets. */
  readonly fwdStatus?: number
  /** What is left of freshness; negative for a stale response. */
  readonly ttlS?: number
  /** The answer was kept. */
  readonly stored?: boolean
  /** The request waited for another one's answer. */
  readonly collapsed?: boolean
  /** A token that says more, such as `stale-if-error`. */
  readonly detail?: string
}

/** Kairo's own member of `Cache-Status`. */
export function cacheStatus(status: CacheStatus): string {
  const parameters = [
    status.hit === true ? 'hit' : undefined,
    status.hit !== true && status.fwd !== undefined ? `fwd=${status.fwd}` : undefined,
    status.fwdStatus === undefined ? undefined : `fwd-status=${status.fwdStatus}`,
    status.stored === true ? 'stored' : undefined,
    status.collapsed === true ? 'collapsed' : undefined,
    status.ttlS === undefined ? undefined : `ttl=${Math.trunc(status.ttlS) || 0}`,
    status.detail === undefined ? undefined : `detail=${status.detail}`,
  ]
  return ['kairo', ...parameters.filter((parameter) => parameter !== undefined)].join('; ')
}
