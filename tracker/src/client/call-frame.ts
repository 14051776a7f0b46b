/** Frames of the call lane: a head, then messages. docs/protocol/tracker.md draws them. */
import { ByteReader, malformed } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import { TrackerError, type TrackerErrorCode } from '../errors.ts'
import { callLimits } from './call-limits.ts'

/** First byte of every frame. */
const frameVersion = 1

/** Kinds of messages, their first byte. */
const kinds = { ask: 1, answer: 2, refusal: 3, cancel: 4, item: 5, credit: 6, reset: 7 } as const

/** Codes of refusals; the place in this list is the code's number on the wire. New ones go to the end. */
const refusalCodes: readonly TrackerErrorCode[] = [
  'ERR_UNAVAILABLE',
  'ERR_UNKNOWN_OUTCOME',
  'ERR_NOT_LEADER',
  'ERR_OVERLOADED',
  'ERR_COMPACTED',
  'ERR_LEASE_NOT_FOUND',
  'ERR_INVALID_INPUT',
  'ERR_MALFORMED',
  'ERR_NOT_A_MEMBER',
  'ERR_STORAGE',
  'ERR_STOPPED',
]

/** A request. */
export interface AskMessage {
  /** Chosen by the asker; no other of its requests, of this run or an earlier one, has it. */
  readonly id: number
  readonly service: number
  /** Bytes of items that may be sent; 0 asks for one answer and no items. */
  readonly credit: number
  /** A part of the frame. */
  readonly payload: Uint8Array
}

/** Who takes what a frame says, in order. */
export interface FrameSink {
  /** The sender's session, and the frame's number in it. */
  onHead(session: number, number: number): void
  onAsk(ask: AskMessage): void
  onAnswer(id: number, payload: Uint8Array): void
  onRefusal(id: number, error: TrackerError): void
  onCancel(id: number): void
  onItem(id: number, payload: Uint8Array): void
  onCredit(id: number, bytes: number): void
  /** Frames of a session of the receiver's were lost. */
  onReset(session: number): void
}

/** Begins a frame; {@link numberFrame} gives it its number. */
export function beginFrame(writer: ByteWriter, session: number): void {
  writer.u8(frameVersion)
  writer.integer(session)
  writer.u32(0)
}

/** Numbers a frame that is sent now: one that the line does not take has no number. */
export function numberFrame(frame: Uint8Array, number: number): void {
  for (let at = 0; at < 4; at++) frame[numberAt + at] = number >>> (8 * at)
}

/** Where a frame's number stands. */
const numberAt = 9

/** Asks. */
export function writeAsk(writer: ByteWriter, ask: AskMessage): void {
  writer.u8(kinds.ask)
  writer.integer(ask.id)
  writer.u8(ask.service)
  writer.u32(ask.credit)
  writer.bytes32(ask.payload)
}

/** Answers; a stream ends with it. */
export function writeAnswer(writer: ByteWriter, id: number, payload: Uint8Array): void {
  writer.u8(kinds.answer)
  writer.integer(id)
  writer.bytes32(payload)
}

/** Says why there is no answer; a stream ends with it. */
export function writeRefusal(writer: ByteWriter, id: number, error: TrackerError): void {
  writer.u8(kinds.refusal)
  writer.integer(id)
  writer.u8(refusalCodes.indexOf(error.code))
  writer.text16(error.leader ?? '')
  // A unit of UTF-16 is three bytes at most.
  writer.text16(error.message.slice(0, Math.floor(callLimits.messageBytesMax / 3)).toWellFormed())
}

/** Says that nobody waits for an answer any more. */
export function writeCancel(writer: ByteWriter, id: number): void {
  writer.u8(kinds.cancel)
  writer.integer(id)
}

/** One item of a stream. */
export function writeItem(writer: ByteWriter, id: number, payload: Uint8Array): void {
  writer.u8(kinds.item)
  writer.integer(id)
  writer.bytes32(payload)
}

/** Says that so many more bytes of items may be sent. */
export function writeCredit(writer: ByteWriter, id: number, bytes: number): void {
  writer.u8(kinds.credit)
  writer.integer(id)
  writer.u32(bytes)
}

/** Says that frames of a session of the other peer's were lost. */
export function writeReset(writer: ByteWriter, session: number): void {
  writer.u8(kinds.reset)
  writer.integer(session)
}

/**
 * Hands out the messages of a frame, one by one.
 * @throws TrackerError ERR_MALFORMED where the frame stops making sense; what came before was handed out
 */
export function readFrame(frame: Uint8Array, sink: FrameSink): void {
  const reader = new ByteReader(frame)
  if (reader.u8() !== frameVersion) throw malformed('of another version')
  sink.onHead(reader.integer(), reader.u32())
  while (reader.left > 0) readMessage(reader, sink)
}

function readMessage(reader: ByteReader, sink: FrameSink): void {
  const kind = reader.u8()
  const id = reader.integer()
  switch (kind) {
    case kinds.ask: {
      const service = reader.u8()
      const credit = reader.u32()
      sink.onAsk({ id, service, credit, payload: reader.view32(callLimits.payloadBytesMax) })
      return
    }
    case kinds.answer:
      sink.onAnswer(id, reader.view32(callLimits.payloadBytesMax))
      return
    case kinds.refusal:
      sink.onRefusal(id, readRefusal(reader))
      return
    case kinds.cancel:
      sink.onCancel(id)
      return
    case kinds.item:
      sink.onItem(id, reader.view32(callLimits.payloadBytesMax))
      return
    case kinds.credit:
      sink.onCredit(id, reader.u32())
      return
    case kinds.reset:
      sink.onReset(id)
      return
    default:
      throw malformed('of no known kind')
  }
}

function readRefusal(reader: ByteReader): TrackerError {
  const code = refusalCodes[reader.u8()]
  if (code === undefined) throw malformed('a refusal without a known code')
  const leader = reader.text16(callLimits.peerIdBytesMax)
  const message = reader.text16(callLimits.messageBytesMax)
  return new TrackerError(code, message, { leader: leader === '' ? undefined : leader })
}
