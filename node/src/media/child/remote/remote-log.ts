/**
 * What FFmpeg says about a remote end, kept for the reason of a failure and never printed: its lines hold whole addresses, and
 * addresses hold keys and passwords.
 */
import { AV_LOG_ERROR } from 'node-av/constants'
import { Log } from 'node-av/lib'

/** Lines kept; the last ones say what went wrong. */
const LINES_MAX = 4
/** Characters of one line. */
const LINE_CHARS_MAX = 200
/** Shorter pieces of an address are no secrets, and words of a sentence would be taken for them. */
const SECRET_CHARS_MIN = 4

/** Takes FFmpeg's errors from its creation on; a child has one. */
export class RemoteLog {
  readonly #secrets: readonly string[]
  #lines: string[] = []

  /** @param url the address whose path, query and credentials are taken out of every line. */
  constructor(url: string) {
    this.#secrets = secretsOf(url)
    Log.setLevel(AV_LOG_ERROR)
    Log.setCallback((_level, message) => this.#take(message), { maxLevel: AV_LOG_ERROR })
  }

  /** The last lines, without secrets; empty when nothing was said. */
  get text(): string {
    return this.#lines.join('; ')
  }

  #take(message: string): void {
    const line = redact(message.trim(), this.#secrets).slice(0, LINE_CHARS_MAX)
    if (line === '' || line === this.#lines.at(-1)) return
    this.#lines = [...this.#lines, line].slice(-LINES_MAX)
  }
}

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
  const decoded = pieces.map((piece) => decode(piece))
  const known = new Set([...pieces, ...decoded].filter(({ length }) => length >= SECRET_CHARS_MIN))
  // The longest first, so that no piece of one is left over by another.
  return [...known].sort((a, b) => b.length - a.length)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Not percent-encoded after all.
    return text
  }
}
