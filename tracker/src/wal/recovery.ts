/**
 * Reads a log at start: checks every record, finds the torn end of the last segment, and rebuilds each group's state.
 * Two passes, so that only entries that are still wanted are ever made: the first checks and learns where each group's
 * snapshot stands, the second takes the entries behind it.
 */
import type { Entry, HardState } from '../raft/types.ts'
import type { Bytes } from './crc32c.ts'
import type { Folder } from './folder.ts'
import { GroupRecord, groupFlags, type SnapshotMarker } from './group-record.ts'
import { applyRecord, emptyState, type GroupState } from './group-states.ts'
import { bytesOf, durableBehind, recordTypes, scanRecords } from './record.ts'
import { Retention } from './retention.ts'
import { readHeader, type SegmentHeader, segmentName, segmentSeed, sequenceOf } from './segment.ts'
import { corrupt, WalError } from './wal-error.ts'
import { walLimits } from './wal-limits.ts'

/** What the log held of one group. */
export interface RecoveredGroup {
  /** Zeros when none was stored. */
  readonly hardState: HardState
  /** The newest snapshot that was noted; index 0 for none. */
  readonly snapshot: SnapshotMarker
  /** All that follows the snapshot, without a gap. */
  readonly entries: Entry[]
}

/** What a folder held. */
export interface Recovery {
  /** Undefined when there was no log. */
  readonly logId: Uint8Array | undefined
  readonly lastSequence: number
  /** Where the last segment ends; what lay behind was torn. */
  readonly lastBytes: number
  /** Bytes behind the end that were not zeros: the write that a crash cut. */
  readonly tornBytes: number
  readonly states: Map<number, GroupState>
  readonly groups: Map<number, RecoveredGroup>
  readonly retention: Retention
}

interface SegmentSpan {
  readonly sequence: number
  readonly name: string
  readonly header: SegmentHeader & { readonly size: number }
  /** Known when the next segment tells it. */
  bytes: number | undefined
}

/** Records' bytes lie together in pieces of this size: a buffer of its own for each costs more than most records. */
const SLAB_BYTES = 64 * 1024

/** Enough for the largest header. */
const HEADER_READ_BYTES = 4096

/**
 * Reads the log in a folder and makes durable what it read; removes a segment that was never begun.
 * @param owner whose log it must be
 * @throws WalError ERR_WAL_CORRUPT, ERR_WAL_VERSION, ERR_WAL_FOREIGN; the file system's errors
 */
export async function recoverLog(folder: Folder, owner: Uint8Array): Promise<Recovery> {
  const spans = await readSpans(folder, owner)
  return new Reader(folder, spans).read()
}

/** The segments with their headers, checked against one another. */
async function readSpans(folder: Folder, owner: Uint8Array): Promise<SegmentSpan[]> {
  const sequences = (await folder.list())
    .map(sequenceOf)
    .filter((sequence) => sequence !== undefined)
    .sort((a, b) => a - b)
  const spans: SegmentSpan[] = []
  for (const [at, sequence] of sequences.entries()) {
    const name = segmentName(sequence)
    const before = spans.at(-1)
    if (before !== undefined && before.sequence + 1 !== sequence)
      throw corrupt(name, 0, `follows ${before.name}: segments between them are missing`)
    const raw = await readFile(folder, name, HEADER_READ_BYTES)
    const header = readHeader(bytesOf(raw), sequence)
    if (header === undefined) {
      await removeUnbegun(folder, name, at === sequences.length - 1)
      continue
    }
    checkHeader(name, header, owner, spans[0]?.header)
    if (before !== undefined) before.bytes = header.previousBytes
    spans.push({ sequence, name, header, bytes: undefined })
  }
  return spans
}

function checkHeader(
  file: string,
  header: SegmentHeader,
  owner: Uint8Array,
  first: SegmentHeader | undefined,
): void {
  if (Buffer.compare(header.owner, owner) !== 0)
    throw new WalError('ERR_WAL_FOREIGN', 'belongs to another member', { file })
  if (first !== undefined && Buffer.compare(header.logId, first.logId) !== 0)
    throw new WalError('ERR_WAL_FOREIGN', 'belongs to another log', { file })
}

/** A crash may leave the newest segment without a header, but then nothing in it was ever durable. */
async function removeUnbegun(folder: Folder, name: string, isLast: boolean): Promise<void> {
  if (!isLast) throw corrupt(name, 0, 'its header is damaged')
  const sequence = sequenceOf(name) as number
  const all = bytesOf(await readFile(folder, name, walLimits.segmentBytesMax))
  if (durableBehind(all, 0, (logId) => segmentSeed(logId, sequence)) > 0)
    throw corrupt(name, 0, 'its header is damaged, though records behind it were durable')
  // Removed for good before one of the same name is made: what is left of it could pass as the other's.
  await folder.remove(name)
  await folder.sync()
}

async function readFile(folder: Folder, name: string, bytesMax: number): Promise<Uint8Array> {
  const file = await folder.open(name)
  try {
    const size = await file.size()
    if (size > walLimits.segmentBytesMax)
      throw corrupt(name, walLimits.segmentBytesMax, 'is larger than any segment')
    const bytes = Buffer.allocUnsafeSlow(Math.min(size, bytesMax))
    return bytes.subarray(0, await file.read(bytes, 0))
  } finally {
    await file.close()
  }
}

/** The two passes over the records. */
class Reader {
  readonly #folder: Folder
  readonly #spans: SegmentSpan[]
  readonly #states = new Map<number, GroupState>()
  readonly #retention = new Retention()
  readonly #record = new GroupRecord()
  readonly #entries = new Map<number, Entry[]>()
  #slab = new Uint8Array(SLAB_BYTES)
  #slabUsed = 0
  #tornBytes = 0

  constructor(folder: Folder, spans: SegmentSpan[]) {
    this.#folder = folder
    this.#spans = spans
  }

  async read(): Promise<Recovery> {
    for (const span of this.#spans) await this.#check(span)
    this.#retention.apply(this.#retention.takeNoted())
    await this.#syncLast()
    // The oldest segments may hold nothing that is wanted. From the first that does on all are read: a later one may
    // take back what an earlier one said.
    const first = this.#spans.findIndex((span) => this.#retention.isNeeded(span.sequence))
    for (const span of first < 0 ? [] : this.#spans.slice(first)) await this.#collect(span)
    const last = this.#spans.at(-1)
    return {
      logId: last?.header.logId,
      lastSequence: last?.sequence ?? 0,
      lastBytes: last?.bytes ?? 0,
      tornBytes: this.#tornBytes,
      states: this.#states,
      groups: this.#finish(),
      retention: this.#retention,
    }
  }

  /** First pass: every record passes up to the segment's end, or the end is found. */
  async #check(span: SegmentSpan): Promise<void> {
    const raw = await readFile(this.#folder, span.name, walLimits.segmentBytesMax)
    const whole = bytesOf(raw)
    const known = span.bytes
    const bytes = known === undefined ? whole : bytesOf(raw.subarray(0, known))
    const seed = segmentSeed(span.header.logId, span.sequence)
    this.#retention.begin(span.sequence)
    const end = scanRecords(bytes, span.header.size, seed, (found) => {
      if (found.type === recordTypes.mark) return
      if (found.type === recordTypes.removed) this.#remove(found.group)
      else if (found.type !== recordTypes.group || !this.#record.read(bytes, found))
        throw corrupt(span.name, found.at, `a record of type ${found.type} makes no sense`)
      else this.#learn(span)
    })
    if (known !== undefined) {
      if (end !== known)
        throw corrupt(span.name, end, `a record is damaged; the segment goes on to byte ${known}`)
      return
    }
    const durable = durableBehind(bytes, end, () => seed)
    if (durable > end)
      throw corrupt(span.name, end, `a record is damaged; all up to byte ${durable} was durable`)
    span.bytes = end
    this.#tornBytes = lastSet(raw, end) - end
  }

  #remove(group: number): void {
    this.#states.delete(group)
    this.#retention.note({ group, snapshotIndex: Number.POSITIVE_INFINITY })
  }

  #learn(span: SegmentSpan): void {
    const record = this.#record
    const { group, flags } = record
    let state = this.#states.get(group)
    if (state === undefined) {
      state = emptyState()
      this.#states.set(group, state)
      this.#retention.note({ group, snapshotIndex: 0 })
    }
    const { lastIndex, snapshotIndex } = state
    applyRecord(state, record)
    const before = span.sequence
    if (state.snapshotIndex !== snapshotIndex)
      this.#retention.note({ group, snapshotIndex: state.snapshotIndex })
    if ((flags & groupFlags.replaced) !== 0)
      this.#retention.note({ group, before, lastIndex: record.markerIndex })
    if (record.entryCount === 0) return
    if (record.firstIndex <= lastIndex)
      this.#retention.note({ group, before, lastIndex: record.firstIndex - 1 })
    this.#retention.hold(group, state.lastIndex)
  }

  /**
   * After a crash of the process alone the last writes lie in the page cache: what was read of them will be acted
   * upon, so it has to be as durable as the rest.
   */
  async #syncLast(): Promise<void> {
    const last = this.#spans.at(-1)
    if (last === undefined) return
    const file = await this.#folder.open(last.name)
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** Second pass: the entries behind each group's snapshot. */
  async #collect(span: SegmentSpan): Promise<void> {
    const raw = await readFile(this.#folder, span.name, span.bytes as number)
    const bytes = bytesOf(raw)
    const seed = segmentSeed(span.header.logId, span.sequence)
    const end = scanRecords(bytes, span.header.size, seed, (found) => {
      if (found.type === recordTypes.removed) this.#entries.delete(found.group)
      if (found.type !== recordTypes.group) return
      if (!this.#record.read(bytes, found) || !this.#take(bytes))
        throw corrupt(span.name, found.at, 'the entries of a record make no sense')
    })
    if (end !== span.bytes) throw corrupt(span.name, end, 'reads differently the second time')
  }

  #take(bytes: Bytes): boolean {
    const { group, flags, firstIndex, entryCount } = this.#record
    const base = this.#states.get(group)?.snapshotIndex
    // The group was removed later on.
    if (base === undefined) return true
    let entries = this.#entries.get(group)
    if (entries === undefined || (flags & groupFlags.replaced) !== 0) {
      entries = []
      this.#entries.set(group, entries)
    }
    if (entryCount === 0) return true
    const last = entries.at(-1)
    if (last !== undefined && firstIndex > last.index + 1) {
      // A gap that a later marker closes; if none does, the end of the reading says so.
      entries.length = 0
    } else if (last !== undefined && firstIndex <= last.index) {
      entries.length = Math.max(0, firstIndex - (entries[0] as Entry).index)
    }
    const list = entries
    return this.#record.readEntries(
      bytes,
      base + 1,
      (start, end) => this.#copy(bytes.bytes, start, end),
      (entry) => list.push(entry),
    )
  }

  /** Entries' bytes apart from those of their segment, which would live as long as one of its entries. */
  #copy(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    if (length > SLAB_BYTES / 4) return bytes.slice(start, end)
    if (this.#slabUsed + length > SLAB_BYTES) {
      this.#slab = new Uint8Array(SLAB_BYTES)
      this.#slabUsed = 0
    }
    const at = this.#slabUsed
    this.#slab.set(bytes.subarray(start, end), at)
    this.#slabUsed += length
    return this.#slab.subarray(at, at + length)
  }

  #finish(): Map<number, RecoveredGroup> {
    const groups = new Map<number, RecoveredGroup>()
    const file = this.#spans[0]?.name ?? ''
    for (const [group, state] of this.#states) {
      const entries = this.#entries.get(group) ?? []
      const { term, vote, snapshotIndex, snapshotTerm, lastIndex } = state
      const reached = snapshotIndex + entries.length
      if ((entries[0]?.index ?? snapshotIndex + 1) !== snapshotIndex + 1 || reached !== lastIndex) {
        const from = entries[0]?.index ?? 'nowhere'
        const message = `group ${group}: entries from ${snapshotIndex + 1} to ${lastIndex} are needed, there are ${entries.length} from ${from}`
        throw corrupt(file, 0, message)
      }
      if (state.commit > lastIndex)
        throw corrupt(file, 0, `group ${group}: entry ${state.commit} was committed and is missing`)
      // A commit index may be written later than the snapshot that it led to.
      state.commit = Math.max(state.commit, snapshotIndex)
      groups.set(group, {
        hardState: { term, vote, commit: state.commit },
        snapshot: { index: snapshotIndex, term: snapshotTerm },
        entries,
      })
    }
    return groups
  }
}

/** Where the zeros at the end of a file begin. */
function lastSet(bytes: Uint8Array, from: number): number {
  let end = bytes.length
  while (end > from && bytes[end - 1] === 0) end -= 1
  return end
}
