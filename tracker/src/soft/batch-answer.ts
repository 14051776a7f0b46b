/** The leader's answer to a batch, as bytes. */
import { ByteReader } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import { messageTypes } from './batch.ts'
import { u32Max } from './holding.ts'
import { softLimits } from './soft-limits.ts'

/** Whether the batch counted. */
const batchStatuses = {
  taken: 0,
  /** This leader does not know what the batch builds on: all is to be sent, with this answer's term. */
  sendAll: 1,
} as const

/** Peers of a swarm that a peer asked for. */
export interface Introduction {
  /** The record's number in the batch. */
  readonly id: number
  /** The others, by handle; their names are asked for once. */
  readonly handles: Uint32Array
}

/** An answer. */
export interface BatchAnswer {
  readonly isTaken: boolean
  readonly term: number
  /** The batch that it answers. */
  readonly sequence: number
  /** False until the peers have had time to tell a new leader everything. */
  readonly isComplete: boolean
  /** Records that found no room. */
  readonly refused: number
  readonly introductions: readonly Introduction[]
}

/** Writes all but the introductions, which the soft state writes itself behind it: number, count, handles. */
export function writeAnswerHead(
  writer: ByteWriter,
  head: Omit<BatchAnswer, 'introductions'>,
): void {
  writer.u8(messageTypes.taken)
  writer.u8(head.isTaken ? batchStatuses.taken : batchStatuses.sendAll)
  writer.varint(head.term)
  writer.varint(head.sequence)
  writer.flag(head.isComplete)
  writer.varint(head.refused)
}

/** @throws TrackerError ERR_MALFORMED for bytes that no leader of this version can have written */
export function readBatchAnswer(bytes: Uint8Array): BatchAnswer {
  const reader = new ByteReader(bytes, 'ERR_MALFORMED')
  if (bytes.length > softLimits.answerBytesMax) reader.fail('an answer that is too large')
  if (reader.u8() !== messageTypes.taken) reader.fail('not the answer to a batch')
  const status = reader.u8()
  if (status > batchStatuses.sendAll) reader.fail('an unknown status')
  const term = reader.varint(Number.MAX_SAFE_INTEGER)
  const sequence = reader.varint(u32Max)
  const isComplete = reader.flag()
  const refused = reader.varint(softLimits.recordsPerBatchMax)
  const introductions: Introduction[] = []
  while (reader.at < bytes.length) {
    const id = reader.varint(softLimits.entriesPerPeerMax - 1)
    const count = reader.varint(softLimits.introductionsMax)
    introductions.push({ id, handles: reader.u32s(count) })
  }
  const isTaken = status === batchStatuses.taken
  return { isTaken, term, sequence, isComplete, refused, introductions }
}
