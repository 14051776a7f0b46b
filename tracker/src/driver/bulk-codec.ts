/** Frames of the `bulk` lane: a snapshot in pieces, and what the receiver says to them. docs/protocol/raft.md. */
import { ByteReader, malformed } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import type { ConfState } from '../raft/types.ts'
import { snapshotLimits } from '../wal/wal-limits.ts'
import { driverLimits } from './driver-limits.ts'

const VERSION = 1
const PIECE = 1
const RECEIPT = 2
const FIRST = 1
const LAST_STATUS = 2

/** What a receiver says. `refused`: it will not take the snapshot, now. */
const receiptStatuses = ['going-on', 'done', 'refused'] as const

/** One of them. */
export type ReceiptStatus = (typeof receiptStatuses)[number]

/** Who speaks to whom about which transfer; the number is the sender's of the snapshot. */
export interface BulkHead {
  readonly region: number
  readonly from: number
  readonly to: number
  readonly transfer: number
}

/** What a snapshot is of; stands in its first piece. */
export interface SnapshotTitle {
  readonly group: number
  /** Of the message that carries the snapshot. */
  readonly messageTerm: number
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  readonly bytes: number
}

/** Some bytes of a snapshot. */
export interface SnapshotPiece extends BulkHead {
  readonly kind: 'piece'
  readonly title: SnapshotTitle | undefined
  readonly offset: number
  /** Checksum of all bytes up to the end of this piece. */
  readonly crc: number
  readonly data: Uint8Array
}

/** How far a snapshot has come. */
export interface Receipt extends BulkHead {
  readonly kind: 'receipt'
  readonly received: number
  readonly status: ReceiptStatus
}

const lists = ['voters', 'votersOutgoing', 'learners', 'learnersNext'] as const

/** A frame. */
export function encodeBulk(frame: SnapshotPiece | Receipt): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(VERSION)
  writer.u8(frame.kind === 'piece' ? PIECE : RECEIPT)
  writer.u32(frame.region)
  writer.varint(frame.from)
  writer.varint(frame.to)
  writer.u32(frame.transfer)
  if (frame.kind === 'receipt') {
    writer.varint(frame.received)
    writer.u8(receiptStatuses.indexOf(frame.status))
    return writer.take()
  }
  writer.u8(frame.title === undefined ? 0 : FIRST)
  if (frame.title !== undefined) writeTitle(writer, frame.title)
  writer.varint(frame.offset)
  writer.u32(frame.crc)
  writer.raw(frame.data)
  return writer.take()
}

/**
 * The reverse; a piece's data lie in the same bytes.
 * @throws TrackerError ERR_MALFORMED
 */
export function decodeBulk(bytes: Uint8Array): SnapshotPiece | Receipt {
  const reader = new ByteReader(bytes)
  if (reader.u8() !== VERSION) throw malformed('a frame of another version')
  const kind = reader.u8()
  const region = reader.u32()
  const [from, to] = [reader.varint(), reader.varint()]
  const head = { region, from, to, transfer: reader.u32() }
  if (kind === RECEIPT) return readReceipt(reader, head)
  if (kind !== PIECE) throw malformed('an unknown kind of frame')
  const flags = reader.u8()
  if (flags > FIRST) throw malformed('unknown flags')
  const title = flags === FIRST ? readTitle(reader) : undefined
  const offset = reader.varint()
  const crc = reader.u32()
  if (reader.left > driverLimits.pieceBytes) throw malformed('a piece that is too large')
  return { kind: 'piece', ...head, title, offset, crc, data: reader.raw(reader.left) }
}

function readReceipt(reader: ByteReader, head: BulkHead): Receipt {
  const received = reader.varint()
  const status = reader.u8()
  if (status > LAST_STATUS || reader.left > 0) throw malformed('a receipt that says too much')
  return { kind: 'receipt', ...head, received, status: receiptStatuses[status] as ReceiptStatus }
}

function writeTitle(writer: ByteWriter, title: SnapshotTitle): void {
  writer.varint(title.group)
  writer.varint(title.messageTerm)
  writer.varint(title.index)
  writer.varint(title.term)
  writer.u8(title.confState.autoLeave ? 1 : 0)
  for (const list of lists) {
    writer.varint(title.confState[list].length)
    for (const id of title.confState[list]) writer.varint(id)
  }
  writer.varint(title.bytes)
}

function readTitle(reader: ByteReader): SnapshotTitle {
  const group = reader.varint()
  const [messageTerm, index, term] = [reader.varint(), reader.varint(), reader.varint()]
  const autoLeave = reader.u8()
  if (group >= 2 ** 32 || index === 0 || autoLeave > 1) throw malformed('no title of a snapshot')
  const [voters, votersOutgoing, learners, learnersNext] = lists.map(() => readIds(reader)) as [
    number[],
    number[],
    number[],
    number[],
  ]
  const bytes = reader.varint()
  if (bytes > snapshotLimits.snapshotBytesMax) throw malformed('a snapshot that is too large')
  const confState = { voters, votersOutgoing, learners, learnersNext, autoLeave: autoLeave === 1 }
  return { group, messageTerm, index, term, confState, bytes }
}

/** Ids in ascending order, none twice. */
function readIds(reader: ByteReader): number[] {
  const count = reader.varint()
  if (count > driverLimits.directoryMax || count > reader.left) throw malformed('too many members')
  const ids: number[] = []
  for (let at = 0; at < count; at++) {
    const id = reader.varint()
    if (id <= (ids.at(-1) ?? 0)) throw malformed('members out of order')
    ids.push(id)
  }
  return ids
}
