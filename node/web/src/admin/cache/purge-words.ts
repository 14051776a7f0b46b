/** Purges in words, and the purge that a form's fields make. */

import type { PurgeReport, PurgeSelector } from '../../shared/api.ts'
import { count } from '../../shared/format.ts'

/** What a purge goes by, and how its field is called; `everything` has none. */
export const purgeKinds: Readonly<Record<PurgeSelector['by'], string>> = {
  url: 'One URL',
  tag: 'Tag',
  prefix: 'URLs that begin with',
  host: 'Host',
  everything: 'Everything',
}

/** The selector that one field makes; `host` bounds a tag to a host and may be empty. */
export function selectorOf(by: PurgeSelector['by'], value: string, host: string): PurgeSelector {
  const text = value.trim()
  switch (by) {
    case 'url':
      return { by, url: text }
    case 'tag':
      return { by, tag: text, ...(host.trim() !== '' && { host: host.trim().toLowerCase() }) }
    case 'prefix':
      return { by, prefix: text }
    case 'host':
      return { by, host: text.toLowerCase() }
    case 'everything':
      return { by }
  }
}

/** `tag sale at shop.example`. */
export function describeSelector(selector: PurgeSelector): string {
  switch (selector.by) {
    case 'url':
      return selector.url
    case 'tag':
      return `tag ${selector.tag}${selector.host === undefined ? '' : ` at ${selector.host}`}`
    case 'prefix':
      return `${selector.prefix}…`
    case 'host':
      return `host ${selector.host}`
    case 'everything':
      return 'everything'
  }
}

/** `done at 3 peers, 12 responses forgotten`, or how many are awaited, and whether peers that are away could miss it. */
export function describePurge({
  peers,
  mode,
  degraded,
}: Pick<PurgeReport, 'peers' | 'mode' | 'degraded'>): string {
  const done = peers.filter(({ status }) => status === 'done').length
  const purged = peers.reduce((sum, peer) => sum + peer.purged, 0)
  const where =
    done === peers.length
      ? `done at ${count(done, 'peer')}`
      : `done at ${done} of ${count(peers.length, 'peer')}`
  const took = `${count(purged, 'response')} ${mode === 'hard' ? 'forgotten' : 'made stale'}`
  return `${where}, ${took}${degraded ? ", not in the region's log yet" : ''}`
}

/** What became of a purge at one peer, in a word or two. */
export const outcomeWords: Readonly<Record<PurgeReport['peers'][number]['status'], string>> = {
  done: 'done',
  failed: 'failed',
  unreachable: 'not reached',
  away: 'away',
  waiting: 'awaited',
}
