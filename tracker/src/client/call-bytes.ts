/** Bytes of the call lane, little-endian: a writer that grows and a reader that believes nothing. docs/protocol/tracker.md draws them. */
import { Buffer } from 'node:buffer'
import { TrackerError } from '../errors.ts'

const HIGH = 0x1_0000_0000
/** Longer text is written by a native call, whose price a short one does not earn back. */
const SHORT_TEXT = 24
/** What a writer begins with. */
const sizeMin = 256
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const slice = Uint8Array.prototype.slice

/** A writer whose memory grows. */
export class CallWriter {
  #bytes: Buffer
  /** The same memory: a copy of part of a Buffer would be a Buffer again, which takes long to make. */
  #plain: Uint8Array<ArrayBuffer>
  #length = 0

  constructor(size = sizeMin) {
    this.#plain = new Uint8Array(size)
    this.#bytes = Buffer.from(this.#plain.buffer)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  u8(value: number): void {
    this.#room(1)
    this.#bytes[this.#length++] = value
  }

  u16(value: number): void {
    this.#room(2)
    this.#bytes[this.#length++] = value
    this.#bytes[this.#length++] = value >>> 8
  }

  u32(value: number): void {
    this.#room(4)
    const bytes = this.#bytes
    const at = this.#length
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
    this.#length = at + 4
  }

  /** A safe integer, eight bytes. */
  integer(value: number): void {
    this.u32(value >>> 0)
    this.u32(Math.floor(value / HIGH))
  }

  /** Its length in two bytes, then its UTF-8. */
  text(text: string): void {
    // One UTF-16 unit is three bytes of UTF-8 at most.
    this.#room(2 + text.length * 3)
    const at = this.#length + 2
    const length = this.#writeText(text, at)
    this.#bytes[at - 2] = length
    this.#bytes[at - 1] = length >>> 8
    this.#length = at + length
  }

  /** Its length in four bytes, then the bytes. */
  blob(bytes: Uint8Array): void {
    this.u32(bytes.length)
    this.#room(bytes.length)
    this.#plain.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** What was written, until something else is; the writer begins anew, and keeps its memory up to a size. */
  view(keptMax: number): Uint8Array {
    const view = this.#plain.subarray(0, this.#length)
    this.#length = 0
    if (this.#plain.length > keptMax) this.#hold(new Uint8Array(sizeMin))
    return view
  }

  /** A copy of what was written; the writer begins anew, and keeps its memory up to a size. */
  take(keptMax: number): Uint8Array {
    const taken = this.#plain.slice(0, this.#length)
    this.#length = 0
    if (this.#plain.length > keptMax) this.#hold(new Uint8Array(sizeMin))
    return taken
  }

  #writeText(text: string, at: number): number {
    if (text.length > SHORT_TEXT) return this.#bytes.write(text, at)
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return this.#bytes.write(text, at)
      this.#bytes[at + i] = unit
    }
    return text.length
  }

  #room(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#plain.length * 2))
    grown.set(this.#plain.subarray(0, this.#length))
    this.#hold(grown)
  }

  #hold(memory: Uint8Array<ArrayBuffer>): void {
    this.#plain = memory
    this.#bytes = Buffer.from(memory.buffer)
  }
}

/** A reader; every method throws TrackerError ERR_MALFORMED when there is less than it reads. */
export class CallReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
      : bytes
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    const at = this.#skip(1)
    return this.#bytes[at] as number
  }

  u16(): number {
    const at = this.#skip(2)
    return (this.#bytes[at] as number) | ((this.#bytes[at + 1] as number) << 8)
  }

  u32(): number {
    const at = this.#skip(4)
    const bytes = this.#bytes
    return (
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)) >>>
      0
    )
  }

  integer(): number {
    const low = this.u32()
    const high = this.u32()
    if (high > 0x1f_ffff) throw malformed('an integer above 2^53 - 1')
    return high * HIGH + low
  }

  /** @param bytesMax longer text is refused */
  text(bytesMax: number): string {
    const length = this.u16()
    if (length > bytesMax) throw malformed('text that is too long')
    const from = this.#skip(length)
    return readText(this.#bytes, from, from + length)
  }

  /** @returns a part of the whole, which it keeps in memory */
  view(bytesMax: number): Uint8Array {
    const length = this.u32()
    if (length > bytesMax) throw malformed('more bytes than there may be')
    const from = this.#skip(length)
    return this.#bytes.subarray(from, from + length)
  }

  /** @returns a copy */
  blob(bytesMax: number): Uint8Array {
    return slice.call(this.view(bytesMax))
  }

  /** Everything must be read. */
  end(): void {
    if (this.left > 0) throw malformed('more bytes than it needs')
  }

  #skip(length: number): number {
    const at = this.#at
    if (this.#bytes.length - at < length) throw malformed('it ends too soon')
    this.#at = at + length
    return at
  }
}

/** Bytes that nobody of this version can have written. */
export function malformed(why: string): TrackerError {
  return new TrackerError('ERR_MALFORMED', `a message of the call lane: ${why}`)
}

function readText(bytes: Uint8Array, from: number, to: number): string {
  if (to - from <= SHORT_TEXT) {
    let text = ''
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number
      if (byte > 0x7f) return decode(bytes.subarray(from, to))
      text += String.fromCharCode(byte)
    }
    return text
  }
  return decode(bytes.subarray(from, to))
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new TrackerError('ERR_MALFORMED', 'a message of the call lane: text that is not UTF-8', {
      cause,
    })
  }
}
