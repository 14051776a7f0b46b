/**
 * Takes RTMP messages out of the chunk stream (Adobe RTMP 1.0 section 5.3). A message that lies in one chunk, and that chunk in
 * one of the socket's buffers, is a view of that buffer; every other one is copied once, into memory of its own. No object and
 * no promise is made for a chunk.
 */
import assert from 'node:assert/strict'
import { KairoError } from '../../errors.ts'
import { rtmpLimits } from '../../limits.ts'
import type { RtmpMessage } from './message.ts'

/** Chunk size before anyone sets another (5.4.1). */
export const DEFAULT_CHUNK_BYTES = 128
const EXTENDED = 0xff_ffff
const EXTENDED_BYTES = 4
/** 3 bytes of basic header, 11 of message header, 4 of extended timestamp. */
const HEADER_BYTES_MAX = 18
const MESSAGE_HEADER_BYTES = [11, 7, 3, 0] as const
const FORMAT_FULL = 0
const FORMAT_CONTINUE = 3
const NO_BYTES: Buffer = Buffer.alloc(0)
/** A view keeps the whole buffer alive, so a message is one only where it fills at least this share of it. */
const VIEW_SHARE_MIN = 0.5

/** What later chunks of the same chunk stream inherit. */
interface ChunkStream {
  readonly id: number
  timestamp: number
  delta: number
  length: number
  type: number
  streamId: number
  /** The last header carried an extended timestamp, with this value. */
  extended: number | undefined
  /** The message under assembly; without memory until its first bytes are there. */
  payload: Buffer | undefined
  filled: number
}

/** Reads one connection's chunks. */
export class ChunkReader {
  #chunkBytes = DEFAULT_CHUNK_BYTES
  #messageBytesMax: number
  readonly #streams = new Map<number, ChunkStream>()
  #retainedBytes = 0
  #message: RtmpMessage | undefined

  /** Bytes of the header that is being read. */
  readonly #header = Buffer.alloc(HEADER_BYTES_MAX)
  #headerLength = 0
  /** The chunk whose payload is being read, and how much of that payload is still to come. */
  #current: ChunkStream | undefined
  #chunkLeft = 0
  /** Bytes taken for an extended timestamp that turned out to be payload. */
  #replay: Buffer | undefined

  /** `messageBytesMax`: longest message accepted, until {@link ChunkReader.allowMessages} changes it. */
  constructor(messageBytesMax: number = rtmpLimits.messageBytesMax) {
    this.#messageBytesMax = messageBytesMax
  }

  /** Bytes set aside for messages that are not complete. */
  get retainedBytes(): number {
    return this.#retainedBytes
  }

  /** Changes the longest message accepted, for messages that begin from now on. */
  allowMessages(bytesMax: number): void {
    this.#messageBytesMax = bytesMax
  }

  /**
   * The other side announced its chunk size (5.4.1).
   * @throws KairoError `ERR_PROTOCOL` for 0 or a set top bit, `ERR_LIMIT` for one larger than this peer takes.
   */
  setChunkBytes(bytes: number): void {
    if (bytes < 1 || bytes > 0x7fff_ffff) {
      throw new KairoError('ERR_PROTOCOL', `${bytes} is no RTMP chunk size`)
    }
    if (bytes > rtmpLimits.chunkBytesMax) {
      throw new KairoError('ERR_LIMIT', `an RTMP chunk size of ${bytes} bytes is too large`)
    }
    this.#chunkBytes = bytes
  }

  /** Drops the message under assembly on a chunk stream (5.4.2). */
  abort(chunkStreamId: number): void {
    const stream = this.#streams.get(chunkStreamId)
    if (stream !== undefined) this.#release(stream)
  }

  /**
   * Reads from `data` at `offset` until a message is complete or the bytes are used up, and returns the new offset. Call
   * {@link ChunkReader.take} after each call, and read again until it returns undefined: then all bytes are used. The bytes
   * must not change any more, because messages may be views of them.
   * @throws KairoError `ERR_PROTOCOL` or `ERR_LIMIT`; the connection cannot go on after either.
   */
  read(data: Buffer, offset: number): number {
    assert(this.#message === undefined, 'take the message before reading on')
    let position = offset
    do {
      this.#consumeReplay()
      if (this.#message === undefined) position = this.#consume(data, position)
    } while (this.#message === undefined && this.#replay !== undefined)
    return position
  }

  /** The message completed by the last {@link ChunkReader.read}, once. */
  take(): RtmpMessage | undefined {
    const message = this.#message
    this.#message = undefined
    return message
  }

  #consumeReplay(): void {
    while (this.#replay !== undefined && this.#message === undefined) {
      const replay = this.#replay
      this.#replay = undefined
      const used = this.#consume(replay, 0)
      this.#pushBack(replay.subarray(used))
    }
  }

  /** Uses bytes until a message is complete, bytes must be replayed, or `data` ends. */
  #consume(data: Buffer, start: number): number {
    let offset = start
    while (offset < data.byteLength && this.#message === undefined && this.#replay === undefined) {
      offset =
        this.#current === undefined
          ? this.#readHeader(data, offset)
          : this.#readPayload(this.#current, data, offset)
    }
    return offset
  }

  #readPayload(stream: ChunkStream, data: Buffer, offset: number): number {
    assert(stream.payload !== undefined && this.#chunkLeft > 0)
    const count = Math.min(this.#chunkLeft, data.byteLength - offset)
    if (count === stream.length && count >= data.byteLength * VIEW_SHARE_MIN) {
      stream.payload = data.subarray(offset, offset + count)
    } else {
      if (stream.filled === 0) stream.payload = Buffer.allocUnsafe(stream.length)
      data.copy(stream.payload, stream.filled, offset, offset + count)
    }
    stream.filled += count
    this.#chunkLeft -= count
    if (this.#chunkLeft === 0) this.#finishChunk(stream, stream.payload)
    return offset + count
  }

  #finishChunk(stream: ChunkStream, payload: Buffer): void {
    this.#current = undefined
    if (stream.filled < stream.length) return
    this.#release(stream)
    this.#message = {
      type: stream.type,
      streamId: stream.streamId,
      timestamp: stream.timestamp,
      data: payload,
    }
  }

  #readHeader(data: Buffer, start: number): number {
    const header = this.#header
    let offset = start
    while (offset < data.byteLength) {
      header[this.#headerLength] = data[offset] ?? 0
      this.#headerLength += 1
      offset += 1
      const state = this.#headerState()
      if (state === 'more') continue
      if (state === 'not-extended') {
        const base = this.#headerLength - this.#extendedLength()
        this.#pushBack(Buffer.from(header.subarray(base, this.#headerLength)))
        this.#headerLength = base
      }
      this.#beginChunk()
      this.#headerLength = 0
      return offset
    }
    return offset
  }

  /** Bytes gathered beyond basic and message header. */
  #extendedLength(): number {
    const { basic, format } = this.#basic()
    return this.#headerLength - basic - (MESSAGE_HEADER_BYTES[format] ?? 0)
  }

  #basic(): { basic: number; format: number; id: number } {
    const first = this.#header[0] ?? 0
    const format = first >> 6
    const low = first & 63
    if (low === 0) return { basic: 2, format, id: 64 + (this.#header[1] ?? 0) }
    if (low === 1) {
      return { basic: 3, format, id: 64 + (this.#header[1] ?? 0) + (this.#header[2] ?? 0) * 256 }
    }
    return { basic: 1, format, id: low }
  }

  #headerState(): 'more' | 'complete' | 'not-extended' {
    const { basic, format, id } = this.#basic()
    const base = basic + (MESSAGE_HEADER_BYTES[format] ?? 0)
    const gathered = this.#headerLength - base
    if (gathered < 0) return 'more'
    if (format !== FORMAT_CONTINUE) {
      const extended = this.#header.readUIntBE(basic, 3) === EXTENDED
      return gathered < (extended ? EXTENDED_BYTES : 0) ? 'more' : 'complete'
    }
    const stream = this.#streams.get(id)
    if (stream?.extended === undefined) return 'complete'
    if (stream.payload !== undefined && !this.#mayBeExtended(stream, base, gathered)) {
      return 'not-extended'
    }
    return gathered < EXTENDED_BYTES ? 'more' : 'complete'
  }

  /**
   * The specification repeats the extended timestamp in every chunk of a message; some encoders do not. So the bytes are
   * compared with the two values an encoder may repeat, and at the first difference they are payload.
   */
  #mayBeExtended(stream: ChunkStream, base: number, gathered: number): boolean {
    return (
      startsWith(this.#header, base, gathered, stream.extended ?? 0) ||
      startsWith(this.#header, base, gathered, stream.timestamp)
    )
  }

  #pushBack(bytes: Buffer): void {
    if (bytes.byteLength === 0) return
    this.#replay = this.#replay === undefined ? bytes : Buffer.concat([this.#replay, bytes])
  }

  #beginChunk(): void {
    const { basic, format, id } = this.#basic()
    const stream = this.#streamFor(id, format)
    const extendedAt = basic + (MESSAGE_HEADER_BYTES[format] ?? 0)
    const extended =
      this.#headerLength > extendedAt ? this.#header.readUInt32BE(extendedAt) : undefined
    if (stream.payload === undefined) {
      this.#beginMessage(stream, format, basic, extended)
    } else if (format !== FORMAT_CONTINUE) {
      this.#checkRepeatedHeader(stream, format, basic)
    }
    const payload = stream.payload
    assert(payload !== undefined)
    this.#chunkLeft = Math.min(this.#chunkBytes, stream.length - stream.filled)
    this.#current = stream
    if (this.#chunkLeft === 0) this.#finishChunk(stream, payload)
  }

  #streamFor(id: number, format: number): ChunkStream {
    const known = this.#streams.get(id)
    if (known !== undefined) return known
    // A new chunk stream must begin with a full header; some clients of librtmp begin one with a type 1 header instead.
    if (format > 1) {
      throw new KairoError('ERR_PROTOCOL', `RTMP chunk stream ${id} begins without a header`)
    }
    if (this.#streams.size >= rtmpLimits.chunkStreamsMax) {
      throw new KairoError('ERR_LIMIT', `more than ${rtmpLimits.chunkStreamsMax} chunk streams`)
    }
    const stream: ChunkStream = {
      id,
      timestamp: 0,
      delta: 0,
      length: 0,
      type: 0,
      streamId: 0,
      extended: undefined,
      payload: undefined,
      filled: 0,
    }
    this.#streams.set(id, stream)
    return stream
  }

  #beginMessage(
    stream: ChunkStream,
    format: number,
    basic: number,
    extended: number | undefined,
  ): void {
    const header = this.#header
    if (format <= 1) {
      stream.length = header.readUIntBE(basic + 3, 3)
      stream.type = header.readUInt8(basic + 6)
    }
    if (format === FORMAT_FULL) stream.streamId = header.readUInt32LE(basic + 7)
    if (format === FORMAT_CONTINUE) {
      // Without an extended timestamp the last delta counts again.
      advance(stream, extended ?? stream.delta, extended !== undefined)
    } else {
      const value = extended ?? header.readUIntBE(basic, 3)
      stream.extended = extended
      if (format === FORMAT_FULL) {
        stream.timestamp = value
        stream.delta = value
      } else {
        advance(stream, value, extended !== undefined)
      }
    }
    this.#reserve(stream)
  }

  #reserve(stream: ChunkStream): void {
    if (stream.length > this.#messageBytesMax) {
      throw new KairoError(
        'ERR_LIMIT',
        `an RTMP message of ${stream.length} bytes exceeds ${this.#messageBytesMax}`,
      )
    }
    if (this.#retainedBytes + stream.length > rtmpLimits.reassemblyBytesMax) {
      throw new KairoError('ERR_LIMIT', 'too many incomplete RTMP messages at once')
    }
    this.#retainedBytes += stream.length
    stream.payload = NO_BYTES
    stream.filled = 0
  }

  #release(stream: ChunkStream): void {
    if (stream.payload === undefined) return
    this.#retainedBytes -= stream.length
    stream.payload = undefined
    stream.filled = 0
  }

  /** A header in the middle of a message is tolerated only where it changes nothing (librtmp sends type 1 and 2 so). */
  #checkRepeatedHeader(stream: ChunkStream, format: number, basic: number): void {
    const same =
      format === 2 || (format === 1 && this.#header.readUIntBE(basic + 3, 3) === stream.length)
    if (!same) {
      throw new KairoError('ERR_PROTOCOL', 'an RTMP message begins inside another one')
    }
  }
}

/**
 * Moves a chunk stream's time on. An extended value is a delta by the specification, but several encoders put the absolute
 * time there; a step of hours is far less likely than that, so a value near the current time is taken as absolute.
 */
function advance(stream: ChunkStream, value: number, extended: boolean): void {
  const step = (value - stream.timestamp) | 0
  const absolute = extended && Math.abs(step) < EXTENDED
  stream.delta = absolute ? step : value
  stream.timestamp = (stream.timestamp + stream.delta) >>> 0
}

function startsWith(header: Buffer, start: number, count: number, value: number): boolean {
  for (let index = 0; index < count; index += 1) {
    if (header[start + index] !== ((value >>> (24 - 8 * index)) & 255)) return false
  }
  return true
}
