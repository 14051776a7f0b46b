/** Takes the secrets of an address out of a text: FFmpeg's lines hold whole addresses, and addresses hold keys and passwords. */
import { percentDecoded } from '../../../urls.ts'

/** Shorter pieces of an address are no secrets, and words of a sentence would be taken for them. */
const SECRET_CHARS_MIN = 4

/** A text without the secrets, and with every address in it cut down to its host. */
export function redact(text: string, secrets: readonly string[]): string {
  let clean = text.replaceAll(/([a-z][a-z0-9+]*:\/\/)(?:[^\s/@]*@)?([^\s/?#'"]*)[^\s'"]*/gi, '$1$2')
  for (const secret of secrets) clean = clean.replaceAll(secret, '…')
  return clean
}

/** The pieces of an address that may be secret: all but scheme and host, whole and in parts, as written and decoded. */
export function secretsOf(url: string): string[] {
  const { username, password, pathname, search, hash } = new URL(url)
  const query = [...new URLSearchParams(search).values()]
  const rest = `${pathname}${search}${hash}`
  const pieces = [rest, pathname, ...pathname.split('/'), search, ...query, username, password]
  const decoded = pieces.map((piece) => percentDecoded(piece))
  const known = new Set([...pieces, ...decoded].filter(({ length }) => length >= SECRET_CHARS_MIN))
  // The longest first, so that no piece of one is left over by another.
  return [...known].sort((a, b) => b.length - a.length)
}
