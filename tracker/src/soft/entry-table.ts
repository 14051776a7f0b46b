/**
 * The entries of a shard: one for each peer and subject (a stream or rendition) that it holds. An entry is a row; its bits and ranges are a
 * run of words, in place as long as they fit.
 */
import type { BatchReader } from './batch.ts'
import type { Holding, SegmentRange } from './holding.ts'
import { RowTable } from './row-table.ts'
import { runClassFor, type WordPool } from './word-pool.ts'

/** Words of an entry's row. */
const HANDLE = 0
const SUBJECT = 1
/** Where it stands among the subject's holders. */
const PLACE = 2
/** The number that the peer knows it by. */
const ID = 3
const VIEWERS = 4
const DATA_AT = 5
/** Class of the run, words of bits, number of ranges, parts of a segment, a byte each from the lowest. */
const SHAPE = 6
const FIRST_SEGMENT = 7
const STRIDE = 8

/** The entries. */
export class EntryTable {
  readonly rows: RowTable
  readonly #pool: WordPool

  constructor(pool: WordPool, entriesMax: number) {
    this.#pool = pool
    this.rows = new RowTable(STRIDE, entriesMax)
  }

  /** @returns the entry, -1 when there is no room */
  add(handle: number, subject: number, id: number): number {
    const entry = this.rows.add()
    if (entry === -1) return -1
    const chunk = this.rows.chunk(entry)
    const at = this.rows.offset(entry)
    chunk[at + HANDLE] = handle
    chunk[at + SUBJECT] = subject
    chunk[at + ID] = id
    return entry
  }

  remove(entry: number): void {
    const chunk = this.rows.chunk(entry)
    const at = this.rows.offset(entry)
    this.#releaseData(chunk, at)
    this.rows.remove(entry)
  }

  handle(entry: number): number {
    return this.rows.chunk(entry)[this.rows.offset(entry) + HANDLE] as number
  }

  subject(entry: number): number {
    return this.rows.chunk(entry)[this.rows.offset(entry) + SUBJECT] as number
  }

  id(entry: number): number {
    return this.rows.chunk(entry)[this.rows.offset(entry) + ID] as number
  }

  place(entry: number): number {
    return this.rows.chunk(entry)[this.rows.offset(entry) + PLACE] as number
  }

  setPlace(entry: number, place: number): void {
    this.rows.chunk(entry)[this.rows.offset(entry) + PLACE] = place
  }

  viewers(entry: number): number {
    return this.rows.chunk(entry)[this.rows.offset(entry) + VIEWERS] as number
  }

  setViewers(entry: number, viewers: number): void {
    this.rows.chunk(entry)[this.rows.offset(entry) + VIEWERS] = viewers
  }

  /** Takes what a record says to be held, all but the viewers. @returns false when there is no room: then nothing is held */
  setHolding(entry: number, batch: BatchReader, record: number): boolean {
    const chunk = this.rows.chunk(entry)
    const at = this.rows.offset(entry)
    const bytes = batch.bitsBytes[record] as number
    const bitWords = (bytes + 3) >>> 2
    const ranges = batch.rangesCount[record] as number
    const words = bitWords + ranges * 2
    if (words === 0) {
      this.#releaseData(chunk, at)
      return true
    }
    const runClass = runClassFor(words)
    if (((chunk[at + SHAPE] as number) & 0xff) !== runClass) {
      this.#releaseData(chunk, at)
      const run = this.#pool.allocate(runClass)
      if (run === 0) return false
      chunk[at + DATA_AT] = run
    }
    chunk[at + SHAPE] =
      runClass |
      (bitWords << 8) |
      (ranges << 16) |
      (bytes === 0 ? 0 : (batch.partsPerSegment[record] as number) << 24)
    chunk[at + FIRST_SEGMENT] = bytes === 0 ? 0 : (batch.firstSegments[record] as number)
    this.#writeData(chunk[at + DATA_AT] as number, batch, record)
    return true
  }

  #writeData(run: number, batch: BatchReader, record: number): void {
    const data = this.#pool.chunk(run)
    let to = this.#pool.offset(run)
    const { bytes, ranges } = batch
    let from = batch.bitsAt[record] as number
    const end = from + (batch.bitsBytes[record] as number)
    for (; from + 4 <= end; from += 4) {
      data[to++] =
        (bytes[from] as number) |
        ((bytes[from + 1] as number) << 8) |
        ((bytes[from + 2] as number) << 16) |
        ((bytes[from + 3] as number) << 24)
    }
    if (from < end) {
      let word = 0
      for (let shift = 0; from < end; shift += 8) word |= (bytes[from++] as number) << shift
      data[to++] = word
    }
    const rangesAt = batch.rangesAt[record] as number
    const words = (batch.rangesCount[record] as number) * 2
    for (let word = 0; word < words; word++) data[to++] = ranges[rangesAt + word] as number
  }

  #releaseData(chunk: Uint32Array, at: number): void {
    const run = chunk[at + DATA_AT] as number
    if (run === 0) return
    this.#pool.release(run, (chunk[at + SHAPE] as number) & 0xff)
    chunk[at + DATA_AT] = 0
    chunk[at + SHAPE] = 0
    chunk[at + FIRST_SEGMENT] = 0
  }

  /** Whether an entry has a part: by its bit, or because the whole segment is there. */
  hasPart(entry: number, segment: number, part: number): boolean {
    const chunk = this.rows.chunk(entry)
    const at = this.rows.offset(entry)
    const shape = chunk[at + SHAPE] as number
    const perSegment = shape >>> 24
    const first = chunk[at + FIRST_SEGMENT] as number
    const run = chunk[at + DATA_AT] as number
    if (part < perSegment && segment >= first) {
      const bit = (segment - first) * perSegment + part
      const bitWords = (shape >>> 8) & 0xff
      if (bit < bitWords * 32) {
        const word = this.#pool.chunk(run)[this.#pool.offset(run) + (bit >>> 5)] as number
        if (((word >>> (bit & 31)) & 1) === 1) return true
      }
    }
    return this.hasSegments(entry, segment, 1)
  }

  /** Whether an entry has `count` whole segments in a row. */
  hasSegments(entry: number, first: number, count: number): boolean {
    const chunk = this.rows.chunk(entry)
    const at = this.rows.offset(entry)
    const shape = chunk[at + SHAPE] as number
    const ranges = (shape >>> 16) & 0xff
    if (ranges === 0) return false
    const run = chunk[at + DATA_AT] as number
    const data = this.#pool.chunk(run)
    let from = this.#pool.offset(run) + ((shape >>> 8) & 0xff)
    const end = from + ranges * 2
    for (; from < end; from += 2) {
      const rangeFirst = data[from] as number
      // They ascend.
      if (rangeFirst > first) return false
      if (first + count <= rangeFirst + (data[from + 1] as number)) return true
    }
    return false
  }

  /** What an entry holds, as an object. */
  holding(entry: number): Holding {
    const chunk = this.rows.chunk(entry)
    const at = this.rows.offset(entry)
    const shape = chunk[at + SHAPE] as number
    const viewers = chunk[at + VIEWERS] as number
    const run = chunk[at + DATA_AT] as number
    if (run === 0) return { viewers, window: undefined, ranges: [] }
    const data = this.#pool.chunk(run)
    const from = this.#pool.offset(run)
    const bitWords = (shape >>> 8) & 0xff
    const ranges: SegmentRange[] = []
    for (let range = 0; range < ((shape >>> 16) & 0xff); range++) {
      const word = from + bitWords + range * 2
      ranges.push({ first: data[word] as number, count: data[word + 1] as number })
    }
    const window =
      bitWords === 0
        ? undefined
        : {
            firstSegment: chunk[at + FIRST_SEGMENT] as number,
            partsPerSegment: shape >>> 24,
            bits: bitsOf(data, from, bitWords),
          }
    return { viewers, window, ranges }
  }
}

function bitsOf(data: Uint32Array, from: number, words: number): Uint8Array {
  const bits = new Uint8Array(words * 4)
  for (let byte = 0; byte < bits.length; byte++) {
    bits[byte] = (data[from + (byte >>> 2)] as number) >>> ((byte & 3) * 8)
  }
  let length = bits.length
  while (length > 0 && bits[length - 1] === 0) length -= 1
  return bits.subarray(0, length)
}
