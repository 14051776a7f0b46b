/** Reading and taking away header fields whose names come from messages: names like `constructor` must find nothing. */
import type { Fields } from '../message.ts'

/** The field's value; undefined when it is not there. The name is in lower case. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

/** The fields but those that `drop` is true for. */
export function withoutFields(fields: Fields, drop: (name: string) => boolean): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !drop(name)))
}

/** The members of a comma-separated list without empty ones (RFC 9110 5.6.1); commas in quoted strings do not part them. */
export function listOf(text: string): string[] {
  const members: string[] = []
  let start = 0
  let quoted = false
  for (let at = 0; at <= text.length; at += 1) {
    const char = text[at]
    if (char === '"') quoted = !quoted
    else if (quoted && char === '\\') at += 1
    if (at >= text.length || (char === ',' && !quoted)) {
      const member = text.slice(start, at).trim()
      if (member !== '') members.push(member)
      start = at + 1
    }
  }
  return members
}

/** True for a token (RFC 9110 5.6.2). */
export function isToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)
}
