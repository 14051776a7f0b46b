/**
 * Compact little-endian bytes of this room's messages and records (docs/protocol/region.md). Reading is strict: every
 * length is checked against its limit and against what is there before anything is taken.
 */
import assert from 'node:assert/strict'
import { TrackerError } from '../errors.ts'

const TWO_32 = 0x1_0000_0000
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Writes values behind one another. */
export class ByteWriter {
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  u8(value: number): this {
    assert(Number.isInteger(value) && value >= 0 && value < 256, 'a byte')
    // Making room may replace the view.
    const at = this.#room(1)
    this.#view.setUint8(at, value)
    return this
  }

  u32(value: number): this {
    assert(Number.isInteger(value) && value >= 0 && value < TWO_32, 'a word')
    const at = this.#room(4)
    this.#view.setUint32(at, value, true)
    return this
  }

  /** A whole number from 0 to 2^53 - 1, in 8 bytes. */
  integer(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'an integer')
    const at = this.#room(8)
    this.#view.setUint32(at, value % TWO_32, true)
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true)
    return this
  }

  flag(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  /** Length (u32) and bytes. */
  bytes(value: Uint8Array, bytesMax: number): this {
    assert(value.length <= bytesMax, `at most ${bytesMax} bytes`)
    this.u32(value.length)
    const at = this.#room(value.length)
    this.#bytes.set(value, at)
    return this
  }

  /** Length (u32) and UTF-8. */
  text(value: string, bytesMax: number): this {
    return this.bytes(encoder.encode(value), bytesMax)
  }

  /** Count (u32) and items. */
  list<T>(items: readonly T[], itemsMax: number, write: (item: T) => void): this {
    assert(items.length <= itemsMax, `at most ${itemsMax} items`)
    this.u32(items.length)
    for (const item of items) write(item)
    return this
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #room(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length))
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return at
  }
}

/** Reads what {@link ByteWriter} wrote. Every method throws TrackerError ERR_MALFORMED. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  integer(): number {
    const at = this.#take(8)
    const high = this.#view.getUint32(at + 4, true)
    if (high >= 0x20_0000) throw malformed('a number is out of range')
    return high * TWO_32 + this.#view.getUint32(at, true)
  }

  flag(): boolean {
    const value = this.u8()
    if (value > 1) throw malformed('a flag is neither 0 nor 1')
    return value === 1
  }

  /** One of a list of words, by its place. */
  word<T extends string>(words: readonly T[]): T {
    const word = words[this.u8()]
    if (word === undefined) throw malformed('an unknown word')
    return word
  }

  /** A copy, so that what is kept does not hold a whole frame. */
  bytes(bytesMax: number): Uint8Array {
    const length = this.u32()
    if (length > bytesMax) throw malformed(`${length} bytes where ${bytesMax} are the most`)
    const at = this.#take(length)
    return this.#bytes.slice(at, at + length)
  }

  text(bytesMax: number): string {
    try {
      return decoder.decode(this.bytes(bytesMax))
    } catch (cause) {
      if (cause instanceof TrackerError) throw cause
      throw malformed('a text is not UTF-8')
    }
  }

  /** @param itemBytesMin the fewest bytes an item can take, so that a false count asks for nothing */
  list<T>(itemsMax: number, itemBytesMin: number, read: () => T): T[] {
    const count = this.u32()
    if (count > itemsMax || count * itemBytesMin > this.#bytes.length - this.#at)
      throw malformed(`${count} items`)
    return Array.from({ length: count }, read)
  }

  /** Says that nothing follows. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed('bytes are left over')
  }

  #take(bytes: number): number {
    const at = this.#at
    if (bytes > this.#bytes.length - at) throw malformed('it ends too early')
    this.#at = at + bytes
    return at
  }
}

/** The error for bytes that nobody of this version can have written. */
export function malformed(what: string): TrackerError {
  return new TrackerError('ERR_MALFORMED', `cannot be read: ${what}`)
}
