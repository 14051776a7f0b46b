/** The smallest cache that purges can act on: responses by URL. */
import type { Purgeable, PurgeMode, PurgeSelector } from '../../src/cdn/purge-selector.ts'

/** One cached response. */
export interface CachedResponse {
  readonly body: string
  readonly tags: readonly string[]
  /** Generation of the purges when it was asked for. */
  readonly generation: number
  soft: boolean
}

/** Responses by URL, purged as the contract says. */
export class SmallCache implements Purgeable {
  readonly responses = new Map<string, CachedResponse>()
  /** Every purge that came, in order. */
  readonly purges: { readonly selector: PurgeSelector; readonly mode: PurgeMode }[] = []

  purge(selector: PurgeSelector, mode: PurgeMode): number {
    this.purges.push({ selector, mode })
    let count = 0
    for (const [url, response] of this.responses) {
      if (!matches(selector, url, response.tags)) continue
      count += 1
      if (mode === 'hard') this.responses.delete(url)
      else response.soft = true
    }
    return count
  }

  put(url: string, body: string, generation = 0, tags: readonly string[] = []): void {
    this.responses.set(url, { body, tags, generation, soft: false })
  }
}

/** True when a purge takes the response of a URL. */
export function matches(selector: PurgeSelector, url: string, tags: readonly string[]): boolean {
  const { host } = new URL(url)
  switch (selector.by) {
    case 'url':
      return url === selector.url
    case 'tag':
      return tags.includes(selector.tag) && (selector.host ?? host) === host
    case 'prefix':
      return url.startsWith(selector.prefix)
    case 'host':
      return host === selector.host
    case 'everything':
      return true
  }
}
