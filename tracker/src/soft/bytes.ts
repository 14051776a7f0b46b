/** Writing and strict reading of the soft state's bytes: little-endian, variable integers of 7 bits a byte with the lowest first. */
import { TrackerError, type TrackerErrorCode } from '../errors.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What a signed 32-bit shift cannot reach is reached by multiplication. */
const SHIFT_28 = 2 ** 28

/** Bytes of the largest integer, 2^53 - 1. */
const VARINT_BYTES_MAX = 8

/** A buffer that grows as it is written; used again and again. */
export class ByteWriter {
  bytes: Uint8Array
  /** Bytes written. */
  at = 0

  constructor(bytesFirst = 1_024) {
    this.bytes = new Uint8Array(bytesFirst)
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + count))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
  }

  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.at++] = value
  }

  u16(value: number): void {
    this.reserve(2)
    this.bytes[this.at++] = value
    this.bytes[this.at++] = value >>> 8
  }

  u32(value: number): void {
    this.reserve(4)
    const { bytes } = this
    bytes[this.at++] = value
    bytes[this.at++] = value >>> 8
    bytes[this.at++] = value >>> 16
    bytes[this.at++] = value >>> 24
  }

  /** The first `count` of some numbers of 32 bits. */
  u32s(values: ArrayLike<number>, count: number): void {
    this.reserve(count * 4)
    const { bytes } = this
    let to = this.at
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      bytes[to] = value
      bytes[to + 1] = value >>> 8
      bytes[to + 2] = value >>> 16
      bytes[to + 3] = value >>> 24
      to += 4
    }
    this.at = to
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.reserve(VARINT_BYTES_MAX)
    let rest = value
    while (rest >= SHIFT_28) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest >= 128) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.bytes[this.at++] = rest
  }

  raw(source: Uint8Array): void {
    this.reserve(source.length)
    this.bytes.set(source, this.at)
    this.at += source.length
  }

  /** Length and UTF-8. */
  text(value: string): void {
    // UTF-16 units become three bytes at most.
    this.reserve(value.length * 3 + VARINT_BYTES_MAX)
    const encoded = encoder.encode(value)
    this.varint(encoded.length)
    this.raw(encoded)
  }

  /** A copy of what was written, and an empty writer. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.at)
    this.at = 0
    return taken
  }
}

/** Reads bytes of somebody else; everything that is not exactly right throws. */
export class ByteReader {
  bytes: Uint8Array = new Uint8Array(0)
  at = 0
  readonly #code: TrackerErrorCode

  /** @param code of the TrackerError that is thrown */
  constructor(code: TrackerErrorCode) {
    this.#code = code
  }

  reset(bytes: Uint8Array): this {
    this.bytes = bytes
    this.at = 0
    return this
  }

  fail(what: string): never {
    throw new TrackerError(this.#code, `soft state: ${what} at byte ${this.at}`)
  }

  u8(): number {
    const value = this.bytes[this.at]
    if (value === undefined) return this.fail('ends early')
    this.at += 1
    return value
  }

  u16(): number {
    return this.u8() | (this.u8() << 8)
  }

  u32(): number {
    const from = this.skip(4)
    const { bytes } = this
    return (
      ((bytes[from] as number) |
        ((bytes[from + 1] as number) << 8) |
        ((bytes[from + 2] as number) << 16) |
        ((bytes[from + 3] as number) << 24)) >>>
      0
    )
  }

  /** So many numbers of 32 bits; memory is taken when they are known to be there. */
  u32s(count: number): Uint32Array {
    let from = this.skip(count * 4)
    const { bytes } = this
    const numbers = new Uint32Array(count)
    for (let index = 0; index < count; index++, from += 4) {
      numbers[index] =
        (bytes[from] as number) |
        ((bytes[from + 1] as number) << 8) |
        ((bytes[from + 2] as number) << 16) |
        ((bytes[from + 3] as number) << 24)
    }
    return numbers
  }

  /** A whole number up to `max`, in its shortest form. */
  varint(max: number): number {
    const first = this.bytes[this.at]
    if (first !== undefined && first < 0x80 && first <= max) {
      this.at += 1
      return first
    }
    return this.#longVarint(max)
  }

  #longVarint(max: number): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      scale *= 128
      if (byte < 0x80) {
        if (value > max) this.fail(`${value} is more than ${max}`)
        if (byte === 0 && count > 0) this.fail('a number that is longer than it needs to be')
        return value
      }
    }
    return this.fail('a number that does not end')
  }

  /** Passes over bytes. @returns where they start */
  skip(count: number): number {
    const from = this.at
    if (count > this.bytes.length - from) this.fail('ends early')
    this.at = from + count
    return from
  }

  /** Text of `bytesMin` to `bytesMax` bytes. */
  text(bytesMax: number, bytesMin = 0): string {
    const length = this.varint(bytesMax)
    if (length < bytesMin) this.fail('an empty text')
    const from = this.skip(length)
    try {
      return decoder.decode(this.bytes.subarray(from, from + length))
    } catch {
      return this.fail('text that is not UTF-8')
    }
  }

  /** @throws TrackerError when something is left */
  end(): void {
    if (this.at !== this.bytes.length) this.fail('goes on')
  }
}
