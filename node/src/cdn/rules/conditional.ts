/** Conditional requests (RFC 9110 13), those of clients and those that the cache makes. */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { CacheRequest, Fields, ResponseHead, StoredHead } from '../message.ts'
import {
  entityTagOf,
  matchesStrongly,
  matchesWeakly,
  parseEntityTag,
  parseEntityTags,
} from './entity-tag.ts'
import { fieldOf } from './field.ts'
import { dateOf } from './freshness.ts'
import { parseHttpDate } from './http-date.ts'

/** What a request's preconditions come to. */
export type Precondition = 'proceed' | 'not-modified' | 'precondition-failed'

/** Fields by which a request depends on what there is (RFC 9110 13.1). */
export const conditionalFields: ReadonlySet<string> = new Set([
  ...['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range'],
])

/** A response that conditions are about: a stored one, or one that has just come. */
type Judged = Pick<StoredHead, 'status' | 'headers' | 'responseTimeMs'>

/** The request's preconditions against the response, in the order of RFC 9110 13.2.2. */
export function evaluateConditional(request: CacheRequest, stored: Judged): Precondition {
  // Preconditions are for what would succeed without them (RFC 9110 13.2.1).
  if (stored.status < 200 || stored.status > 299) return 'proceed'
  const safe = request.method === 'GET' || request.method === 'HEAD'
  if (!holdsForWriters(request, stored)) return 'precondition-failed'
  const noneMatch = fieldOf(request.headers, 'if-none-match')
  if (noneMatch !== undefined) {
    if (!namesTag(noneMatch, stored)) return 'proceed'
    return safe ? 'not-modified' : 'precondition-failed'
  }
  const since = dateField(request, 'if-modified-since', stored)
  if (!safe || since === undefined) return 'proceed'
  return modifiedMs(stored) <= since ? 'not-modified' : 'proceed'
}

/** Steps 1 and 2: `If-Match`, else `If-Unmodified-Since`. */
function holdsForWriters(request: CacheRequest, stored: Judged): boolean {
  const match = fieldOf(request.headers, 'if-match')
  if (match !== undefined) {
    if (match.trim() === '*') return true
    const own = entityTagOf(stored)
    // Strong comparison (RFC 9110 13.1.1).
    return own !== undefined && parseEntityTags(match).some((tag) => matchesStrongly(tag, own))
  }
  const unmodified = dateField(request, 'if-unmodified-since', stored)
  const text = fieldOf(stored.headers, 'last-modified')
  // Without a date of modification the field says nothing (RFC 9110 13.1.4).
  if (unmodified === undefined || text === undefined) return true
  const modified = parseHttpDate(text, stored.responseTimeMs)
  return modified === undefined || modified <= unmodified
}

/** `If-None-Match`: weak comparison (RFC 9110 13.1.2). */
function namesTag(field: string, stored: Judged): boolean {
  if (field.trim() === '*') return true
  const own = entityTagOf(stored)
  return own !== undefined && parseEntityTags(field).some((tag) => matchesWeakly(tag, own))
}

/** `Last-Modified`, else `Date`, else when it came (RFC 9111 4.3.2). */
function modifiedMs(stored: Judged): number {
  const text = fieldOf(stored.headers, 'last-modified')
  const modified = text === undefined ? undefined : parseHttpDate(text, stored.responseTimeMs)
  return modified ?? dateOf(stored, stored.responseTimeMs) ?? stored.responseTimeMs
}

/** A date in the request; what is no date counts as not there (RFC 9110 13.1.3). */
function dateField(request: CacheRequest, name: string, stored: Judged): number | undefined {
  const text = fieldOf(request.headers, name)
  return text === undefined ? undefined : parseHttpDate(text, stored.responseTimeMs)
}

/**
 * True when the request's `Range` counts: it is a GET of a 200, and `If-Range`, where there is one, names the stored response by a strong validator
 * (RFC 9110 13.1.5, 14.2).
 */
export function rangeApplies(request: CacheRequest, stored: StoredHead): boolean {
  if (request.method !== 'GET' || stored.status !== 200) return false
  if (fieldOf(request.headers, 'range') === undefined) return false
  const condition = fieldOf(request.headers, 'if-range')
  if (condition === undefined) return true
  const tag = parseEntityTag(condition)
  const own = entityTagOf(stored)
  if (tag !== undefined) return own !== undefined && matchesStrongly(tag, own)
  // A date must be the very same, and strong.
  const modified = fieldOf(stored.headers, 'last-modified')
  return modified === condition.trim() && isStrongDate(stored)
}

/** True when `Last-Modified` cannot have been of two representations (RFC 9110 8.8.2.2). */
function isStrongDate(response: StoredHead): boolean {
  const text = fieldOf(response.headers, 'last-modified')
  const modified = text === undefined ? undefined : parseHttpDate(text, response.responseTimeMs)
  const date = dateOf(response, response.responseTimeMs)
  if (modified === undefined || date === undefined) return false
  return date - modified >= cdnRuleLimits.strongDateSecondsMin * 1_000
}

/**
 * The field that makes a range request fail, or answer the whole, once the representation is another one: `If-Range` with a strong validator.
 * Undefined without one; then slices must not be joined (RFC 9111 3.4).
 */
export function sliceGuard(stored: StoredHead): string | undefined {
  const tag = entityTagOf(stored)
  if (tag !== undefined && !tag.weak) return tag.opaque
  return isStrongDate(stored) ? fieldOf(stored.headers, 'last-modified') : undefined
}

/**
 * True when a 206 that was asked for under {@link sliceGuard} is a part of the stored response (RFC 9111 3.4). An `ETag` that the whole has, each part has
 * (RFC 9110 15.3.7), so one without is of an origin that does not know `If-Range`; `Last-Modified` may be left out, but not be another one.
 */
export function mayJoin(stored: StoredHead, part: ResponseHead): boolean {
  const [own, other] = [entityTagOf(stored), entityTagOf(part)]
  if (own !== undefined && !own.weak) return other !== undefined && matchesStrongly(own, other)
  const modified = fieldOf(part.headers, 'last-modified')
  const isSame = modified === undefined || modified === fieldOf(stored.headers, 'last-modified')
  return isSame && isStrongDate(stored)
}

/** True when there is something by which the origin can say "still the same" (RFC 9111 4.3.1). */
export function hasValidator(response: ResponseHead): boolean {
  return entityTagOf(response) !== undefined || validDate(response, 'last-modified') !== undefined
}

function validDate(response: ResponseHead, name: string): string | undefined {
  const text = fieldOf(response.headers, name)
  return text !== undefined && parseHttpDate(text, 0) !== undefined ? text : undefined
}

/**
 * Conditions by which the origin is asked whether one of the stored responses is still good (RFC 9111 4.3.1): the tags of all, and the date of
 * modification of the selected one, the first. Empty when there is no validator.
 */
export function validationFields(candidates: readonly StoredHead[]): Fields {
  const tags = candidates
    .slice(0, cdnRuleLimits.validatorsMax)
    .map(entityTagOf)
    .filter((tag) => tag !== undefined)
    .map(({ weak, opaque }) => `${weak ? 'W/' : ''}${opaque}`)
  const [selected] = candidates
  const modified = selected === undefined ? undefined : validDate(selected, 'last-modified')
  return {
    ...(tags.length > 0 ? { 'if-none-match': [...new Set(tags)].join(', ') } : {}),
    ...(modified !== undefined ? { 'if-modified-since': modified } : {}),
  }
}
