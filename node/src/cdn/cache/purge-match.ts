/** Whether a purge means a response. */
import type { PurgeSelector } from '../purge-selector.ts'

/** What is known of a response that a purge may mean. */
export interface PurgeSubject {
  /** The cache key, which is the URL as cached. */
  readonly key: string
  readonly host: string
  /** Undefined as long as no head has come. */
  readonly tags: readonly string[] | undefined
}

/** True when the purge means the response, or may mean it: of one without a head nobody knows the tags yet. */
export function isPurged(selector: PurgeSelector, subject: PurgeSubject): boolean {
  switch (selector.by) {
    case 'everything':
      return true
    case 'host':
      return selector.host === subject.host
    case 'url':
      return selector.url === subject.key
    case 'prefix':
      return subject.key.startsWith(selector.prefix)
    case 'tag': {
      const isHost = selector.host === undefined || selector.host === subject.host
      return isHost && (subject.tags === undefined || subject.tags.includes(selector.tag))
    }
  }
}
