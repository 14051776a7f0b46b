/**
 * What one group appends, as the payload of a record: a snapshot marker, a hard state, entries; each may be absent. One
 * record holds all that belongs together, so that a crash keeps all of it or none.
 */
import { type Entry, type EntryType, entryTypes, type HardState, noBytes } from '../raft/types.ts'
import type { Bytes } from './crc32c.ts'
import { readInteger, recordHeaderBytes, writeInteger } from './record.ts'

/** Bits of a group record's flags; payload parts follow in this order. */
export const groupFlags = {
  /** Marker: a snapshot up to here is durable, entries up to it are not needed any more. */
  compacted: 1,
  /** Marker: a snapshot from elsewhere takes the place of the whole log. */
  replaced: 2,
  hardState: 4,
  entries: 8,
  /** Repeats, at the start of a segment, what older segments told of the group. */
  checkpoint: 16,
} as const

const KNOWN_FLAGS = 31
const MARKER_BYTES = 16
const HARD_STATE_BYTES = 24
/** First index, count, an unused word. */
const ENTRIES_HEADER_BYTES = 16
/** Length, low part of the term, high part of the term and type. */
const ENTRY_HEADER_BYTES = 12

/** The end of a snapshot. */
export interface SnapshotMarker {
  readonly index: number
  readonly term: number
}

/** Parts of a record to be written. */
export interface GroupRecordParts {
  readonly flags: number
  readonly marker: SnapshotMarker | undefined
  readonly hardState: HardState | undefined
  /** A range of these entries. */
  readonly entries: readonly Entry[]
  readonly from: number
  readonly to: number
}

/** Bytes of an entry in a record. */
export function entryBytes(entry: Entry): number {
  return ENTRY_HEADER_BYTES + padded(entry.data.length)
}

/** Payload bytes of a record beside its entries' own. */
export function fixedBytes(parts: { marker?: unknown; hardState?: unknown; entries: boolean }) {
  return (
    (parts.marker === undefined ? 0 : MARKER_BYTES) +
    (parts.hardState === undefined ? 0 : HARD_STATE_BYTES) +
    (parts.entries ? ENTRIES_HEADER_BYTES : 0)
  )
}

/** Writes a payload at `at`; its parts must be those that `flags` names. */
export function writeGroupPayload(target: Bytes, at: number, parts: GroupRecordParts): void {
  const { view } = target
  let next = at
  if (parts.marker !== undefined) {
    writeInteger(view, next, parts.marker.index)
    writeInteger(view, next + 8, parts.marker.term)
    next += MARKER_BYTES
  }
  if (parts.hardState !== undefined) {
    writeInteger(view, next, parts.hardState.term)
    writeInteger(view, next + 8, parts.hardState.vote)
    writeInteger(view, next + 16, parts.hardState.commit)
    next += HARD_STATE_BYTES
  }
  if (parts.to > parts.from) writeEntries(target, next, parts)
}

function writeEntries({ bytes, view }: Bytes, at: number, parts: GroupRecordParts): void {
  const { entries, from, to } = parts
  const firstIndex = (entries[from] as Entry).index
  writeInteger(view, at, firstIndex)
  view.setUint32(at + 8, to - from, true)
  view.setUint32(at + 12, 0, true)
  let next = at + ENTRIES_HEADER_BYTES
  for (let each = from; each < to; each++) {
    const entry = entries[each] as Entry
    const { length } = entry.data
    view.setUint32(next, length, true)
    view.setUint32(next + 4, entry.term >>> 0, true)
    view.setUint32(next + 8, (Math.floor(entry.term / 2 ** 32) << 8) | typeNumber(entry.type), true)
    next += ENTRY_HEADER_BYTES
    if (length > 0) {
      bytes.set(entry.data, next)
      next += padded(length)
      // The last word is set whole, so that no bytes of an older record stay in the padding.
      for (let end = next - padded(length) + length; end < next; end++) bytes[end] = 0
    }
  }
}

/** A group record as it is read; one object is filled again for each. */
export class GroupRecord {
  flags = 0
  group = 0
  markerIndex = 0
  markerTerm = 0
  term = 0
  vote = 0
  commit = 0
  firstIndex = 0
  entryCount = 0
  #entriesAt = 0
  #end = 0

  /**
   * Reads a payload at `[from, to)`.
   * @returns false when it makes no sense, which no torn write explains: its checksum has passed.
   */
  read({ view }: Bytes, kind: { flags: number; group: number; from: number; to: number }): boolean {
    const { flags, from, to } = kind
    this.flags = flags
    this.group = kind.group
    if ((flags & ~KNOWN_FLAGS) !== 0) return false
    const hasMarker = (flags & (groupFlags.compacted | groupFlags.replaced)) !== 0
    const hasHardState = (flags & groupFlags.hardState) !== 0
    const hasEntries = (flags & groupFlags.entries) !== 0
    const needed =
      (hasMarker ? MARKER_BYTES : 0) +
      (hasHardState ? HARD_STATE_BYTES : 0) +
      (hasEntries ? ENTRIES_HEADER_BYTES : 0)
    if (needed > to - from) return false
    let next = from
    if (hasMarker) {
      this.markerIndex = readInteger(view, next)
      this.markerTerm = readInteger(view, next + 8)
      next += MARKER_BYTES
    }
    if (hasHardState) {
      this.term = readInteger(view, next)
      this.vote = readInteger(view, next + 8)
      this.commit = readInteger(view, next + 16)
      next += HARD_STATE_BYTES
    }
    this.entryCount = 0
    this.firstIndex = 0
    if (hasEntries) {
      this.firstIndex = readInteger(view, next)
      this.entryCount = view.getUint32(next + 8, true)
      next += ENTRIES_HEADER_BYTES
      if (this.entryCount === 0 || this.firstIndex === 0) return false
    }
    this.#entriesAt = next
    this.#end = to
    return (
      this.entryCount <= (to - next) / ENTRY_HEADER_BYTES &&
      Number.isSafeInteger(this.firstIndex + this.entryCount) &&
      this.#numbersAreSafe()
    )
  }

  /**
   * Visits the entries from an index on, in their order.
   * @param copy makes bytes of their own of `[from, to)` of the source: the entries share them
   * @returns false when their lengths do not add up.
   */
  readEntries(
    { view }: Bytes,
    fromIndex: number,
    copy: (from: number, to: number) => Uint8Array,
    visit: (entry: Entry) => void,
  ): boolean {
    if (this.firstIndex + this.entryCount <= fromIndex) return true
    const start = this.#entriesAt
    const { buffer, byteOffset } = copy(start, this.#end)
    const shift = byteOffset - start
    let next = start
    for (let each = 0; each < this.entryCount; each++) {
      if (next + ENTRY_HEADER_BYTES > this.#end) return false
      const length = view.getUint32(next, true)
      const high = view.getUint32(next + 8, true)
      const data = next + ENTRY_HEADER_BYTES
      next = data + padded(length)
      const type: EntryType | undefined = entryTypes[high & 255]
      if (next > this.#end || type === undefined) return false
      const index = this.firstIndex + each
      if (index < fromIndex) continue
      const term = view.getUint32(data - 8, true) + (high >>> 8) * 2 ** 32
      // One object for each entry is what reading a long log costs: the bytes are copied together.
      const bytes = length === 0 ? noBytes : new Uint8Array(buffer, data + shift, length)
      visit({ term, index, type, data: bytes })
    }
    return next === this.#end
  }

  #numbersAreSafe(): boolean {
    return (
      Number.isSafeInteger(this.markerIndex) &&
      Number.isSafeInteger(this.markerTerm) &&
      Number.isSafeInteger(this.term) &&
      Number.isSafeInteger(this.vote) &&
      Number.isSafeInteger(this.commit)
    )
  }
}

/** The number of a type in storage: its position among {@link entryTypes}. */
function typeNumber(type: EntryType): number {
  if (type === 'EntryNormal') return 0
  return entryTypes.indexOf(type)
}

/** Entries' data end at multiples of four, which keeps the words after them aligned. */
function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4
}

/** Where the payload of a record at `at` begins. */
export function payloadAt(at: number): number {
  return at + recordHeaderBytes
}
