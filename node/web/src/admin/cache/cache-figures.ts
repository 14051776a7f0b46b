/** How well the cache serves: its share of requests, by rule, out of the metrics. */

import { count } from '../../shared/format.ts'
import { samplesOf } from '../../shared/metrics-text.ts'

/** Requests of one rule since the peer started. */
export interface RuleFigures {
  readonly requests: number
  /** Answered without waiting for the origin: fresh, or stale while it is asked behind (RFC 5861). */
  readonly hits: number
}

/** What the metrics tell of the cache. */
export interface CacheFigures {
  readonly byRule: ReadonlyMap<string, RuleFigures>
}

const fromCache: readonly string[] = ['hit', 'stale']

/** Reads the text of `/metrics`. */
export function readCacheFigures(text: string): CacheFigures {
  const byRule = new Map<string, RuleFigures>()
  for (const { labels, value } of samplesOf(text, 'kairo_cdn_requests_total')) {
    const { rule = '', result = '' } = labels
    const { requests, hits } = byRule.get(rule) ?? { requests: 0, hits: 0 }
    const more = fromCache.includes(result) ? value : 0
    byRule.set(rule, { requests: requests + value, hits: hits + more })
  }
  return { byRule }
}

/** `1,204 requests, 93 % from the cache`; says so when there were none. */
export function describeFigures(figures: RuleFigures | undefined): string {
  if (figures === undefined || figures.requests === 0) return 'no requests yet'
  const { requests, hits } = figures
  // Rounded down: 100 % says that the origin was never asked.
  return `${count(requests, 'request')}, ${Math.floor((hits / requests) * 100)} % from the cache`
}

/** All rules together. */
export function sumFigures({ byRule }: CacheFigures): RuleFigures {
  let requests = 0
  let hits = 0
  for (const figures of byRule.values()) {
    requests += figures.requests
    hits += figures.hits
  }
  return { requests, hits }
}
