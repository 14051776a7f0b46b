/**
 * Bytes of what the tracker says and keeps, written behind one another into memory that grows: little-endian. Numbers are of a fixed width or
 * varints of seven bits a byte, the lowest first. How long a text is stands before it, in the form that its protocol chose.
 */
import { strict as assert } from 'node:assert'
import { Buffer } from 'node:buffer'

/** Bytes of the longest varint: 53 bits. */
const VARINT_BYTES_MAX = 8
/** What a writer begins with. */
const BYTES_FIRST = 256
/** From here on bit operations would lose something. */
const SIGNED_32 = 2 ** 31
const TWO_32 = 2 ** 32
/** Longer text is written by a native call, whose price a short one does not earn back. */
const SHORT_TEXT = 24
/** One UTF-16 unit is three bytes of UTF-8 at most. */
const UNIT_BYTES_MAX = 3

/** A writer; it may be used again and again. */
export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>
  /** The same memory; another one when more room was made. */
  view: DataView
  /** Where the next byte goes; what lies before it is written. */
  length = 0
  /** The same memory for what only a Buffer writes; made when it is needed, for most writers never do. */
  #buffer: Buffer | undefined

  constructor(bytesFirst: number = BYTES_FIRST) {
    this.bytes = new Uint8Array(bytesFirst)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes room for so many more bytes. */
  reserve(size: number): void {
    if (this.length + size <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.length + size, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.length))
    this.#hold(larger)
  }

  u8(value: number): this {
    this.reserve(1)
    this.bytes[this.length++] = value
    return this
  }

  u16(value: number): this {
    this.reserve(2)
    this.view.setUint16(this.length, value, true)
    this.length += 2
    return this
  }

  u32(value: number): this {
    this.reserve(4)
    this.view.setUint32(this.length, value, true)
    this.length += 4
    return this
  }

  /** The first `count` of some numbers of 32 bits. */
  u32s(values: ArrayLike<number>, count: number): this {
    this.reserve(count * 4)
    for (let index = 0; index < count; index++) this.u32(values[index] as number)
    return this
  }

  /** A whole number from 0 to 2^53 - 1, in eight bytes. */
  integer(value: number): this {
    this.reserve(8)
    this.view.setUint32(this.length, value, true)
    this.view.setUint32(this.length + 4, Math.floor(value / TWO_32), true)
    this.length += 8
    return this
  }

  /** A whole number from 0 to 2^53 - 1, in as few bytes as it needs. */
  varint(value: number): this {
    this.reserve(VARINT_BYTES_MAX)
    const { bytes } = this
    let at = this.length
    let rest = value
    while (rest >= SIGNED_32) {
      bytes[at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    while (rest >= 128) {
      bytes[at++] = (rest & 127) | 128
      rest >>>= 7
    }
    bytes[at] = rest
    this.length = at + 1
    return this
  }

  flag(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  /** Bytes whose length the reader knows. */
  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
    return this
  }

  /** Length (varint) and UTF-8. */
  text(text: string): this {
    if (text.length > SHORT_TEXT) this.varint(Buffer.byteLength(text))
    this.reserve(1 + text.length * UNIT_BYTES_MAX)
    if (text.length > SHORT_TEXT) {
      this.length += this.#writeUtf8(text, this.length)
      return this
    }
    // Its length is one byte, so the text can be written first.
    const length = this.#writeText(text, this.length + 1)
    this.bytes[this.length] = length
    this.length += 1 + length
    return this
  }

  /** Length (u16) and UTF-8. */
  text16(text: string): this {
    this.reserve(2 + text.length * UNIT_BYTES_MAX)
    const at = this.length
    const length = this.#writeText(text, at + 2)
    assert(length <= 0xffff, 'two bytes tell its length')
    this.u16(length)
    this.length += length
    return this
  }

  /** Length (u32) and UTF-8. @param bytesMax of which there are no more: a mistake of the program's */
  text32(text: string, bytesMax: number): this {
    this.reserve(4 + text.length * UNIT_BYTES_MAX)
    const length = this.#writeText(text, this.length + 4)
    assert(length <= bytesMax, 'a text is within its limit')
    this.u32(length)
    this.length += length
    return this
  }

  /** Length (u32) and bytes. @param bytesMax of which there are no more: a mistake of the program's */
  bytes32(bytes: Uint8Array, bytesMax: number = TWO_32 - 1): this {
    assert(bytes.length <= bytesMax, 'bytes are within their limit')
    return this.u32(bytes.length).raw(bytes)
  }

  /** Count (u32) and items. @param itemsMax of which there are no more: a mistake of the program's */
  list32<Item>(items: readonly Item[], itemsMax: number, write: (item: Item) => void): this {
    assert(items.length <= itemsMax, 'a list is within its limit')
    this.u32(items.length)
    for (const item of items) write(item)
    return this
  }

  /** A copy of what was written; the writer begins anew, and keeps its memory up to a size. Default: whatever it is. */
  take(bytesKept: number = Number.POSITIVE_INFINITY): Uint8Array<ArrayBuffer> {
    const taken = this.bytes.slice(0, this.length)
    this.#begin(bytesKept)
    return taken
  }

  /** What was written, until something else is; the writer begins anew, and keeps its memory up to a size. */
  lend(bytesKept: number): Uint8Array<ArrayBuffer> {
    const lent = this.bytes.subarray(0, this.length)
    this.#begin(bytesKept)
    return lent
  }

  #begin(bytesKept: number): void {
    this.length = 0
    if (this.bytes.length > bytesKept) this.#hold(new Uint8Array(BYTES_FIRST))
  }

  #hold(memory: Uint8Array<ArrayBuffer>): void {
    this.bytes = memory
    this.view = new DataView(memory.buffer)
    this.#buffer = undefined
  }

  #writeText(text: string, at: number): number {
    if (text.length > SHORT_TEXT) return this.#writeUtf8(text, at)
    const { bytes } = this
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      if (unit > 0x7f) return this.#writeUtf8(text, at)
      bytes[at + index] = unit
    }
    return text.length
  }

  #writeUtf8(text: string, at: number): number {
    const { bytes } = this
    this.#buffer ??= Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    return this.#buffer.write(text, at)
  }
}
