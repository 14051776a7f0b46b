/** The primary cache key (RFC 9111 2): what a request is about, in one form for all spellings of it. */
import type { HostRule } from '../host-rule.ts'
import type { CacheRequest } from '../message.ts'

/** Scheme, host, path and query, the query as the host rule wants it. */
export function cacheKey(request: CacheRequest, rule: Pick<HostRule, 'query'>): string {
  const { scheme, host, target } = request
  const mark = target.indexOf('?')
  const path = normaliseEscapes(mark < 0 ? target : target.slice(0, mark))
  const query = mark < 0 ? undefined : target.slice(mark + 1)
  return `${scheme}://${keyHost(host)}${path}${keyQuery(query, rule.query)}`
}

/** A host can be anything that a client wrote; what could end it is escaped, or one host's key would be another one's. */
function keyHost(host: string): string {
  return host.toLowerCase().replaceAll(/[^a-z0-9._~:[\]-]/g, escapeOf)
}

function escapeOf(char: string): string {
  return `%${char.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`
}

function keyQuery(query: string | undefined, mode: HostRule['query']): string {
  if (query === undefined || mode === 'ignore') return ''
  const normal = normaliseEscapes(query)
  return `?${mode === 'sort' ? sorted(normal) : normal}`
}

/** Parameters by name; those of one name stay in the order they came, which may mean something. */
function sorted(query: string): string {
  const named = query.split('&').map((parameter) => ({ parameter, name: nameOf(parameter) }))
  named.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  return named.map(({ parameter }) => parameter).join('&')
}

function nameOf(parameter: string): string {
  const equals = parameter.indexOf('=')
  return equals < 0 ? parameter : parameter.slice(0, equals)
}

/** Escapes of unreserved characters are undone, others in upper case (RFC 3986 6.2.2); anything more could join what differs. */
function normaliseEscapes(text: string): string {
  if (!text.includes('%')) return text
  return text.replaceAll(/%[0-9a-f]{2}/gi, (escaped) => {
    const char = String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(char) ? char : escaped.toUpperCase()
  })
}
