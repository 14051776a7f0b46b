/**
 * Text as the state keeps it: one character for each byte of its UTF-8 form. Such strings compare in the order of the bytes, which
 * the engine does fast, while the order of a string's own units differs beyond the basic plane. For ASCII both are the same string.
 */
import { Buffer } from 'node:buffer'
import { stateLimits } from './state-limits.ts'

/** Text whose characters are the bytes of its UTF-8 form. */
export type ByteText = string

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant.
const ascii = /^[\x00-\x7f]*$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Node's own reading of bytes as characters, without a Buffer around them, which the types leave out. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, from: number, to: number): string
}

/** From text that is well formed. */
export function toByteText(text: string): ByteText {
  return ascii.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** The text again. */
export function toText(bytes: ByteText): string {
  return ascii.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

/**
 * Reads text from bytes. The same names come again and again: those that came lately are known by a hash of their bytes, and are handed out
 * again, which is quicker than a new string, whose own hash is not known yet.
 */
export class TextReader {
  readonly #known: ByteText[] = new Array(stateLimits.knownTextsMax).fill('')

  /** Bytes `[from, to)`, which lie in `source`; undefined when they are no UTF-8. */
  read(source: Uint8Array, from: number, to: number): ByteText | undefined {
    const length = to - from
    let hash = length
    for (let at = from; at < to; at++) {
      const byte = source[at] as number
      if (byte > 0x7f) return readBeyondAscii(source, from, to)
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    if (length > stateLimits.knownTextBytesMax) return latin1Slice.call(source, from, to)
    const place = (hash ^ (hash >>> 15)) & (stateLimits.knownTextsMax - 1)
    const known = this.#known[place] as ByteText
    if (isSame(known, source, from, length)) return known
    const text = latin1Slice.call(source, from, to)
    this.#known[place] = text
    return text
  }
}

function isSame(known: ByteText, source: Uint8Array, from: number, length: number): boolean {
  if (known.length !== length) return false
  for (let i = 0; i < length; i++) if (known.charCodeAt(i) !== source[from + i]) return false
  return true
}

function readBeyondAscii(source: Uint8Array, from: number, to: number): ByteText | undefined {
  try {
    utf8.decode(source.subarray(from, to))
  } catch {
    // The only way to ask whether bytes are UTF-8 that also refuses what is longer than it need be.
    return undefined
  }
  return latin1Slice.call(source, from, to)
}
