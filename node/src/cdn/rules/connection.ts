/** Fields that are for one connection only (RFC 9110 7.6.1). */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { Fields } from '../message.ts'
import { fieldOf, listOf, withoutFields } from './field.ts'

const perConnection = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding'],
  ...['upgrade', 'http2-settings'],
])

/**
 * Fields that a `Connection` cannot take away: they are for everybody who is asked or answers (RFC 9110 7.6.1), and whoever names them
 * wants this peer to say something else than it heard.
 */
const endToEnd = new Set([
  ...['cache-control', 'cdn-cache-control', 'kairo-cdn-cache-control', 'pragma', 'expires', 'age'],
  ...['date', 'vary', 'etag', 'last-modified', 'authorization', 'cookie', 'set-cookie', 'host'],
  ...['content-type', 'content-length', 'content-encoding', 'content-range', 'content-language'],
  ...['range', 'if-range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'],
  ...['via', 'cdn-loop', 'forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'],
  ...['accept', 'accept-encoding', 'accept-language', 'location', 'surrogate-key', 'cache-tag'],
  ...['surrogate-control', 'surrogate-capability'],
])

/** The fields that go beyond this connection: without the hop-by-hop ones and those that `Connection` names. */
export function withoutHopByHop(headers: Fields): Fields {
  const options = new Set(connectionOptions(headers).filter((name) => !endToEnd.has(name)))
  return withoutFields(headers, (name) => perConnection.has(name) || options.has(name))
}

/** The options that `Connection` names, in lower case. */
export function connectionOptions(headers: Fields): string[] {
  const text = fieldOf(headers, 'connection')
  if (text === undefined) return []
  return listOf(text.toLowerCase()).slice(0, cdnRuleLimits.connectionOptionsMax)
}
