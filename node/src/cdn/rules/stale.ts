/** Whether a stale response may be served (RFC 9111 4.2.4, RFC 5861). */
import type { CacheRequest, StoredHead } from '../message.ts'
import { type CacheControl, requestControl } from './cache-control.ts'
import { type Freshness, freshnessOf } from './freshness.ts'
import type { RulePolicy } from './rule-policy.ts'

/** Why a stale response is wanted: while a fresh one is fetched (RFC 5861 3), or because none can be had (RFC 5861 4). */
export type StaleUse = 'revalidate' | 'error'

/** Status codes of an origin for which an older response may stand in (RFC 5861 4). */
const errors = new Set([500, 502, 503, 504])

/**
 * Seconds past its freshness for which a response may be served. 0 where the response forbids it: `no-cache`, `must-revalidate`,
 * `proxy-revalidate`, and `s-maxage`, which means the latter too (RFC 9111 5.2.2.10) unless the very field that has it names the seconds:
 * then that is what the origin wants, and a host rule's default is not.
 */
export function staleWindowS(control: CacheControl, use: StaleUse, policy: RulePolicy): number {
  const said = use === 'error' ? control.staleIfErrorS : control.staleWhileRevalidateS
  if (forbidsStale(control)) return 0
  if (said !== undefined) return said
  if (control.sMaxageS !== undefined) return 0
  return use === 'error' ? policy.staleIfErrorS : policy.staleWhileRevalidateS
}

/** True when nothing, no client's wish either, makes a stale response servable. */
export function forbidsStale(control: CacheControl): boolean {
  return control.noCache || control.mustRevalidate || control.proxyRevalidate
}

/** True when only a soft purge made the response stale: by its own words it is fresh. */
export function isOnlyPurged(stored: StoredHead, freshness: Freshness): boolean {
  return stored.purgedMs !== undefined && freshness.ttlS > 0 && !freshness.control.noCache
}

/**
 * True when the stored response may be served because the origin answered with `status`, or not at all. A client can ask for it as well
 * (`stale-if-error` in its request, RFC 5861 4).
 */
export function mayServeOnError(
  stored: StoredHead,
  nowMs: number,
  policy: RulePolicy,
  status: number | 'unreachable',
  request?: CacheRequest,
): boolean {
  if (status !== 'unreachable' && !errors.has(status)) return false
  const freshness = freshnessOf(stored, nowMs, policy)
  if (isOnlyPurged(stored, freshness)) return true
  const { control, ttlS } = freshness
  if (forbidsStale(control)) return false
  const asked = request === undefined ? undefined : requestControl(request).staleIfErrorS
  const wished = control.sMaxageS === undefined ? (asked ?? 0) : 0
  const windowS = Math.max(staleWindowS(control, 'error', policy), wished)
  // A fresh response that a client did not want as it is stands in only where a stale one may, too.
  return windowS > 0 && -ttlS < windowS
}
