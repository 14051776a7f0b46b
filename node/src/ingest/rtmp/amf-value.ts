/**
 * The values that AMF0 and AMF3 carry, as both decoders produce them, and the budget that bounds one message's decoding.
 */
import { KairoError } from '../../errors.ts'
import { rtmpLimits } from '../../limits.ts'

/** One AMF value. Objects and associative arrays are maps, so that names from outside never meet a prototype. */
export type AmfValue =
  | number
  | boolean
  | string
  | null
  | undefined
  | Date
  | Uint8Array
  | readonly AmfValue[]
  | AmfObject

/** An AMF object or associative array, in the order of the wire. */
export type AmfObject = ReadonlyMap<string, AmfValue>

/** Counts values and nesting while one message is decoded. */
export class AmfBudget {
  readonly #itemsMax: number
  readonly #depthMax: number
  #items = 0
  #depth = 0

  constructor(
    itemsMax: number = rtmpLimits.amfItemsMax,
    depthMax: number = rtmpLimits.amfDepthMax,
  ) {
    this.#itemsMax = itemsMax
    this.#depthMax = depthMax
  }

  /** Counts one value or property; throws KairoError `ERR_LIMIT` beyond the limit. */
  item(): void {
    this.#items += 1
    if (this.#items > this.#itemsMax) {
      throw new KairoError('ERR_LIMIT', `more than ${this.#itemsMax} AMF values in one message`)
    }
  }

  /** Runs `decode` one level deeper; throws KairoError `ERR_LIMIT` beyond the limit. */
  nested<T>(decode: () => T): T {
    this.#depth += 1
    if (this.#depth > this.#depthMax) {
      throw new KairoError('ERR_LIMIT', `AMF values nested more than ${this.#depthMax} deep`)
    }
    const value = decode()
    this.#depth -= 1
    return value
  }
}

/** A cursor over AMF bytes. Every read past the end throws KairoError `ERR_PROTOCOL`. */
export class AmfCursor {
  readonly #buffer: Buffer
  #offset: number

  constructor(bytes: Uint8Array, offset = 0) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#offset = offset
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.#buffer.byteLength - this.#offset
  }

  /** The next byte without passing it; undefined at the end. */
  get next(): number | undefined {
    return this.#buffer[this.#offset]
  }

  /** An unsigned byte. */
  u8(): number {
    return this.#buffer.readUInt8(this.#advance(1))
  }

  /** A big-endian unsigned 16-bit number. */
  u16(): number {
    return this.#buffer.readUInt16BE(this.#advance(2))
  }

  /** A big-endian unsigned 32-bit number. */
  u32(): number {
    return this.#buffer.readUInt32BE(this.#advance(4))
  }

  /** A big-endian signed 32-bit number. */
  i32(): number {
    return this.#buffer.readInt32BE(this.#advance(4))
  }

  /** A big-endian double. */
  double(): number {
    return this.#buffer.readDoubleBE(this.#advance(8))
  }

  /** UTF-8 text of a given length; bytes that are no UTF-8 become U+FFFD. */
  text(bytes: number): string {
    const start = this.#advance(bytes)
    return this.#buffer.toString('utf8', start, start + bytes)
  }

  /** A copy of the next bytes. */
  bytes(count: number): Uint8Array {
    const start = this.#advance(count)
    return Uint8Array.prototype.slice.call(this.#buffer, start, start + count)
  }

  #advance(count: number): number {
    if (count > this.left) throw new KairoError('ERR_PROTOCOL', 'an AMF value ends too early')
    const start = this.#offset
    this.#offset += count
    return start
  }
}
