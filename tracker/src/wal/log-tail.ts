/**
 * The end of the log that is written to: lays records out in memory, once, as they will lie in the file, and begins a
 * new segment where one is full. Nothing here touches a disk.
 */
import assert from 'node:assert/strict'
import type { Entry, HardState } from '../raft/types.ts'
import { AppendBuffer, type BufferPart } from './append-buffer.ts'
import type { CommitFile } from './folder.ts'
import {
  entryBytes,
  fixedBytes,
  type GroupRecordParts,
  groupFlags,
  payloadAt,
  type SnapshotMarker,
  writeGroupPayload,
} from './group-record.ts'
import { applyMarker, emptyState, type GroupState } from './group-states.ts'
import { markBytes, recordSize, recordTypes, sealRecord } from './record.ts'
import type { Release, Retention } from './retention.ts'
import { headerSize, segmentName, segmentSeed, writeHeader } from './segment.ts'
import { WalError } from './wal-error.ts'
import { walLimits } from './wal-limits.ts'

/** What one group wants durable together. */
export interface GroupAppend {
  readonly group: number
  /** A snapshot from elsewhere, which takes the place of the group's whole log. */
  readonly snapshot?: SnapshotMarker | undefined
  readonly hardState?: HardState | undefined
  /** Replace what lies there from the first one's index on. */
  readonly entries?: readonly Entry[] | undefined
}

/** A segment that is being written. */
export interface LiveSegment {
  readonly sequence: number
  readonly name: string
  readonly seed: number
  /** Size of the file. */
  readonly capacity: number
  /** Where the next record goes, once all that is in memory is written. */
  end: number
  /** Up to here all is on disk. */
  durable: number
  /** Open from the first write on. */
  file: CommitFile | undefined
}

/** Memory with what must be done when it is durable. */
export interface TailBuffer {
  readonly buffer: AppendBuffer<LiveSegment>
  releases: readonly Release[]
}

const noEntries: readonly Entry[] = []

/** Lays out records. */
export class LogTail {
  readonly logId: Uint8Array
  readonly #owner: Uint8Array
  readonly #segmentBytes: number
  readonly #recordBytes: number
  readonly #states: Map<number, GroupState>
  readonly #retention: Retention
  #buffer = new AppendBuffer<LiveSegment>()
  #spare = new AppendBuffer<LiveSegment>()
  #segment: LiveSegment
  #part: BufferPart<LiveSegment> | undefined

  constructor(
    init: {
      logId: Uint8Array
      owner: Uint8Array
      segmentBytes: number
      states: Map<number, GroupState>
      retention: Retention
    },
    first: { sequence: number; previousBytes: number; capacity: number },
  ) {
    this.logId = init.logId
    this.#owner = init.owner
    this.#segmentBytes = init.segmentBytes
    // A quarter, so that header, states of all groups and one record always fit together.
    this.#recordBytes = Math.min(walLimits.recordBytesMax, init.segmentBytes / 4)
    this.#states = init.states
    this.#retention = init.retention
    this.#segment = this.#begin(first.sequence, first.previousBytes, first.capacity)
  }

  /** The segment that records go to. */
  get segment(): LiveSegment {
    return this.#segment
  }

  /** Bytes that wait to be taken. */
  get pendingBytes(): number {
    return this.#buffer.length
  }

  /**
   * Takes what waits; the given buffer, which is done with, is filled next. The releases are those that what was taken
   * brings about.
   */
  take(): TailBuffer {
    const taken = this.#buffer
    this.#buffer = this.#spare
    this.#spare = taken
    assert(this.#buffer.length === 0, 'the buffer before is written')
    this.#part = undefined
    return { buffer: taken, releases: this.#retention.takeNoted() }
  }

  /**
   * Adds what one group appended.
   * @returns the bytes that it took
   * @throws WalError ERR_WAL_OVERFLOW, ERR_WAL_TOO_LARGE; nothing is added then
   */
  append(append: GroupAppend): void {
    const { group, snapshot, hardState } = append
    const entries = append.entries ?? noEntries
    this.#admit(append, entries)
    const known = this.#states.get(group)
    const state = known ?? emptyState()
    // It may have been here before and left: entries of now must not be free because those of then are.
    if (known === undefined) this.#retention.note({ group, snapshotIndex: 0 })
    let from = 0
    do {
      const to = this.#recordEnd(entries, from)
      const isLast = to === entries.length
      const marker = from === 0 ? snapshot : undefined
      this.#write(group, state, {
        flags:
          (marker === undefined ? 0 : groupFlags.replaced) |
          (hardState === undefined ? 0 : groupFlags.hardState) |
          (to === from ? 0 : groupFlags.entries),
        marker,
        // Each record alone must make sense: what is committed only by a later one is not committed yet.
        hardState:
          hardState === undefined || isLast ? hardState : commitBefore(hardState, entries, from),
        entries,
        from,
        to,
      })
      from = to
      // Not before its first record is laid out: a segment that begins with it must not name the group yet.
      if (known === undefined) this.#states.set(group, state)
    } while (from < entries.length)
    assert(state.commit <= state.lastIndex, 'what is committed is in the log')
  }

  /** Adds the marker of a durable snapshot of the group's own making; entries behind it stay. */
  compact(group: number, marker: SnapshotMarker): void {
    const state = this.#states.get(group)
    assert(state !== undefined, 'a group that has a snapshot has appended')
    assert(marker.index >= state.snapshotIndex, 'snapshots go forward')
    assert(marker.index <= state.lastIndex, 'a snapshot is of what the log held')
    const nothing = { hardState: undefined, entries: noEntries, from: 0, to: 0 }
    this.#write(group, state, { flags: groupFlags.compacted, marker, ...nothing })
  }

  /** Forgets a group. */
  remove(group: number): void {
    if (!this.#states.has(group)) return
    const { at, position, segment } = this.#room(recordSize(0))
    const kind = { type: recordTypes.removed, flags: 0, group }
    sealRecord(this.#buffer.memory, at, kind, 0, segment.seed, position)
    this.#states.delete(group)
    this.#retention.note({ group, snapshotIndex: Number.POSITIVE_INFINITY })
  }

  /** Adds a part that holds a mark only, when the segment has room: it tells that all before it is durable. */
  addMark(): void {
    assert(this.#part === undefined, 'all before it is taken')
    if (this.#segment.end + markBytes <= this.#segment.capacity) this.#room(0)
  }

  #admit({ group, snapshot, hardState }: GroupAppend, entries: readonly Entry[]): void {
    const state = this.#states.get(group)
    assert(Number.isInteger(group) && group >= 0 && group < 2 ** 32, 'a group is a 32-bit number')
    const base = snapshot?.index ?? state?.snapshotIndex ?? 0
    const last = snapshot?.index ?? state?.lastIndex ?? 0
    const first = entries[0]?.index ?? last + 1
    assert(first > base && first <= last + 1, `entries from ${first} do not fit ${base}..${last}`)
    assert(hardState === undefined || hardState.term >= (state?.term ?? 0), 'terms go forward')
    let bytes = 0
    let next = first
    for (const entry of entries) {
      assert(entry.index === next, 'entries follow one another')
      next += 1
      const size = entryBytes(entry)
      if (size + 256 > this.#recordBytes)
        throw new WalError('ERR_WAL_TOO_LARGE', `an entry of ${size} bytes`)
      bytes += size
    }
    // One append always fits an empty buffer: its entries are in memory already, and it must be possible to go on.
    if (this.#buffer.length > 0 && this.#buffer.length + bytes > walLimits.bufferBytesMax)
      throw new WalError('ERR_WAL_OVERFLOW', `${this.#buffer.length} bytes wait for the disk`)
    if (state === undefined && this.#states.size >= this.#groupsMax())
      throw new WalError('ERR_WAL_TOO_LARGE', `more than ${this.#states.size} groups in one log`)
  }

  #groupsMax(): number {
    return Math.min(walLimits.groupsMax, Math.floor(this.#segmentBytes / 4 / checkpointBytes))
  }

  /** Where the entries of one record end; at least one goes in. */
  #recordEnd(entries: readonly Entry[], from: number): number {
    let bytes = 256
    let to = from
    while (to < entries.length) {
      bytes += entryBytes(entries[to] as Entry)
      if (bytes > this.#recordBytes && to > from) break
      to += 1
    }
    return to
  }

  /** Lays out one record and takes it into the group's state. */
  #write(group: number, state: GroupState, parts: GroupRecordParts): void {
    const { segment } = this.#layOut(group, parts)
    const { marker, hardState, entries, from, to } = parts
    if (marker !== undefined) {
      const replaced = (parts.flags & groupFlags.replaced) !== 0
      applyMarker(state, marker, replaced)
      const release = { group, snapshotIndex: marker.index }
      const dropped = replaced ? { before: segment.sequence, lastIndex: marker.index } : {}
      this.#retention.note({ ...release, ...dropped })
    }
    if (hardState !== undefined) {
      state.term = hardState.term
      state.vote = hardState.vote
      state.commit = hardState.commit
    }
    if (to === from) return
    const firstIndex = (entries[from] as Entry).index
    if (firstIndex <= state.lastIndex)
      this.#retention.note({ group, before: segment.sequence, lastIndex: firstIndex - 1 })
    state.lastIndex = (entries[to - 1] as Entry).index
    this.#retention.hold(group, state.lastIndex)
  }

  #layOut(group: number, parts: GroupRecordParts): { segment: LiveSegment } {
    let payload = fixedBytes({ ...parts, entries: parts.to > parts.from })
    for (let at = parts.from; at < parts.to; at++) payload += entryBytes(parts.entries[at] as Entry)
    const room = this.#room(recordSize(payload))
    writeGroupPayload(this.#buffer.memory, payloadAt(room.at), parts)
    const kind = { type: recordTypes.group, flags: parts.flags, group }
    sealRecord(this.#buffer.memory, room.at, kind, payload, room.segment.seed, room.position)
    return room
  }

  /** Room for a record at the end of the log, in the next segment when this one is full. */
  #room(size: number): { at: number; position: number; segment: LiveSegment } {
    const mark = this.#part === undefined ? markBytes : 0
    if (this.#segment.end + mark + size > this.#segment.capacity) {
      const { sequence, end } = this.#segment
      this.#segment = this.#begin(sequence + 1, end, this.#segmentBytes)
    }
    const segment = this.#segment
    if (this.#part === undefined) {
      this.#part = this.#buffer.begin(segment, segment.end, true)
      this.#buffer.reserve(this.#part, markBytes)
      segment.end += markBytes
    }
    const at = this.#buffer.reserve(this.#part, size)
    const position = segment.end
    segment.end += size
    assert(segment.end <= segment.capacity, 'a record fits a fresh segment')
    return { at, position, segment }
  }

  /**
   * Lays out the start of a segment: header and states of all groups, as a part of their own. So its header is durable
   * before any record in it is promised to be.
   */
  #begin(sequence: number, previousBytes: number, capacity: number): LiveSegment {
    const segment: LiveSegment = {
      ...{ sequence, name: segmentName(sequence), seed: segmentSeed(this.logId, sequence) },
      ...{ capacity, end: 0, durable: 0, file: undefined },
    }
    this.#retention.begin(sequence)
    const part = this.#buffer.begin(segment, 0, false)
    segment.end = headerSize(this.#owner)
    const at = this.#buffer.reserve(part, segment.end)
    const header = { logId: this.logId, sequence, previousBytes, owner: this.#owner }
    writeHeader(this.#buffer.memory, at, header)
    for (const [group, state] of this.#states) this.#checkpoint(segment, part, group, state)
    this.#part = undefined
    return segment
  }

  #checkpoint(
    segment: LiveSegment,
    part: BufferPart<LiveSegment>,
    group: number,
    state: GroupState,
  ): void {
    const at = this.#buffer.reserve(part, checkpointBytes)
    const flags = groupFlags.checkpoint | groupFlags.compacted | groupFlags.hardState
    writeGroupPayload(this.#buffer.memory, payloadAt(at), {
      flags,
      marker: { index: state.snapshotIndex, term: state.snapshotTerm },
      hardState: state,
      ...{ entries: noEntries, from: 0, to: 0 },
    })
    const payload = fixedBytes({ marker: true, hardState: true, entries: false })
    const kind = { type: recordTypes.group, flags, group }
    sealRecord(this.#buffer.memory, at, kind, payload, segment.seed, segment.end)
    segment.end += checkpointBytes
  }
}

/** A group's state at the start of a segment. */
const checkpointBytes = recordSize(fixedBytes({ marker: true, hardState: true, entries: false }))

function commitBefore(hardState: HardState, entries: readonly Entry[], from: number): HardState {
  const commit = Math.min(hardState.commit, (entries[from] as Entry).index - 1)
  return { ...hardState, commit }
}
