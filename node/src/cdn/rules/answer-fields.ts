/** Fields of the answer that a client gets. */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { Fields, ResponseHead } from '../message.ts'
import { type CacheStatus, cacheStatus } from './cache-status.ts'
import { withoutHopByHop } from './connection.ts'
import { fieldOf, withoutFields } from './field.ts'
import { dateOf } from './freshness.ts'
import { formatHttpDate } from './http-date.ts'
import { chain } from './request-for-origin.ts'
import { tagFields } from './surrogate-tags.ts'

/** How an answer came about. */
export interface AnswerInit {
  /** This peer, a token (RFC 9110 7.6.3). */
  readonly name: string
  readonly nowMs: number
  readonly cacheStatus: CacheStatus
  /** Age of a stored response, in seconds; undefined for one that comes straight from the origin (RFC 9111 5.1). */
  readonly ageS?: number
  /** Another peer asks, to keep what it gets: it is told what this cache was told. Default: false. */
  readonly toPeer?: boolean
}

/** Words between an origin and this cache, of no use to clients; `CDN-Cache-Control` goes on, for CDNs on the way (RFC 9213 3). */
const forThisCache = new Set(['kairo-cdn-cache-control', 'surrogate-control', ...tagFields])

/** Fields of an answer with the response's own body. `Date` is the origin's (RFC 9110 6.6.1); there is no `Warning` any more (RFC 9111 5.5). */
export function answerFields(response: ResponseHead, init: AnswerInit): Fields {
  const all = withoutHopByHop(response.headers)
  const kept = init.toPeer === true ? all : withoutFields(all, (name) => forThisCache.has(name))
  const bodiless = response.status < 200 || response.status === 204
  const headers = withoutFields(kept, (name) => bodiless && name === 'content-length')
  const dated = dateOf(response, init.nowMs) !== undefined
  return {
    ...headers,
    ...(dated ? {} : { date: formatHttpDate(init.nowMs) }),
    ...(init.ageS === undefined
      ? {}
      : { age: String(Math.min(init.ageS, cdnRuleLimits.deltaSecondsMax)) }),
    via: chain(fieldOf(headers, 'via'), `1.1 ${init.name}`),
    'cache-status': chain(fieldOf(headers, 'cache-status'), cacheStatus(init.cacheStatus)),
  }
}

/** Fields that describe bytes that a 304 does not have (RFC 9110 15.4.5). */
const ofTheBody = new Set([
  ...['content-length', 'content-encoding', 'content-language', 'content-range', 'content-type'],
  ...[
    'transfer-encoding',
    'accept-ranges',
    'repr-digest',
    'content-digest',
    'digest',
    'content-md5',
  ],
])

/** Of the fields of a 200, those that a 304 has (RFC 9110 15.4.5). */
export function notModifiedFields(fields: Fields): Fields {
  return withoutFields(fields, (name) => ofTheBody.has(name))
}

/** Of a body in another coding: its length if it is known, a weak tag, and no digests of the bytes that it was made of (RFC 9110 8.8.1). */
export function encodedFields(
  fields: Fields,
  { coding, length }: { readonly coding: string; readonly length?: number },
): Fields {
  const rest = withoutFields(fields, (name) => ofTheBytes.has(name))
  const { etag } = rest
  return {
    ...rest,
    'content-encoding': coding,
    ...(length !== undefined && { 'content-length': String(length) }),
    ...(etag?.startsWith('"') === true && { etag: `W/${etag}` }),
  }
}

/** Fields that are true of the bytes in one coding only. */
const ofTheBytes = new Set([
  ...['accept-ranges', 'content-length', 'content-md5', 'content-digest', 'repr-digest', 'digest'],
])
