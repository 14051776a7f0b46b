/** How long a response is fresh and how old it is (RFC 9111 4.2). Ages and lifetimes are whole seconds. */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { ResponseHead, StoredHead } from '../message.ts'
import {
  type CacheControl,
  deltaSeconds,
  hasPragmaNoCache,
  responseControl,
} from './cache-control.ts'
import { fieldOf } from './field.ts'
import { parseHttpDate } from './http-date.ts'
import type { RulePolicy } from './rule-policy.ts'

/** Status codes that may be kept without a word (RFC 9110 15.1). */
const heuristic = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])
/** Those of them that say "no" and get the host rule's `negativeTtlS`. */
const negative = new Set([404, 405, 410, 414, 501])

/** True for status codes that may be kept though the response says nothing of it (RFC 9110 15.1). */
export function isHeuristicallyCacheable(status: number): boolean {
  return heuristic.has(status)
}

/** Where a lifetime comes from; `none` when nothing says or allows one. */
export type LifetimeSource = 'explicit' | 'rule' | 'heuristic' | 'none'

/** How long a response is fresh. */
export interface Lifetime {
  readonly seconds: number
  readonly source: LifetimeSource
}

/** A stored response's age, what is left of its freshness, and where that came from. */
export interface Freshness {
  readonly control: CacheControl
  readonly ageS: number
  /** Lifetime less age; 0 and less is stale. Knows nothing of purges. */
  readonly ttlS: number
}

/**
 * RFC 9111 4.2.1, in order: `s-maxage`, `max-age`, `Expires` less `Date`; then the host rule's times, then a tenth of the time since
 * `Last-Modified` (4.2.2). `receivedMs` stands in for a missing or invalid `Date`.
 */
export function freshnessLifetime(
  response: ResponseHead,
  receivedMs: number,
  policy: RulePolicy,
  control: CacheControl = responseControl(response),
): Lifetime {
  const said = control.sMaxageS ?? control.maxAgeS
  if (said !== undefined) return { seconds: said, source: 'explicit' }
  const dateMs = dateOf(response, receivedMs) ?? receivedMs
  const expires = fieldOf(response.headers, 'expires')
  // A targeted field silences Expires too (RFC 9213 2.2).
  if (expires !== undefined && !control.targeted) {
    // An invalid date, "0" above all, lies in the past (RFC 9111 5.3).
    const expiresMs = parseHttpDate(expires, receivedMs) ?? dateMs
    return { seconds: capped((expiresMs - dateMs) / 1_000), source: 'explicit' }
  }
  return unsaidLifetime(response, { dateMs, receivedMs }, policy, control)
}

/** The lifetime of a response that says nothing of it. */
function unsaidLifetime(
  response: ResponseHead,
  at: { readonly dateMs: number; readonly receivedMs: number },
  policy: RulePolicy,
  control: CacheControl,
): Lifetime {
  // Only where the status allows it, or `public` says so (RFC 9111 4.2.2).
  if (!heuristic.has(response.status) && !control.isPublic) return { seconds: 0, source: 'none' }
  // Servers that know no Cache-Control mean by Pragma what it says, though nothing obliges a cache (RFC 9111 5.4).
  const headers = response.headers
  if (fieldOf(headers, 'cache-control') === undefined && hasPragmaNoCache(headers)) {
    return { seconds: 0, source: 'none' }
  }
  if (negative.has(response.status)) return { seconds: policy.negativeTtlS, source: 'rule' }
  if (policy.defaultTtlS > 0) return { seconds: policy.defaultTtlS, source: 'rule' }
  const text = fieldOf(headers, 'last-modified')
  const modifiedMs = text === undefined ? undefined : parseHttpDate(text, at.receivedMs)
  if (modifiedMs === undefined) return { seconds: 0, source: 'none' }
  const tenth = Math.floor((at.dateMs - modifiedMs) / 10_000)
  const seconds = Math.min(Math.max(tenth, 0), cdnRuleLimits.heuristicSecondsMax)
  return { seconds, source: 'heuristic' }
}

/**
 * RFC 9111 4.2.3. A clock that was set back leaves nothing to reckon with: the response then counts as older than any lifetime, and its next
 * use asks the origin.
 */
function currentAgeS(stored: StoredHead, nowMs: number): number {
  const { requestTimeMs, responseTimeMs } = stored
  if (nowMs < responseTimeMs - cdnRuleLimits.clockBackMsMax) return cdnRuleLimits.deltaSecondsMax
  const apparentMs = Math.max(
    0,
    responseTimeMs - (dateOf(stored, responseTimeMs) ?? responseTimeMs),
  )
  const delayMs = Math.max(0, responseTimeMs - requestTimeMs)
  const correctedMs = ageFieldS(stored) * 1_000 + delayMs
  const residentMs = Math.max(0, nowMs - responseTimeMs)
  return capped((Math.max(apparentMs, correctedMs) + residentMs) / 1_000)
}

/** Age and what is left of freshness at `nowMs`. */
export function freshnessOf(stored: StoredHead, nowMs: number, policy: RulePolicy): Freshness {
  const control = responseControl(stored)
  const ageS = currentAgeS(stored, nowMs)
  const lifetime = freshnessLifetime(stored, stored.responseTimeMs, policy, control)
  return { control, ageS, ttlS: lifetime.seconds - ageS }
}

/** `Age` (RFC 9111 5.1): of several the first counts, and one that is no number does not. */
function ageFieldS(response: ResponseHead): number {
  const text = fieldOf(response.headers, 'age')
  if (text === undefined) return 0
  const [first = ''] = text.split(',', 1)
  return deltaSeconds(first.trim()) ?? 0
}

/** Unix milliseconds of `Date`; undefined when it is missing or no date. */
export function dateOf(response: ResponseHead, receivedMs: number): number | undefined {
  const text = fieldOf(response.headers, 'date')
  return text === undefined ? undefined : parseHttpDate(text, receivedMs)
}

function capped(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 0), cdnRuleLimits.deltaSecondsMax)
}
