/** Entity tags (RFC 9110 8.8.3). */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { ResponseHead } from '../message.ts'
import { fieldOf } from './field.ts'

/** An entity tag. */
export interface EntityTag {
  readonly weak: boolean
  /** With its quotes. */
  readonly opaque: string
}

const tag = /(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/y

/** The entity tag that the text is; undefined when it is none. */
export function parseEntityTag(text: string): EntityTag | undefined {
  const trimmed = text.trim()
  if (trimmed.length > cdnRuleLimits.entityTagCharsMax) return undefined
  const [only, ...others] = parseEntityTags(trimmed)
  return only !== undefined && others.length === 0 && tagLength(only) === trimmed.length
    ? only
    : undefined
}

function tagLength({ weak, opaque }: EntityTag): number {
  return opaque.length + (weak ? 2 : 0)
}

/** Entity tags of a list (RFC 9110 13.1.1); what is none of them is passed over. Commas may stand in tags. */
export function parseEntityTags(text: string): EntityTag[] {
  const tags: EntityTag[] = []
  for (let at = 0; at < text.length; ) {
    tag.lastIndex = at
    const match = tag.exec(text)
    if (match === null) {
      // Go on behind the next comma: what is between is no tag.
      const comma = text.indexOf(',', at)
      const quote = skipSpace(text, at)
      if (quote > at) at = quote
      else if (comma < 0) break
      else at = comma + 1
      continue
    }
    tags.push({ weak: match[1] !== undefined, opaque: match[2] ?? '""' })
    at = tag.lastIndex
  }
  return tags
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\t') at += 1
  return at
}

/** The response's entity tag; undefined when it has none or one that is malformed. */
export function entityTagOf(response: ResponseHead): EntityTag | undefined {
  const text = fieldOf(response.headers, 'etag')
  return text === undefined ? undefined : parseEntityTag(text)
}

/** Strong comparison (RFC 9110 8.8.3.2). */
export function matchesStrongly(a: EntityTag, b: EntityTag): boolean {
  return !a.weak && !b.weak && a.opaque === b.opaque
}

/** Weak comparison (RFC 9110 8.8.3.2). */
export function matchesWeakly(a: EntityTag, b: EntityTag): boolean {
  return a.opaque === b.opaque
}
