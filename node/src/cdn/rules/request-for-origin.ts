/** What an origin is asked, and which requests this peer answers itself (RFC 9110 7.6). */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { CacheRequest, Fields } from '../message.ts'
import { SURROGATE } from './cache-control.ts'
import { conditionalFields } from './conditional.ts'
import { withoutHopByHop } from './connection.ts'
import { fieldOf, listOf, withoutFields } from './field.ts'
import { normalise } from './vary.ts'

/** How a request is passed on. */
export interface OriginRequestInit {
  /** This peer, to others that forward (RFC 9110 7.6.3) and to itself (RFC 8586); a token. */
  readonly name: string
  /** IP address of the client. */
  readonly clientAddress: string
  /** What the client says of those before it is believed: it is a proxy that the operator named. Default: false. */
  readonly trusted?: boolean
  /**
   * For a response that is to be kept: the client's conditions and ranges are left out, these fields are put in (conditions of the cache, a slice).
   * Undefined for a request that passes through.
   */
  readonly fill?: Fields
}

/** Fields that the connection to the origin makes anew, or that this peer has dealt with. */
const replaced = new Set([
  ...['host', 'expect', 'proxy-authorization', 'proxy-authenticate', 'surrogate-capability'],
])

/** Fields by which clients make some origins answer another request than the one that the key is of: what is kept would be poisoned. */
const rewriting = new Set([
  ...['x-original-url', 'x-rewrite-url', 'x-original-host', 'x-host'],
  ...['x-http-method-override', 'x-http-method', 'x-method-override'],
])

/** The request as the origin gets it. */
export function requestForOrigin(request: CacheRequest, init: OriginRequestInit): CacheRequest {
  const { fill, trusted = false } = init
  const kept = withoutFields(withoutHopByHop(request.headers), (name) => {
    if (replaced.has(name)) return true
    if (name.startsWith('x-forwarded-') && (!trusted || fill !== undefined)) return true
    if (name === 'x-real-ip' && !trusted) return true
    if (fill === undefined) return false
    return name === 'range' || conditionalFields.has(name) || rewriting.has(name)
  })
  const headers = {
    ...kept,
    ...forwardedFields(request, init),
    ...maxForwards(request),
    ...(fill === undefined ? {} : fillFields(request, fill)),
  }
  return { ...request, headers }
}

/** What is kept must be the same for all whose requests select it, so the origin is asked in the words of the key (see vary.ts). */
function fillFields(request: CacheRequest, fill: Fields): Fields {
  const encoding = fieldOf(request.headers, 'accept-encoding') ?? ''
  return { 'accept-encoding': normalise('accept-encoding', encoding), ...fill }
}

/**
 * Who asked whom: what the client says of it is dropped unless it is trusted, since anybody can write it. Of what is to be kept, host and scheme are
 * those of the key, whoever says something else.
 */
function forwardedFields(request: CacheRequest, init: OriginRequestInit): Fields {
  const { name, trusted = false, fill } = init
  const before = (field: string): string | undefined =>
    trusted ? fieldOf(request.headers, field) : undefined
  const said = (field: string): string | undefined =>
    fill === undefined ? before(field) : undefined
  const clientAddress = init.clientAddress.replace(mappedAddress, '')
  const node = clientAddress.includes(':') ? `"[${clientAddress}]"` : clientAddress
  // Quotes in what came as a host would end the quoted string.
  const host = request.host.replaceAll(/["\\]/g, '')
  const own = `for=${node};${host === '' ? '' : `host="${host}";`}proto=${request.scheme}`
  const forwardedHost = said('x-forwarded-host') ?? request.host
  return {
    via: chain(fieldOf(request.headers, 'via'), `1.1 ${name}`),
    'cdn-loop': chain(fieldOf(request.headers, 'cdn-loop'), name),
    'surrogate-capability': `${SURROGATE}="Surrogate/1.0"`,
    forwarded: chain(said('forwarded'), own),
    'x-forwarded-for': chain(before('x-forwarded-for'), clientAddress),
    ...(forwardedHost !== '' && { 'x-forwarded-host': forwardedHost }),
    'x-forwarded-proto': said('x-forwarded-proto') ?? request.scheme,
  }
}

/** An IPv4 address as sockets that listen on both kinds have it (RFC 4291 2.5.5.2). */
const mappedAddress = /^::ffff:(?=\d+\.)/i

/** A list with one more member; its oldest members go when it is too long. */
export function chain(before: string | undefined, member: string): string {
  if (before === undefined || before.trim() === '') return member
  if (before.length <= cdnRuleLimits.chainCharsMax) return `${before}, ${member}`
  const newest: string[] = [member]
  let chars = 0
  for (const entry of listOf(before).reverse()) {
    chars += entry.length
    if (chars > cdnRuleLimits.chainCharsMax) break
    newest.unshift(entry)
  }
  return newest.join(', ')
}

/** One less than the client allows, for the methods that it is for (RFC 9110 7.6.2). */
function maxForwards(request: CacheRequest): Fields {
  const left = forwardsLeft(request)
  return left === undefined ? {} : { 'max-forwards': String(Math.max(0, left - 1)) }
}

function forwardsLeft(request: CacheRequest): number | undefined {
  if (request.method !== 'OPTIONS' && request.method !== 'TRACE') return undefined
  const text = fieldOf(request.headers, 'max-forwards')
  if (text === undefined || !/^\d+$/.test(text)) return undefined
  return text.length > cdnRuleLimits.maxForwardsDigitsMax ? undefined : Number(text)
}

/** What may stand in `Host` (RFC 9110 4.2.3, 7.2); empty for a request of HTTP/1.0 that has none. */
const validHost = /^(?:[a-z0-9._~-]*|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i

/**
 * The status with which this peer answers a request itself, without an origin; undefined for all others. TRACE would show what proxies add (RFC 9110
 * 9.3.8), CONNECT would make a tunnel of a cache, an OPTIONS of the server as a whole (9.3.7) or one that may go no further (7.6.2) ends here,
 * a target has no fragment (RFC 9112 3.2), transfer codings other than chunked are not undone (RFC 9112 6.1), expectations other than 100-continue are
 * not met (10.1.1), what is no host is part of no key, and a request that has been here before would go round for ever (RFC 8586).
 */
export function ownAnswer(
  request: CacheRequest,
  name: string,
): 204 | 400 | 405 | 417 | 501 | 508 | undefined {
  if (!validHost.test(request.host)) return 400
  if (request.method === 'CONNECT') return 501
  if (request.method === 'TRACE') return 405
  if (request.method === 'OPTIONS' && forwardsLeft(request) === 0) return 204
  if (request.target === '*') return request.method === 'OPTIONS' ? 204 : 400
  if (request.target.includes('#')) return 400
  const coding = fieldOf(request.headers, 'transfer-encoding')
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') return 501
  const expect = fieldOf(request.headers, 'expect')
  if (expect !== undefined && expect.trim().toLowerCase() !== '100-continue') return 417
  const loop = fieldOf(request.headers, 'cdn-loop')
  const been = loop !== undefined && listOf(loop).some((member) => idOf(member) === name)
  return been ? 508 : undefined
}

function idOf(member: string): string {
  return member.split(';', 1)[0]?.trim() ?? ''
}
