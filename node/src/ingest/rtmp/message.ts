/**
 * RTMP messages: their types, the control messages this server sends, and commands with their arguments
 * (Adobe RTMP 1.0 sections 5.4, 6 and 7).
 */
import { KairoError } from '../../errors.ts'
import type { AmfValue } from './amf-value.ts'
import { decodeAmf0, encodeAmf0 } from './amf0.ts'

/** One whole message. */
export interface RtmpMessage {
  /** One of {@link MESSAGE_TYPE}, or a number this server does not know. */
  readonly type: number
  /** Message stream; 0 for the connection itself. */
  readonly streamId: number
  /** Milliseconds, 32 bits, wrapping. */
  readonly timestamp: number
  readonly data: Buffer
}

/** Message type ids. */
export const MESSAGE_TYPE = {
  setChunkSize: 1,
  abort: 2,
  acknowledgement: 3,
  userControl: 4,
  windowAckSize: 5,
  setPeerBandwidth: 6,
  audio: 8,
  video: 9,
  dataAmf3: 15,
  sharedObjectAmf3: 16,
  commandAmf3: 17,
  dataAmf0: 18,
  sharedObjectAmf0: 19,
  commandAmf0: 20,
  aggregate: 22,
} as const

/** User control event types (7.1.7). */
export const USER_CONTROL = {
  streamBegin: 0,
  pingRequest: 6,
  pingResponse: 7,
} as const

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(MESSAGE_TYPE))
const AGGREGATE_HEADER_BYTES = 11
const AGGREGATE_TRAILER_BYTES = 4

/** True for types that RTMP defines. */
export function isKnownMessageType(type: number): boolean {
  return KNOWN_TYPES.has(type)
}

/** A control message on the connection. */
export function controlMessage(type: number, ...words: readonly number[]): RtmpMessage {
  const data = Buffer.alloc(words.length * 4)
  for (const [index, word] of words.entries()) data.writeUInt32BE(word >>> 0, index * 4)
  return { type, streamId: 0, timestamp: 0, data }
}

/** Set Peer Bandwidth with the limit type "dynamic" (5.4.5). */
export function peerBandwidthMessage(bytes: number): RtmpMessage {
  const data = Buffer.alloc(5)
  data.writeUInt32BE(bytes)
  data.writeUInt8(2, 4)
  return { type: MESSAGE_TYPE.setPeerBandwidth, streamId: 0, timestamp: 0, data }
}

/** A user control event with one 32-bit argument (6.2). */
export function userControlMessage(event: number, argument: number): RtmpMessage {
  const data = Buffer.alloc(6)
  data.writeUInt16BE(event)
  data.writeUInt32BE(argument >>> 0, 2)
  return { type: MESSAGE_TYPE.userControl, streamId: 0, timestamp: 0, data }
}

/** A command or an answer to one, in AMF0. */
export function commandMessage(streamId: number, ...values: readonly AmfValue[]): RtmpMessage {
  return { type: MESSAGE_TYPE.commandAmf0, streamId, timestamp: 0, data: encodeAmf0(values) }
}

/** `onStatus` on a message stream (7.2.2). */
export function statusMessage(
  streamId: number,
  level: 'status' | 'error',
  code: string,
  description: string,
): RtmpMessage {
  const info = new Map([
    ['level', level],
    ['code', code],
    ['description', description],
  ])
  return commandMessage(streamId, 'onStatus', 0, null, info)
}

/** The first 32-bit word of a control message; throws KairoError `ERR_PROTOCOL` when it is too short. */
export function controlWord(message: RtmpMessage, offset = 0): number {
  if (message.data.byteLength < offset + 4) {
    throw new KairoError('ERR_PROTOCOL', `an RTMP control message of type ${message.type} is short`)
  }
  return message.data.readUInt32BE(offset)
}

/** A parsed command. */
export interface RtmpCommand {
  readonly name: string
  readonly transactionId: number
  /** Command object and arguments, in order. */
  readonly args: readonly AmfValue[]
}

/**
 * Decodes the values of an AMF0 or AMF3 message. An AMF3 message begins with a format byte, mostly 0, after which values are
 * AMF0 that may switch to AMF3; some clients leave the byte out.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`.
 */
export function decodeValues(message: RtmpMessage): AmfValue[] {
  const amf3 = message.type === MESSAGE_TYPE.commandAmf3 || message.type === MESSAGE_TYPE.dataAmf3
  return decodeAmf0(message.data, amf3 && message.data[0] === 0 ? 1 : 0)
}

/** Decodes a command; throws KairoError `ERR_PROTOCOL` when it has no name, `ERR_LIMIT`. */
export function decodeCommand(message: RtmpMessage): RtmpCommand {
  const [name, transactionId, ...args] = decodeValues(message)
  if (typeof name !== 'string') throw new KairoError('ERR_PROTOCOL', 'an RTMP command has no name')
  return { name, transactionId: typeof transactionId === 'number' ? transactionId : 0, args }
}

/**
 * The messages inside an aggregate (7.1.6), their times moved so that the first has the aggregate's own. Data is not copied.
 * @throws KairoError `ERR_PROTOCOL` when a message exceeds the aggregate.
 */
export function* splitAggregate(aggregate: RtmpMessage): Generator<RtmpMessage> {
  const { data } = aggregate
  let offset = 0
  let base: number | undefined
  while (offset + AGGREGATE_HEADER_BYTES <= data.byteLength) {
    const length = data.readUIntBE(offset + 1, 3)
    const time = ((data.readUInt8(offset + 7) << 24) | data.readUIntBE(offset + 4, 3)) >>> 0
    const start = offset + AGGREGATE_HEADER_BYTES
    if (start + length > data.byteLength) {
      throw new KairoError('ERR_PROTOCOL', 'a message exceeds its RTMP aggregate')
    }
    base ??= time
    yield {
      type: data.readUInt8(offset),
      streamId: aggregate.streamId,
      timestamp: (aggregate.timestamp + time - base) >>> 0,
      data: data.subarray(start, start + length),
    }
    offset = start + length + AGGREGATE_TRAILER_BYTES
  }
}
