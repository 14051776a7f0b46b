/**
 * A cursor over protobuf fields. DAG-PB is decoded by hand: the walker reads blocks of strangers, and wants each refused that breaks the
 * specification, with nothing allocated that the block itself does not hold.
 */
import { KairoError } from '../../errors.ts'

/** Reads fields of one message. */
export class ProtobufReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** True at the message's end. */
  get done(): boolean {
    return this.#at >= this.#bytes.byteLength
  }

  /** Number and wire type of the next field. */
  tag(): { readonly field: number; readonly wire: number } {
    const key = this.varint()
    return { field: Math.floor(key / 8), wire: key % 8 }
  }

  /**
   * An unsigned integer.
   * @throws KairoError `ERR_PROTOCOL` when it is cut off, or beyond 2^53.
   */
  varint(): number {
    let value = 0
    let factor = 1
    for (let count = 0; count < 8; count += 1) {
      const byte = this.#bytes[this.#at]
      if (byte === undefined) throw malformed('a number is cut off')
      this.#at += 1
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break
        return value
      }
      factor *= 128
    }
    throw malformed('a number is too large')
  }

  /** A field of bytes: a view, not a copy. */
  bytes(): Uint8Array {
    const length = this.varint()
    if (length > this.#bytes.byteLength - this.#at) throw malformed('a field is cut off')
    const start = this.#at
    this.#at += length
    return this.#bytes.subarray(start, this.#at)
  }

  /** Goes over a field that is not wanted. */
  skip(wire: number): void {
    if (wire === 0) this.varint()
    else if (wire === 2) this.bytes()
    else throw malformed(`wire type ${wire} is not expected here`)
  }
}

/** A block that breaks its format. */
export function malformed(what: string): KairoError {
  return new KairoError('ERR_PROTOCOL', `a damaged block: ${what}`)
}
