/**
 * Numbers and bytes in one buffer, written and read strictly: every length is checked before anything is made of it. Integers are
 * varints of seven bits a byte, the lowest first, and at most 2^53 - 1.
 */
import { TrackerError } from '../errors.ts'

/** Bytes of the longest varint: 53 bits. */
const VARINT_BYTES_MAX = 8
const BYTES_FIRST = 1024
/** From here on bit operations would lose something. */
const SMALL_MAX = 2 ** 31

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** A buffer that grows. */
export class ByteWriter {
  bytes: Uint8Array = new Uint8Array(BYTES_FIRST)
  view: DataView = new DataView(this.bytes.buffer)
  /** Where the next byte goes; what lies before it is written. */
  length = 0

  /** Makes room. */
  reserve(size: number): void {
    if (this.length + size <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.length + size, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
    this.view = new DataView(larger.buffer)
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length] = value
    this.length += 1
  }

  word(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.length, value, true)
    this.length += 4
  }

  varint(value: number): void {
    this.reserve(VARINT_BYTES_MAX)
    const { bytes } = this
    let rest = value
    while (rest >= SMALL_MAX) {
      bytes[this.length++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    while (rest >= 128) {
      bytes[this.length++] = (rest & 127) | 128
      rest >>>= 7
    }
    bytes[this.length++] = rest
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  text(text: string): void {
    const bytes = encoder.encode(text)
    this.varint(bytes.length)
    this.raw(bytes)
  }

  /** What was written, as bytes of their own; the writer is empty then and keeps its buffer unless it grew beyond `bytesKept`. */
  take(bytesKept: number): Uint8Array {
    const taken = this.bytes.slice(0, this.length)
    this.length = 0
    if (this.bytes.length > bytesKept) {
      this.bytes = new Uint8Array(BYTES_FIRST)
      this.view = new DataView(this.bytes.buffer)
    }
    return taken
  }
}

/** Reads what a {@link ByteWriter} wrote. All of its calls throw TrackerError ERR_MALFORMED beyond the end. */
export class ByteReader {
  readonly bytes: Uint8Array
  readonly view: DataView
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
  }

  /** Bytes that are left. */
  get left(): number {
    return this.bytes.length - this.at
  }

  byte(): number {
    if (this.at >= this.bytes.length) throw malformed('ends early')
    return this.bytes[this.at++] as number
  }

  word(): number {
    if (this.left < 4) throw malformed('ends early')
    this.at += 4
    return this.view.getUint32(this.at - 4, true)
  }

  varint(): number {
    const first = this.byte()
    if (first < 128) return first
    let value = first & 127
    let scale = 128
    for (let count = 1; count < VARINT_BYTES_MAX; count++) {
      const next = this.byte()
      value += (next & 127) * scale
      if (next < 128) {
        if (next === 0 || !Number.isSafeInteger(value)) throw malformed('a number is out of range')
        return value
      }
      scale *= 128
    }
    throw malformed('a number is out of range')
  }

  /** Bytes of the same buffer. */
  raw(length: number): Uint8Array {
    if (length > this.left) throw malformed('ends early')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  text(bytesMax: number): string {
    const length = this.varint()
    if (length > bytesMax) throw malformed('a text is too long')
    try {
      return decoder.decode(this.raw(length))
    } catch (cause) {
      throw malformed('a text is no UTF-8', cause)
    }
  }
}

/** The error of a decoder. */
export function malformed(what: string, cause?: unknown): TrackerError {
  return new TrackerError('ERR_MALFORMED', what, cause === undefined ? {} : { cause })
}
