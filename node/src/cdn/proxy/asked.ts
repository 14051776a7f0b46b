/** A request under way: where it belongs, and what it is stored under. */
import type { Exchange } from './exchange.ts'
import type { Site } from './site.ts'

/** A request under way. */
export interface Asked {
  readonly site: Site
  readonly exchange: Exchange
  /** What it is stored under. */
  readonly key: string
}

/** As a GET: what a HEAD asks for is kept with its body, and answers those who come next. */
export function whole(asked: Asked): Asked {
  const { exchange } = asked
  if (exchange.request.method !== 'HEAD') return asked
  return { ...asked, exchange: { ...exchange, request: { ...exchange.request, method: 'GET' } } }
}
