/**
 * The batch that a peer sends each second, and its answer, as bytes; docs/protocol/soft-state.md draws the layout. A record says all that
 * a peer holds of one rendition, so a batch that comes twice, or after one whose answer was lost, does no harm.
 */
import { ByteReader } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import {
  coordinateScale,
  type Holding,
  type PeerCoordinate,
  type PeerLoad,
  u32Max,
} from './holding.ts'
import { softLimits } from './soft-limits.ts'

/** First byte of a message: what it is, in version 1 of the format. */
export const messageTypes = { batch: 0x11, questions: 0x12, taken: 0x91, replies: 0x92 } as const

/** Flags of a batch. */
export const batchFlags = {
  /** What was said before is forgotten; this and what follows is all. */
  all: 1,
  load: 2,
  coordinate: 4,
  /** The peer leaves: everything of it is forgotten. */
  goodbye: 8,
} as const

/** Fields of a record. */
export const recordFields = {
  /** The record's number stands for this stream and rendition from now on. */
  name: 1,
  /** What is held follows, and takes the place of what was said before. */
  state: 2,
  viewers: 4,
  window: 8,
  ranges: 16,
  /** So many other holders are to be named. */
  wants: 32,
  /** The number stands for nothing any more. */
  gone: 64,
} as const

const allBatchFlags = 15
const allRecordFields = 127
const noBytes: Uint8Array = new Uint8Array(0)

/** What stands before the records. */
export interface BatchHead {
  /** Drawn at random by a peer when it starts: an older batch of the same peer is not taken for a newer one. */
  readonly session: number
  /** Of the leader whose answer came last; 0 with none. */
  readonly term: number
  /** 1, 2, 3, ... in a session. */
  readonly sequence: number
  /** The last batch that was acknowledged: all changes since then are in this one. */
  readonly after: number
  readonly isAll: boolean
  readonly isGoodbye: boolean
  /** Undefined when it has not changed. */
  readonly load: PeerLoad | undefined
}

/** Writes what stands before the records. */
export function writeBatchHead(writer: ByteWriter, head: BatchHead): void {
  const { load } = head
  writer.u8(messageTypes.batch)
  writer.u8(
    (head.isAll ? batchFlags.all : 0) |
      (load === undefined ? 0 : batchFlags.load) |
      (load?.coordinate === undefined ? 0 : batchFlags.coordinate) |
      (head.isGoodbye ? batchFlags.goodbye : 0),
  )
  writer.u32(head.session)
  writer.varint(head.term)
  writer.varint(head.sequence)
  writer.varint(head.after)
  if (load === undefined) return
  writer.varint(load.uploadFreeKbps)
  writer.varint(load.busyPermille)
  if (load.coordinate !== undefined) writeCoordinate(writer, load.coordinate)
}

function writeCoordinate(writer: ByteWriter, { x, y, z, height }: PeerCoordinate): void {
  for (const axis of [x, y, z])
    writer.u16(clamp(Math.round(axis * coordinateScale), -32_768, 32_767))
  writer.u16(clamp(Math.round(height * coordinateScale), 0, 65_535))
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

/** One record as it is written. */
export interface RecordToWrite {
  readonly id: number
  readonly name: { readonly stream: string; readonly rendition: string } | undefined
  /** Undefined when it has not changed. */
  readonly holding: Holding | undefined
  /** 0 for none. */
  readonly wants: number
}

/** Writes a record. */
export function writeRecord(writer: ByteWriter, record: RecordToWrite): void {
  const { id, name, holding, wants } = record
  writer.varint(id)
  writer.u8(
    (name === undefined ? 0 : recordFields.name) |
      (holding === undefined ? 0 : holdingFields(holding)) |
      (wants > 0 ? recordFields.wants : 0),
  )
  if (name !== undefined) {
    writer.text(name.stream)
    writer.text(name.rendition)
  }
  if (holding !== undefined) writeHolding(writer, holding)
  if (wants > 0) writer.u8(wants)
}

/** Writes that a number stands for nothing any more. */
export function writeGone(writer: ByteWriter, id: number): void {
  writer.varint(id)
  writer.u8(recordFields.gone)
}

/** The fields that a holding needs. */
export function holdingFields({ viewers, window, ranges }: Holding): number {
  return (
    recordFields.state |
    (viewers > 0 ? recordFields.viewers : 0) |
    (window === undefined ? 0 : recordFields.window) |
    (ranges.length > 0 ? recordFields.ranges : 0)
  )
}

/** Writes a holding behind its fields. */
export function writeHolding(writer: ByteWriter, { viewers, window, ranges }: Holding): void {
  if (viewers > 0) writer.varint(viewers)
  if (window !== undefined) {
    writer.varint(window.firstSegment)
    writer.varint(window.partsPerSegment)
    writer.varint(window.bits.length)
    writer.raw(window.bits)
  }
  if (ranges.length === 0) return
  writer.varint(ranges.length)
  let end = 0
  for (const { first, count } of ranges) {
    writer.varint(first - end)
    writer.varint(count)
    end = first + count
  }
}

/**
 * Reads batches into columns that are used again for the next one: nothing is made for a record, and bits stay where they came. A batch is
 * looked at to its end before anything of it counts.
 */
export class BatchReader {
  session = 0
  term = 0
  sequence = 0
  after = 0
  flags = 0
  uploadFreeKbps = 0
  busyPermille = 0
  /** Tenths of a millisecond, as 16 bits each: x | y << 16, z | height << 16. */
  coordinateXy = 0
  coordinateZh = 0
  /** The batch's bytes, in which `bitsAt` points. */
  bytes: Uint8Array = noBytes
  /** Records. */
  count = 0
  ids: Uint32Array = new Uint32Array(64)
  fields: Uint8Array = new Uint8Array(64)
  viewers: Uint32Array = new Uint32Array(64)
  firstSegments: Uint32Array = new Uint32Array(64)
  partsPerSegment: Uint8Array = new Uint8Array(64)
  bitsAt: Uint32Array = new Uint32Array(64)
  bitsBytes: Uint8Array = new Uint8Array(64)
  /** Where a record's ranges start in `ranges`, and how many there are. */
  rangesAt: Uint32Array = new Uint32Array(64)
  rangesCount: Uint8Array = new Uint8Array(64)
  wants: Uint8Array = new Uint8Array(64)
  /** First segment and count, in turns. */
  ranges: Uint32Array = new Uint32Array(128)
  /** Stream and rendition of the records that bring a name, in their order. */
  readonly names: string[] = []
  readonly #reader = new ByteReader(noBytes, 'ERR_INVALID_INPUT')
  #rangeWords = 0

  /** @throws TrackerError ERR_INVALID_INPUT for bytes that no peer of this version can have written */
  read(bytes: Uint8Array): void {
    const reader = this.#reader.reset(bytes)
    this.bytes = bytes
    if (bytes.length > softLimits.batchBytesMax) reader.fail('a batch that is too large')
    this.#readHead(reader)
    this.count = 0
    this.#rangeWords = 0
    this.names.length = 0
    while (reader.at < bytes.length) {
      if (this.count === softLimits.recordsPerBatchMax) reader.fail('too many records')
      if (this.count === this.ids.length) this.#growColumns()
      this.#readRecord(reader, this.count)
      this.count += 1
    }
    if ((this.flags & batchFlags.goodbye) !== 0 && this.count > 0) reader.fail('more after goodbye')
  }

  #readHead(reader: ByteReader): void {
    if (reader.u8() !== messageTypes.batch) reader.fail('not a batch')
    this.flags = reader.u8()
    const hasLoad = (this.flags & batchFlags.load) !== 0
    const hasCoordinate = (this.flags & batchFlags.coordinate) !== 0
    if (this.flags > allBatchFlags || (hasCoordinate && !hasLoad)) reader.fail('unknown flags')
    this.session = reader.u32()
    this.term = reader.varint(Number.MAX_SAFE_INTEGER)
    this.sequence = reader.varint(u32Max)
    this.after = reader.varint(u32Max)
    if (this.after >= this.sequence) reader.fail('an acknowledgement of what was not sent')
    if (hasLoad) {
      this.uploadFreeKbps = reader.varint(u32Max)
      this.busyPermille = reader.varint(1_000)
    }
    if (hasCoordinate) {
      this.coordinateXy = reader.u32()
      this.coordinateZh = reader.u32()
    }
  }

  #readRecord(reader: ByteReader, index: number): void {
    this.ids[index] = reader.varint(softLimits.entriesPerPeerMax - 1)
    const fields = reader.u8()
    this.fields[index] = fields
    this.viewers[index] = 0
    this.bitsBytes[index] = 0
    this.rangesCount[index] = 0
    if (fields === 0 || fields > allRecordFields) reader.fail('unknown fields')
    if ((fields & recordFields.gone) !== 0 && fields !== recordFields.gone) {
      reader.fail('something of what is gone')
    }
    if ((fields & recordFields.name) !== 0) {
      if ((fields & recordFields.state) === 0) reader.fail('a name without what is held')
      this.names.push(reader.text(softLimits.streamBytesMax, 1))
      this.names.push(reader.text(softLimits.renditionBytesMax))
    }
    this.#readHolding(reader, index, fields)
    this.wants[index] = 0
    if ((fields & recordFields.wants) === 0) return
    const wants = reader.u8()
    if (wants === 0 || wants > softLimits.introductionsMax) reader.fail('a number of peers')
    this.wants[index] = wants
  }

  #readHolding(reader: ByteReader, index: number, fields: number): void {
    const parts = fields & (recordFields.viewers | recordFields.window | recordFields.ranges)
    if (parts === 0) return
    if ((fields & recordFields.state) === 0) reader.fail('part of what is held')
    if ((fields & recordFields.viewers) !== 0) {
      const viewers = reader.varint(softLimits.viewersPerEntryMax)
      if (viewers === 0) reader.fail('no viewers, said')
      this.viewers[index] = viewers
    }
    if ((fields & recordFields.window) !== 0) this.#readWindow(reader, index)
    if ((fields & recordFields.ranges) !== 0) this.#readRanges(reader, index)
  }

  #readWindow(reader: ByteReader, index: number): void {
    const first = reader.varint(u32Max)
    const perSegment = reader.varint(softLimits.partsPerSegmentMax)
    const length = reader.varint(softLimits.windowBytesMax)
    if (perSegment === 0 || length === 0) reader.fail('an empty window')
    const at = reader.skip(length)
    if (this.bytes[at + length - 1] === 0)
      reader.fail('a window that is longer than it needs to be')
    if (first + Math.floor((length * 8 - 1) / perSegment) > u32Max) reader.fail('too far a segment')
    this.firstSegments[index] = first
    this.partsPerSegment[index] = perSegment
    this.bitsAt[index] = at
    this.bitsBytes[index] = length
  }

  #readRanges(reader: ByteReader, index: number): void {
    const count = reader.varint(softLimits.rangesPerEntryMax)
    if (count === 0) reader.fail('no ranges, said')
    if (this.#rangeWords + count * 2 > this.ranges.length) this.#growRanges()
    this.rangesAt[index] = this.#rangeWords
    this.rangesCount[index] = count
    let end = 0
    for (let range = 0; range < count; range++) {
      const gap = reader.varint(u32Max)
      const length = reader.varint(u32Max)
      if (length === 0 || (gap === 0 && range > 0)) reader.fail('ranges that touch')
      const first = end + gap
      end = first + length
      if (end > u32Max + 1) reader.fail('too far a segment')
      this.ranges[this.#rangeWords++] = first
      this.ranges[this.#rangeWords++] = length
    }
  }

  #growRanges(): void {
    // A record has at most 128 words, so twice the length is always enough.
    const grown = new Uint32Array(this.ranges.length * 2)
    grown.set(this.ranges)
    this.ranges = grown
  }

  #growColumns(): void {
    const length = this.ids.length * 2
    const grow32 = (column: Uint32Array): Uint32Array => {
      const grown = new Uint32Array(length)
      grown.set(column)
      return grown
    }
    const grow8 = (column: Uint8Array): Uint8Array => {
      const grown = new Uint8Array(length)
      grown.set(column)
      return grown
    }
    this.ids = grow32(this.ids)
    this.viewers = grow32(this.viewers)
    this.firstSegments = grow32(this.firstSegments)
    this.bitsAt = grow32(this.bitsAt)
    this.rangesAt = grow32(this.rangesAt)
    this.fields = grow8(this.fields)
    this.partsPerSegment = grow8(this.partsPerSegment)
    this.bitsBytes = grow8(this.bitsBytes)
    this.rangesCount = grow8(this.rangesCount)
    this.wants = grow8(this.wants)
  }
}
