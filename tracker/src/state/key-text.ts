/**
 * Text as the state keeps it: one character for each byte of its UTF-8 form. Such strings compare in the order of the bytes, which
 * the engine does fast, while the order of a string's own units differs beyond the basic plane. For ASCII both are the same string.
 */
import { Buffer } from 'node:buffer'

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

/** Bytes `[from, to)`, which lie in `source`, as text; undefined when they are no UTF-8. */
export function readByteText(source: Uint8Array, from: number, to: number): ByteText | undefined {
  for (let at = from; at < to; at++) {
    if ((source[at] as number) > 0x7f) return readBeyondAscii(source, from, to)
  }
  return latin1Slice.call(source, from, to)
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
