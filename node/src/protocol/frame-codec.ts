/**
 * Frames on a stream between peers: length of the header as an unsigned varint, header (one protobuf message), payload.
 * The decoder takes bytes as they come and never holds more than one frame's limits allow.
 */
import { Buffer } from 'node:buffer'
import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { KairoError } from '../errors.ts'
import { encodeUvarint } from './uvarint.ts'

/** One frame off the stream. */
export interface Frame<Header> {
  readonly header: Header
  /** The frame's own copy of its payload; empty when it has none. */
  readonly payload: Buffer
}

/** What one direction of a protocol may send. */
export interface FrameLimits {
  readonly headerBytesMax: number
  readonly payloadBytesMax: number
}

/** Bytes of a length that may be in a varint: four of them reach 256 MiB. */
const LENGTH_BYTES_MAX = 4
/** A header or payload up to this size gets its whole buffer at once. */
const FIRST_BUFFER_BYTES = 512 * 1024
const EMPTY: Buffer = Buffer.alloc(0)

/** A header behind its length; the payload follows it on the stream as it is. */
export function encodeFrameHeader<Desc extends DescMessage>(
  schema: Desc,
  header: MessageShape<Desc>,
): Buffer {
  const bytes = toBinary(schema, header)
  return Buffer.concat([encodeUvarint(bytes.byteLength), bytes])
}

/** Cuts a stream of bytes into frames whose headers are messages of one type. */
export class FrameDecoder<Desc extends DescMessage> {
  readonly #schema: Desc
  readonly #payloadBytesOf: (header: MessageShape<Desc>) => number
  readonly #limits: FrameLimits
  #buffer: Buffer = EMPTY
  #buffered = 0
  #length = 0
  #lengthBytes = 0
  /** Bytes that the present step needs: undefined while reading a length. */
  #headerBytes: number | undefined
  #header: MessageShape<Desc> | undefined
  #payloadBytes = 0

  constructor(
    schema: Desc,
    payloadBytesOf: (header: MessageShape<Desc>) => number,
    limits: FrameLimits,
  ) {
    this.#schema = schema
    this.#payloadBytesOf = payloadBytesOf
    this.#limits = limits
  }

  /** True between two frames: the stream may end here. */
  get isBetweenFrames(): boolean {
    return this.#lengthBytes === 0 && this.#headerBytes === undefined
  }

  /** Bytes held for the frame that is not complete. */
  get bufferedBytes(): number {
    return this.#buffered
  }

  /**
   * The frames that these bytes complete.
   * @throws KairoError `ERR_PROTOCOL` for a malformed frame, `ERR_LIMIT` for one that is too large; the decoder is then of no
   * further use.
   */
  *push(chunk: Uint8Array): Generator<Frame<MessageShape<Desc>>> {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (;;) {
      if (this.#headerBytes === undefined) {
        rest = this.#readLength(rest)
        if (this.#headerBytes === undefined) return
      }
      if (this.#header === undefined) {
        rest = this.#take(rest, this.#headerBytes)
        if (this.#buffered < this.#headerBytes) return
        this.#readHeader()
      }
      rest = this.#take(rest, this.#payloadBytes)
      if (this.#buffered < this.#payloadBytes) return
      yield this.#finish()
    }
  }

  #readLength(bytes: Buffer): Buffer {
    for (let index = 0; index < bytes.byteLength; index += 1) {
      const byte = bytes[index] ?? 0
      this.#length += (byte & 0x7f) * 2 ** (7 * this.#lengthBytes)
      this.#lengthBytes += 1
      if (byte < 0x80) {
        if (this.#length === 0 || (byte === 0 && this.#lengthBytes > 1)) {
          throw new KairoError('ERR_PROTOCOL', 'a frame has no header or a padded length')
        }
        if (this.#length > this.#limits.headerBytesMax) {
          throw new KairoError('ERR_LIMIT', `a frame header of ${this.#length} bytes is too large`)
        }
        this.#headerBytes = this.#length
        return bytes.subarray(index + 1)
      }
      if (this.#lengthBytes >= LENGTH_BYTES_MAX) {
        throw new KairoError('ERR_PROTOCOL', 'the length of a frame header is too long')
      }
    }
    return bytes.subarray(bytes.byteLength)
  }

  #readHeader(): void {
    const bytes = this.#drain()
    try {
      this.#header = fromBinary(this.#schema, bytes)
    } catch (cause) {
      throw new KairoError('ERR_PROTOCOL', 'a frame header is not a message of this protocol', {
        cause,
      })
    }
    this.#payloadBytes = this.#payloadBytesOf(this.#header)
    if (this.#payloadBytes > this.#limits.payloadBytesMax) {
      throw new KairoError('ERR_LIMIT', `a payload of ${this.#payloadBytes} bytes is too large`)
    }
  }

  #finish(): Frame<MessageShape<Desc>> {
    const header = this.#header
    if (header === undefined) throw new RangeError('no header was read')
    const frame = { header, payload: this.#drain() }
    this.#header = undefined
    this.#headerBytes = undefined
    this.#length = 0
    this.#lengthBytes = 0
    this.#payloadBytes = 0
    return frame
  }

  /** Moves bytes into the buffer until it holds `wanted`; returns what is left. */
  #take(bytes: Buffer, wanted: number): Buffer {
    const taken = Math.min(wanted - this.#buffered, bytes.byteLength)
    if (taken === 0) return bytes
    this.#grow(this.#buffered + taken, wanted)
    bytes.copy(this.#buffer, this.#buffered, 0, taken)
    this.#buffered += taken
    return bytes.subarray(taken)
  }

  /** Memory follows what has arrived, not what a length promises: beyond a first step the buffer only doubles. */
  #grow(needed: number, wanted: number): void {
    if (needed <= this.#buffer.byteLength) return
    const capacity = Math.max(needed, FIRST_BUFFER_BYTES, this.#buffer.byteLength * 2)
    const larger = Buffer.allocUnsafeSlow(Math.min(wanted, capacity))
    this.#buffer.copy(larger, 0, 0, this.#buffered)
    this.#buffer = larger
  }

  /** What was buffered; the buffer is the caller's from then on. */
  #drain(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#buffered)
    this.#buffer = EMPTY
    this.#buffered = 0
    return bytes
  }
}
