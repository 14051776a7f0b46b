/**
 * Puts RTMP messages into chunks (Adobe RTMP 1.0 section 5.3). What a server sends to a publisher is small and rare, so every
 * message has a full header.
 */
import assert from 'node:assert/strict'
import { DEFAULT_CHUNK_BYTES } from './chunk-reader.ts'
import { MESSAGE_TYPE, type RtmpMessage } from './message.ts'

const CONTROL_CHUNK_STREAM = 2
const COMMAND_CHUNK_STREAM = 3
const FULL_HEADER_BYTES = 12
const EXTENDED = 0xff_ffff

/** Writes one connection's chunks. */
export class ChunkWriter {
  #chunkBytes = DEFAULT_CHUNK_BYTES

  /** Takes effect with the next message; the other side must have been told before (5.4.1). */
  setChunkBytes(bytes: number): void {
    assert(bytes > 0)
    this.#chunkBytes = bytes
  }

  /** The bytes of one message. */
  encode(message: RtmpMessage): Buffer {
    const { data, type, streamId } = message
    const chunkStream =
      type <= MESSAGE_TYPE.setPeerBandwidth ? CONTROL_CHUNK_STREAM : COMMAND_CHUNK_STREAM
    const extended = message.timestamp >= EXTENDED
    const header = Buffer.alloc(FULL_HEADER_BYTES)
    header.writeUInt8(chunkStream)
    header.writeUIntBE(extended ? EXTENDED : message.timestamp, 1, 3)
    header.writeUIntBE(data.byteLength, 4, 3)
    header.writeUInt8(type, 7)
    header.writeUInt32LE(streamId, 8)
    const time = Buffer.alloc(extended ? 4 : 0)
    if (extended) time.writeUInt32BE(message.timestamp)
    const parts = [header, time, data.subarray(0, this.#chunkBytes)]
    for (let offset = this.#chunkBytes; offset < data.byteLength; offset += this.#chunkBytes) {
      parts.push(Buffer.of(0xc0 | chunkStream), time)
      parts.push(data.subarray(offset, offset + this.#chunkBytes))
    }
    return Buffer.concat(parts)
  }
}
