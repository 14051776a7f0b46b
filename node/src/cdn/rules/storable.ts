/** Which responses are kept, and in what form (RFC 9111 3). */
import type { CacheRequest, ResponseHead, StoredHead } from '../message.ts'
import { parseContentRange } from './byte-ranges.ts'
import { type CacheControl, requestControl, responseControl } from './cache-control.ts'
import { hasValidator } from './conditional.ts'
import { withoutHopByHop } from './connection.ts'
import { fieldOf, withoutFields } from './field.ts'
import { dateOf, freshnessLifetime, freshnessOf, isHeuristicallyCacheable } from './freshness.ts'
import { formatHttpDate } from './http-date.ts'
import type { RulePolicy } from './rule-policy.ts'
import { staleWindowS } from './stale.ts'
import { surrogateTags } from './surrogate-tags.ts'
import { varyFields } from './vary.ts'

/** Why a response is not kept. */
export type NotStoredReason =
  | 'method'
  | 'status'
  | 'no-store'
  | 'private'
  | 'authorization'
  | 'set-cookie'
  | 'vary'
  | 'tags'
  | 'partial'
  | 'no-lifetime'

/** Whether a response may be kept, and what follows from it. */
export type Storability =
  | {
      readonly store: true
      /** What it can be purged by. */
      readonly tags: readonly string[]
      /** What is left of its freshness now; 0 and less is stale at once, and of use for validation. */
      readonly ttlS: number
      /** Seconds past its freshness for which it may be served (RFC 5861). */
      readonly mayServeStale: { readonly whileRevalidateS: number; readonly ifErrorS: number }
    }
  | { readonly store: false; readonly reason: NotStoredReason }

/** When a response was asked for and when its head came, in Unix milliseconds. */
export interface ExchangeTimes {
  readonly requestTimeMs: number
  readonly responseTimeMs: number
}

/** Status codes whose meaning Kairo knows, for `must-understand` (RFC 9111 5.2.2.3). */
const understood = new Set([
  ...[200, 203, 204, 206, 300, 301, 302, 303, 307, 308],
  ...[400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 421, 451],
  ...[500, 501, 502, 503, 504],
])

/** Whether the response to the request may be kept by a shared cache, each rule in turn (RFC 9111 3). */
export function storable(
  request: CacheRequest,
  response: ResponseHead,
  nowMs: number,
  policy: RulePolicy,
): Storability {
  const control = responseControl(response)
  const tags = surrogateTags(response.headers)
  const reason = forbidden(request, response, control) ?? (tags === undefined ? 'tags' : undefined)
  if (reason !== undefined) return { store: false, reason }
  if (!hasLifetime(response, control, nowMs, policy)) return { store: false, reason: 'no-lifetime' }
  const head = storedHead(request, response, { requestTimeMs: nowMs, responseTimeMs: nowMs })
  const { ttlS } = freshnessOf(head, nowMs, policy)
  const mayServeStale = {
    whileRevalidateS: staleWindowS(control, 'revalidate', policy),
    ifErrorS: staleWindowS(control, 'error', policy),
  }
  const usable = !control.noCache && ttlS + Math.max(...Object.values(mayServeStale)) > 0
  // What can neither be served nor validated is of no use.
  if (!usable && !hasValidator(response)) return { store: false, reason: 'no-lifetime' }
  return { store: true, tags: tags ?? [], ttlS, mayServeStale }
}

/**
 * True when it is the request (`Authorization`, `no-store`, a long field that it varies on) that keeps the response from being stored: the next one
 * for the same key may fare better, and one client's words must not keep a response from all others.
 */
export function isRequestsDoing(
  request: CacheRequest,
  response: ResponseHead,
  nowMs: number,
  policy: RulePolicy,
): boolean {
  const isStored = (asked: CacheRequest): boolean => storable(asked, response, nowMs, policy).store
  return !isStored(request) && isStored({ ...request, headers: {} })
}

/** The first rule that forbids it. */
function forbidden(
  request: CacheRequest,
  response: ResponseHead,
  control: CacheControl,
): NotStoredReason | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'method'
  const { status, headers } = response
  if (status < 200 || status === 304 || status > 599) return 'status'
  if (control.mustUnderstand && !understood.has(status)) return 'status'
  // must-understand takes the place of no-store for caches that understand (RFC 9111 5.2.2.3).
  if (control.noStore && !control.mustUnderstand) return 'no-store'
  if (requestControl(request).noStore) return 'no-store'
  if (control.isPrivate) return 'private'
  if (fieldOf(request.headers, 'authorization') !== undefined && !sharesAuthorised(control)) {
    return 'authorization'
  }
  if (fieldOf(headers, 'set-cookie') !== undefined && !sharesCookies(control)) return 'set-cookie'
  if (varyFields(request, response) === undefined) return 'vary'
  if (status === 206 && partialLength(response) === undefined) return 'partial'
  return undefined
}

/** True when a response to a request with `Authorization` may be shared (RFC 9111 3.5). */
export function sharesAuthorised(control: CacheControl): boolean {
  return control.isPublic || control.mustRevalidate || control.sMaxageS !== undefined
}

/**
 * A cookie is nearly always for one client, and handing it to another logs that one in as somebody else. RFC 9111 7.3 leaves it to the origin to
 * forbid sharing; like other shared caches Kairo wants it allowed in so many words. Fields that are not kept do no harm.
 */
function sharesCookies(control: CacheControl): boolean {
  if ([...control.noCacheFields, ...control.privateFields].includes('set-cookie')) return true
  const isTargeted = control.targeted && !control.surrogate
  return control.isPublic || control.sMaxageS !== undefined || isTargeted
}

/** The last rule of RFC 9111 3: something must say or allow that it is kept. */
function hasLifetime(
  response: ResponseHead,
  control: CacheControl,
  nowMs: number,
  policy: RulePolicy,
): boolean {
  if (control.isPublic || isHeuristicallyCacheable(response.status)) return true
  return freshnessLifetime(response, nowMs, policy, control).source === 'explicit'
}

/**
 * The form in which a response is kept (RFC 9111 3.1): without fields of the connection, of proxy authentication, and those that `no-cache="…"` and
 * `private="…"` name; with the date it came where it has none (RFC 9110 6.6.1). A 206 is kept as the 200 it is a part of. The response must be storable.
 */
export function storedHead(
  request: CacheRequest,
  response: ResponseHead,
  times: ExchangeTimes,
): StoredHead {
  const headers = withDate(keptFields(response), times.responseTimeMs)
  const head = {
    ...times,
    varyFields: varyFields(request, response) ?? {},
    method: request.method === 'HEAD' ? ('HEAD' as const) : ('GET' as const),
  }
  const length = response.status === 206 ? partialLength(response) : undefined
  if (length === undefined) return { ...head, status: response.status, headers, complete: true }
  const whole = { ...withoutFields(headers, (name) => name === 'content-range') }
  return {
    ...head,
    status: 200,
    headers: { ...whole, 'content-length': String(length) },
    complete: false,
  }
}

/** Fields of a response that may be kept (RFC 9111 3.1). */
export function keptFields(response: ResponseHead): ResponseHead['headers'] {
  const named = fieldsForOne(response)
  return withoutFields(
    withoutHopByHop(response.headers),
    (name) => proxyFields.has(name) || named.has(name),
  )
}

/** Fields of a response that are not kept, and that the client whose request brought it gets (RFC 9111 5.2.2.4, 5.2.2.7). */
export function unsharedFields(response: ResponseHead): ResponseHead['headers'] {
  const named = fieldsForOne(response)
  return withoutFields(withoutHopByHop(response.headers), (name) => !named.has(name))
}

function fieldsForOne(response: ResponseHead): ReadonlySet<string> {
  const { noCacheFields, privateFields } = responseControl(response)
  return new Set([...noCacheFields, ...privateFields])
}

const proxyFields = new Set([
  ...['proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization'],
])

function withDate(headers: ResponseHead['headers'], atMs: number): ResponseHead['headers'] {
  if (dateOf({ status: 200, headers }, atMs) !== undefined) return headers
  return { ...headers, date: formatHttpDate(atMs) }
}

/** Length of the whole of which a 206 is one part; undefined when it does not say so. */
function partialLength(response: ResponseHead): number | undefined {
  const text = fieldOf(response.headers, 'content-range')
  return text === undefined ? undefined : parseContentRange(text)?.length
}
