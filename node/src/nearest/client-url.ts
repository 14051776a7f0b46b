/** Addresses in adverts: what is taken for one, and how a path is joined to one without leaving the peer. Pure. */
import { isIP } from 'node:net'

/** An `http(s)://host[:port]` with nothing after it: no credentials, no path, no query. */
export function isBaseUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false
  // What the parser would have changed is not an address as it is dialled: tabs, backslashes, upper case, a trailing slash.
  return text === url.origin
}

/** A URL of a peer in the form that adverts have it: without a usual port or a slash at its end. What is no URL stays as it is. */
export function baseUrlOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url
}

/** The IP address of a base URL, without brackets; undefined when it names a host. */
export function addressOfUrl(baseUrl: string): string | undefined {
  // A parser of URLs would take most of the time that a ranking of many peers takes.
  const match = /^https?:\/\/(?:\[([^\]]*)\]|([^:/]*))/.exec(baseUrl)
  const address = match?.[1] ?? match?.[2] ?? ''
  return isIP(address) === 0 ? undefined : address
}

/**
 * A path with its query as it may be put behind a client URL, or undefined: one leading slash, characters that every
 * URL parser reads alike, and no step upwards, so that the result is always below that very host.
 */
export function safePath(path: string, charsMax: number): string | undefined {
  if (path.length > charsMax || !/^\/(?!\/)[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*$/.test(path)) {
    return undefined
  }
  const [pathname = ''] = path.split('?', 1)
  const steps = pathname.split('/').map((step) => step.replace(/%2e/gi, '.'))
  return steps.includes('..') || steps.includes('.') ? undefined : path
}
