/** What a caller names as the cache knows it: scheme and host in lower case, no default port, no fragment; path and query as given. */
import { KairoError } from '../../errors.ts'
import type { PurgeSelector } from '../purge-selector.ts'

const HOST = /^(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/

/**
 * The selector in its one form; doing it twice changes nothing.
 * @throws KairoError `ERR_INVALID_INPUT` for a URL or host that no request can have.
 */
export function normaliseSelector(selector: PurgeSelector): PurgeSelector {
  switch (selector.by) {
    case 'url':
      return { by: 'url', url: normaliseUrl(selector.url) }
    case 'prefix':
      return { by: 'prefix', prefix: normaliseUrl(selector.prefix) }
    case 'host':
      return { by: 'host', host: normaliseHost(selector.host) }
    case 'tag': {
      const { tag, host } = selector
      // Both header fields separate tags by white space or commas.
      if (/[\s,]/.test(tag)) {
        throw new KairoError('ERR_INVALID_INPUT', 'a tag holds neither white space nor a comma')
      }
      return { by: 'tag', tag, ...(host !== undefined && { host: normaliseHost(host) }) }
    }
    case 'everything':
      return selector
  }
}

function normaliseUrl(text: string): string {
  const url = parse(text)
  if (url.username !== '' || url.password !== '') {
    throw new KairoError('ERR_INVALID_INPUT', 'a cached URL has no user name')
  }
  // Path and query stay as sent: `URL` would decode dots and encode others, and the cache does not.
  const [, rest = ''] = /^[a-z]+:\/\/[^/?#]*([^#]*)/i.exec(text) ?? []
  return `${url.origin}${rest.startsWith('/') ? '' : '/'}${rest}`
}

function parse(text: string): URL {
  const url = URL.parse(text)
  const isPlain = /^https?:\/\/[^/?#\\\s]+(?:[/?#][\x21-\x7e]*)?$/i.test(text)
  if (url === null || !isPlain || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new KairoError('ERR_INVALID_INPUT', `not the URL of a cached response: ${text}`)
  }
  return url
}

function normaliseHost(text: string): string {
  const host = text.toLowerCase()
  if (!HOST.test(host)) throw new KairoError('ERR_INVALID_INPUT', `not a host: ${text}`)
  return host
}
