/** What a change at the origin makes of stored responses (RFC 9111 4.4). */
import type { CacheRequest, ResponseHead } from '../message.ts'
import { fieldOf } from './field.ts'

/** Methods that change nothing (RFC 9110 9.2.1 and the registry of methods); what is not known may change everything. */
const safe = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'])

/**
 * Targets (path and query) on the request's own origin whose stored responses a successful unsafe request makes invalid: its own, and those that
 * `Location` and `Content-Location` name. Never those of another origin, which the answer has no say over (RFC 9111 4.4).
 */
export function invalidates(request: CacheRequest, response: ResponseHead): readonly string[] {
  if (safe.has(request.method) || response.status < 200 || response.status > 399) return []
  const targets = new Set([request.target])
  for (const name of ['location', 'content-location']) {
    const target = sameOriginTarget(request, fieldOf(response.headers, name))
    if (target !== undefined) targets.add(target)
  }
  return [...targets]
}

function sameOriginTarget(
  request: CacheRequest,
  reference: string | undefined,
): string | undefined {
  if (reference === undefined) return undefined
  const base = `${request.scheme}://${request.host}${request.target}`
  if (!URL.canParse(base) || !URL.canParse(reference, base)) return undefined
  const url = new URL(reference, base)
  return url.origin === new URL(base).origin ? `${url.pathname}${url.search}` : undefined
}
