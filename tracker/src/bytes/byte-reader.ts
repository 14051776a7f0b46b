/**
 * Reads what a {@link ByteWriter} wrote, and believes nothing: each length and each count is held against its limit and against what is there
 * before anything is made of it, a varint has one form only, and text is UTF-8.
 */
import { Buffer } from 'node:buffer'
import { TrackerError, type TrackerErrorCode } from '../errors.ts'

/** Bytes of the longest varint: 53 bits. */
const VARINT_BYTES_MAX = 8
const TWO_32 = 2 ** 32
/** The upper half of 2^53 - 1. */
const HIGH_MAX = 0x1f_ffff
/** Longer text is read by a native call, whose price a short one does not earn back. */
const SHORT_TEXT = 24

const noBytes: Uint8Array = new Uint8Array(0)
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A reader; what does not fit makes it throw a TrackerError of its code. */
export class ByteReader {
  /** What is read, never a Buffer: parts and copies of one take long to make. */
  bytes: Uint8Array = noBytes
  /** Where the next byte is read. */
  at = 0
  readonly #code: TrackerErrorCode

  /** @param code of the errors: ERR_MALFORMED unless it was the caller who brought the bytes */
  constructor(bytes: Uint8Array, code: TrackerErrorCode = 'ERR_MALFORMED') {
    this.#code = code
    this.reset(bytes)
  }

  /** Begins anew with other bytes. */
  reset(bytes: Uint8Array): this {
    this.bytes = Buffer.isBuffer(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
      : bytes
    this.at = 0
    return this
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.bytes.length - this.at
  }

  /** Says that what was read cannot be. */
  fail(what: string, cause?: unknown): never {
    const options = cause === undefined ? {} : { cause }
    throw new TrackerError(this.#code, `malformed: ${what} (byte ${this.at})`, options)
  }

  u8(): number {
    const { at } = this
    if (at >= this.bytes.length) this.#endsEarly()
    this.at = at + 1
    return this.bytes[at] as number
  }

  u16(): number {
    const at = this.skip(2)
    return (this.bytes[at] as number) | ((this.bytes[at + 1] as number) << 8)
  }

  u32(): number {
    return this.#u32At(this.skip(4))
  }

  /** So many numbers of 32 bits; memory is taken when they are known to be there. */
  u32s(count: number): Uint32Array {
    let at = this.skip(count * 4)
    const numbers = new Uint32Array(count)
    for (let index = 0; index < count; index++, at += 4) numbers[index] = this.#u32At(at)
    return numbers
  }

  /** A whole number up to 2^53 - 1, of eight bytes. */
  integer(): number {
    const at = this.skip(8)
    const high = this.#u32At(at + 4)
    if (high > HIGH_MAX) this.fail('an integer above 2^53 - 1')
    return high * TWO_32 + this.#u32At(at)
  }

  /** A whole number up to `max`, in its shortest form. */
  varint(max: number = Number.MAX_SAFE_INTEGER): number {
    const { at } = this
    if (at < this.bytes.length) {
      const first = this.bytes[at] as number
      if (first < 128 && first <= max) {
        this.at = at + 1
        return first
      }
    }
    return this.#longVarint(max)
  }

  flag(): boolean {
    const value = this.u8()
    if (value > 1) this.fail('a flag is neither 0 nor 1')
    return value === 1
  }

  /** One of some words, by its place among them (u8). */
  word<Word extends string>(words: readonly Word[]): Word {
    return words[this.u8()] ?? this.fail('none of the choices')
  }

  /** Passes over bytes. @returns where they start */
  skip(count: number): number {
    const { at } = this
    if (count > this.bytes.length - at) this.#endsEarly()
    this.at = at + count
    return at
  }

  /** A part of the same memory, of a length. */
  raw(length: number): Uint8Array {
    const from = this.skip(length)
    return this.bytes.subarray(from, from + length)
  }

  /** Length (varint) and text. */
  text(bytesMax: number, bytesMin = 0): string {
    const length = this.varint(bytesMax)
    if (length < bytesMin) this.fail('a text is too short')
    return this.#text(length, bytesMax)
  }

  /** Length (u16) and text. */
  text16(bytesMax: number): string {
    return this.#text(this.u16(), bytesMax)
  }

  /** Length (u32) and text. */
  text32(bytesMax: number): string {
    return this.#text(this.u32(), bytesMax)
  }

  /** Length (u32) and bytes: a part of the same memory, which it keeps. */
  view32(bytesMax: number): Uint8Array {
    const length = this.u32()
    if (length > bytesMax) this.fail(`${length} bytes where ${bytesMax} are the most`)
    return this.raw(length)
  }

  /** Length (u32) and bytes: a copy, so that what is kept does not hold a whole frame. */
  bytes32(bytesMax: number): Uint8Array {
    return this.view32(bytesMax).slice()
  }

  /** Count (u32) and items. @param itemBytesMin the fewest bytes an item can take, so that a false count asks for nothing */
  list32<Item>(itemsMax: number, itemBytesMin: number, read: () => Item): Item[] {
    const count = this.u32()
    if (count > itemsMax || count * itemBytesMin > this.left) this.fail(`${count} items`)
    return Array.from({ length: count }, read)
  }

  /** Says that nothing follows. */
  end(): void {
    if (this.left > 0) this.fail('bytes are left over')
  }

  #longVarint(max: number): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      const byte = this.u8()
      value += (byte & 127) * scale
      scale *= 128
      if (byte >= 128) continue
      if (value > max) this.fail(`a number is more than ${max}`)
      if (byte === 0 && count > 0) this.fail('a number is longer than it needs to be')
      return value
    }
    return this.fail('a number does not end')
  }

  #u32At(at: number): number {
    const { bytes } = this
    return (
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)) >>>
      0
    )
  }

  #text(length: number, bytesMax: number): string {
    if (length > bytesMax) this.fail('a text is too long')
    const from = this.skip(length)
    const to = from + length
    if (length > SHORT_TEXT) return this.#utf8(from, to)
    const { bytes } = this
    let text = ''
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number
      if (byte > 0x7f) return this.#utf8(from, to)
      text += String.fromCharCode(byte)
    }
    return text
  }

  #utf8(from: number, to: number): string {
    try {
      return utf8.decode(this.bytes.subarray(from, to))
    } catch (cause) {
      return this.fail('a text is not UTF-8', cause)
    }
  }

  #endsEarly(): never {
    return this.fail('it ends too early')
  }
}

/** The error for bytes that nobody of this version can have written, where no reader is at hand. */
export function malformed(what: string, cause?: unknown): TrackerError {
  return new TrackerError('ERR_MALFORMED', what, cause === undefined ? {} : { cause })
}
