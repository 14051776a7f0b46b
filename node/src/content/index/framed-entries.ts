/**
 * The encoded entries of a window, each behind its length, in one piece of memory, because the signature covers them as
 * one and they are hashed with every part. A change makes a new value; values that follow each other share their memory.
 */
import { encodeUvarint } from '../../protocol/uvarint.ts'

/** Room for this many times the entries at hand, so that most appends copy only the new one. */
const SPARE_FACTOR = 2
const BACKING_BYTES_MIN = 4_096

interface Backing {
  readonly bytes: Buffer
  /** End of what the newest value wrote; bytes before it never change. */
  used: number
}

/** An immutable run of encoded entries. */
export class FramedEntries {
  readonly #backing: Backing
  readonly #start: number
  /** End of each entry in the backing. */
  readonly #ends: readonly number[]

  private constructor(backing: Backing, start: number, ends: readonly number[]) {
    this.#backing = backing
    this.#start = start
    this.#ends = ends
  }

  /** The entries, encoded and not yet framed. */
  static of(entries: readonly Uint8Array[]): FramedEntries {
    const framed = entries.map(frame)
    const bytes = Buffer.concat(framed)
    let end = 0
    const ends = framed.map(({ byteLength }) => {
      end += byteLength
      return end
    })
    return new FramedEntries({ bytes, used: end }, 0, ends)
  }

  /** All entries, each behind its length, one after the other. */
  get bytes(): Uint8Array {
    return this.#backing.bytes.subarray(this.#start, this.#end)
  }

  /** Each entry without its length. */
  get entries(): Uint8Array[] {
    return this.#ends.map((_, index) => this.#entry(index))
  }

  /** The last entry without its length; undefined when there is none. */
  get last(): Uint8Array | undefined {
    return this.#ends.length === 0 ? undefined : this.#entry(this.#ends.length - 1)
  }

  /** These entries and one more. */
  append(entry: Uint8Array): FramedEntries {
    const framed = frame(entry)
    const end = this.#end
    const { bytes } = this.#backing
    // Somebody else has gone on from this value already, or the room is used up: begin a new piece of memory.
    if (this.#backing.used !== end || end + framed.byteLength > bytes.byteLength) {
      return this.#copyWith(framed)
    }
    bytes.set(framed, end)
    this.#backing.used = end + framed.byteLength
    return new FramedEntries(this.#backing, this.#start, [...this.#ends, this.#backing.used])
  }

  /** These entries without the first ones. */
  without(count: number): FramedEntries {
    if (count === 0) return this
    const start = this.#ends[count - 1] ?? this.#start
    return new FramedEntries(this.#backing, start, this.#ends.slice(count))
  }

  get #end(): number {
    return this.#ends.at(-1) ?? this.#start
  }

  #copyWith(framed: Uint8Array): FramedEntries {
    const live = this.bytes
    const used = live.byteLength + framed.byteLength
    const bytes = Buffer.allocUnsafeSlow(Math.max(BACKING_BYTES_MIN, used * SPARE_FACTOR))
    bytes.set(live, 0)
    bytes.set(framed, live.byteLength)
    const ends = this.#ends.map((end) => end - this.#start)
    return new FramedEntries({ bytes, used }, 0, [...ends, used])
  }

  #entry(index: number): Uint8Array {
    const start = index === 0 ? this.#start : (this.#ends[index - 1] ?? 0)
    const { bytes } = this.#backing
    let lengthBytes = 1
    while (((bytes[start + lengthBytes - 1] ?? 0) & 0x80) !== 0) lengthBytes += 1
    return bytes.subarray(start + lengthBytes, this.#ends[index])
  }
}

/** Bytes behind their length, as the signature covers them. */
export function frame(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([encodeUvarint(bytes.byteLength), bytes])
}
