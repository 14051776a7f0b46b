/** Tags by which responses are purged together. */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { Fields } from '../message.ts'
import { fieldOf } from './field.ts'

/** Fields that name tags; clients do not get them. */
export const tagFields: ReadonlySet<string> = new Set(['surrogate-key', 'cache-tag'])

/**
 * The tags of a response: `Surrogate-Key` parted by white space, `Cache-Tag` by commas; case matters. Undefined when there are more, or longer ones,
 * than are kept: a response that one of its tags would not purge must not be stored.
 */
export function surrogateTags(headers: Fields): readonly string[] | undefined {
  const keys = fieldOf(headers, 'surrogate-key') ?? ''
  const list = fieldOf(headers, 'cache-tag') ?? ''
  if (keys.length + list.length > cdnRuleLimits.tagsCharsMax) return undefined
  // Field lines of Surrogate-Key are joined by a comma, which parts them as well as white space does.
  const tags = new Set([...keys.split(/[\s,]+/), ...list.split(',').map((tag) => tag.trim())])
  tags.delete('')
  if (tags.size > cdnRuleLimits.tagsMax) return undefined
  return [...tags].some((tag) => tag.length > cdnRuleLimits.tagCharsMax) ? undefined : [...tags]
}
