/**
 * The client's side of RTMP by hand, for tests: handshake, chunks with any header, commands and media messages as bytes, and
 * the server's answers read back.
 */

import type { AmfValue } from '../../src/ingest/rtmp/amf-value.ts'
import { encodeAmf0 } from '../../src/ingest/rtmp/amf0.ts'
import { ChunkReader } from '../../src/ingest/rtmp/chunk-reader.ts'
import { decodeValues, MESSAGE_TYPE, type RtmpMessage } from '../../src/ingest/rtmp/message.ts'

/** The stream key that {@link publishBytes} uses unless told otherwise. */
export const STREAM_KEY = 'secret-key'
/** Message stream that {@link publishBytes} publishes on: the first one a server gives. */
export const STREAM_ID = 1
const BLOCK_BYTES = 1536

/** One chunk's header and payload; absent fields are absent on the wire by `format`. */
export interface ChunkFields {
  readonly format: 0 | 1 | 2 | 3
  readonly chunkStream: number
  /** Timestamp, or delta for formats 1 and 2. */
  readonly time?: number
  readonly length?: number
  readonly type?: number
  readonly streamId?: number
  /** Writes an extended timestamp of this value; the 24-bit field becomes 0xffffff. */
  readonly extended?: number
  readonly payload?: Uint8Array
}

/** One chunk. */
export function chunk(fields: ChunkFields): Buffer {
  const { format, chunkStream, extended } = fields
  const header = Buffer.alloc(11)
  header.writeUIntBE(extended === undefined ? (fields.time ?? 0) : 0xffffff, 0, 3)
  header.writeUIntBE(fields.length ?? 0, 3, 3)
  header.writeUInt8(fields.type ?? 0, 6)
  header.writeUInt32LE(fields.streamId ?? 0, 7)
  const time = Buffer.alloc(extended === undefined ? 0 : 4)
  if (extended !== undefined) time.writeUInt32BE(extended)
  return Buffer.concat([
    basicHeader(format, chunkStream),
    header.subarray(0, [11, 7, 3, 0][format]),
    time,
    fields.payload ?? Buffer.alloc(0),
  ])
}

function basicHeader(format: number, chunkStream: number): Buffer {
  const top = format << 6
  if (chunkStream < 64) return Buffer.of(top | chunkStream)
  if (chunkStream < 320) return Buffer.of(top, chunkStream - 64)
  return Buffer.of(top | 1, (chunkStream - 64) & 255, (chunkStream - 64) >> 8)
}

/** How {@link messageBytes} puts a message into chunks. */
export interface MessageOptions {
  readonly chunkStream?: number
  readonly chunkBytes?: number
  /** Leave the extended timestamp out of continuation chunks, as some encoders do. */
  readonly omitRepeatedTime?: boolean
}

/** A message with a full header, cut into chunks. */
export function messageBytes(
  message: Omit<RtmpMessage, 'data'> & { readonly data: Uint8Array },
  options: MessageOptions = {},
): Buffer {
  const { chunkStream = 4, chunkBytes = 128 } = options
  const { data, timestamp, type, streamId } = message
  const extended = timestamp >= 0xffffff ? { extended: timestamp } : {}
  const parts = [
    chunk({
      ...{ format: 0, chunkStream, time: timestamp, length: data.byteLength, type, streamId },
      ...extended,
      payload: data.subarray(0, chunkBytes),
    }),
  ]
  const repeated = options.omitRepeatedTime ? {} : extended
  for (let offset = chunkBytes; offset < data.byteLength; offset += chunkBytes) {
    const payload = data.subarray(offset, offset + chunkBytes)
    parts.push(chunk({ format: 3, chunkStream, ...repeated, payload }))
  }
  return Buffer.concat(parts)
}

/** A command in AMF0. */
export function commandBytes(streamId: number, ...values: readonly AmfValue[]): Buffer {
  const data = encodeAmf0(values)
  return messageBytes(
    { type: MESSAGE_TYPE.commandAmf0, streamId, timestamp: 0, data },
    { chunkStream: 3 },
  )
}

/** A protocol control message of 32-bit words. */
export function controlBytes(type: number, ...words: readonly number[]): Buffer {
  const data = Buffer.alloc(words.length * 4)
  for (const [index, word] of words.entries()) data.writeUInt32BE(word, index * 4)
  return messageBytes({ type, streamId: 0, timestamp: 0, data }, { chunkStream: 2 })
}

/** A media or data message on the publishing stream. */
export function mediaBytes(type: number, timestamp: number, data: Uint8Array): Buffer {
  return messageBytes(
    { type, streamId: STREAM_ID, timestamp, data },
    { chunkStream: type === MESSAGE_TYPE.video ? 6 : 4 },
  )
}

/** C0, C1 and C2. */
export function clientHandshake(): Buffer {
  return Buffer.concat([Buffer.of(3), Buffer.alloc(2 * BLOCK_BYTES, 0x5a)])
}

/** The `connect` command. */
export function connectBytes(fields: Readonly<Record<string, AmfValue>> = { app: 'live' }): Buffer {
  return commandBytes(0, 'connect', 1, new Map(Object.entries(fields)))
}

/** Everything a client sends to publish, in one piece: handshake, connect, createStream, publish. */
export function publishBytes(streamKey = STREAM_KEY): Buffer {
  return Buffer.concat([
    clientHandshake(),
    connectBytes(),
    commandBytes(0, 'releaseStream', 2, null, streamKey),
    commandBytes(0, 'FCPublish', 3, null, streamKey),
    commandBytes(0, 'createStream', 4, null),
    commandBytes(STREAM_ID, 'publish', 5, null, streamKey, 'live'),
  ])
}

/** A 320x240 x264 configuration as a legacy video tag. */
export const VIDEO_CONFIG_TAG: Buffer = Buffer.from(
  '17000000000164000dffe100196764000dacd94141fb0110000003001000000303c0f142996001000668ebe3cb22c0fdf8f800',
  'hex',
)
/** AAC-LC, 48 kHz, stereo, as a legacy audio tag. */
export const AUDIO_CONFIG_TAG: Buffer = Buffer.from('af001190', 'hex')

/** A legacy video tag with one NAL unit. */
export function videoTag(keyframe: boolean, compositionMs = 0, bytes = 8): Buffer {
  const tag = Buffer.alloc(9 + bytes, 0xab)
  tag.writeUInt8(keyframe ? 0x17 : 0x27)
  tag.writeUInt8(1, 1)
  tag.writeIntBE(compositionMs, 2, 3)
  tag.writeUInt32BE(bytes, 5)
  tag.writeUInt8(keyframe ? 0x65 : 0x41, 9)
  return tag
}

/** A legacy AAC tag with one frame. */
export function audioTag(bytes = 6): Buffer {
  return Buffer.concat([Buffer.of(0xaf, 1), Buffer.alloc(bytes, 0x21)])
}

/** What a server sent, read back. */
export class ServerBytes {
  readonly messages: RtmpMessage[] = []
  readonly #reader = new ChunkReader()
  #handshake = Buffer.alloc(0)

  /** S0, S1 and S2 as far as they came. */
  get handshake(): Buffer {
    return this.#handshake
  }

  /** Takes bytes from the server. */
  receive(bytes: Buffer): void {
    const wanted = Math.min(1 + 2 * BLOCK_BYTES - this.#handshake.byteLength, bytes.byteLength)
    this.#handshake = Buffer.concat([this.#handshake, bytes.subarray(0, wanted)])
    let offset = wanted
    for (;;) {
      offset = this.#reader.read(bytes, offset)
      const message = this.#reader.take()
      if (message === undefined) return
      if (message.type === MESSAGE_TYPE.setChunkSize) {
        this.#reader.setChunkBytes(message.data.readUInt32BE())
      }
      this.messages.push(message)
    }
  }

  /** The values of every command, in order. */
  commands(): AmfValue[][] {
    return this.messages
      .filter((message) => message.type === MESSAGE_TYPE.commandAmf0)
      .map((message) => decodeValues(message))
  }

  /** The status codes sent, in order, of `onStatus`, `_result` and `_error`. */
  codes(): string[] {
    return this.commands().flatMap((values) => {
      const info = values.at(-1)
      const code = info instanceof Map ? info.get('code') : undefined
      return typeof code === 'string' ? [code] : []
    })
  }
}
