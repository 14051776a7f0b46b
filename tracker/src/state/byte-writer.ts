/**
 * Writes what {@link ByteReader} reads, into memory of a size that is known before: snapshots are large, and a writer that grows would
 * hold each twice.
 */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { ByteText } from './key-text.ts'

/** Node's own writing of characters as bytes, without a Buffer around them, which the types leave out. */
const { latin1Write } = Buffer.prototype as unknown as {
  latin1Write(this: Uint8Array, text: string, at: number, length: number): number
}

/** Longer text is written by a native call, whose price a short one does not earn back. */
const SHORT_TEXT = 24

/** A writer that fills exactly the size it is given. */
export class ByteWriter {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(size: number) {
    this.#bytes = new Uint8Array(size)
  }

  u8(value: number): void {
    this.#bytes[this.#at++] = value
  }

  u16(value: number): void {
    this.#bytes[this.#at++] = value
    this.#bytes[this.#at++] = value >>> 8
  }

  u32(value: number): void {
    const bytes = this.#bytes
    const at = this.#at
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
    this.#at = at + 4
  }

  /** A safe integer, eight bytes. */
  integer(value: number): void {
    this.u32(value >>> 0)
    this.u32(Math.floor(value / 0x1_0000_0000))
  }

  /** Its characters as bytes; the length is written by the caller. */
  text(text: ByteText): void {
    const length = text.length
    const at = this.#at
    this.#at = at + length
    if (length > SHORT_TEXT) {
      latin1Write.call(this.#bytes, text, at, length)
      return
    }
    for (let i = 0; i < length; i++) this.#bytes[at + i] = text.charCodeAt(i)
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** What was written, which must be all of the size. */
  finish(): Uint8Array {
    assert.equal(this.#at, this.#bytes.length, 'what was written is of the size that was reckoned')
    return this.#bytes
  }
}
