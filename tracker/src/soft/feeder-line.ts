/** What a peer has told the leader of one shard, what it has not yet, and the batches that make up the difference. */
import type { ByteWriter } from '../bytes/byte-writer.ts'
import { TrackerError } from '../errors.ts'
import { writeBatchHead, writeGone, writeRecord } from './batch.ts'
import type { BatchAnswer } from './batch-answer.ts'
import type { HeldParts } from './held-parts.ts'
import type { PeerLoad } from './holding.ts'
import { softLimits } from './soft-limits.ts'

/** The largest record: number, names, window, ranges. */
const RECORD_BYTES_MAX = 1_024

/** One stream or rendition that is told. */
export interface FedEntry {
  readonly stream: string
  readonly rendition: string
  readonly parts: HeldParts
  /** Its number at the leader; the line's to change. */
  id: number
  /** Whether the leader knows the number. */
  isNamed: boolean
  /** Other holders that are wanted, 0 for none. */
  wants: number
  isOpen: boolean
}

/** A batch that is on its way. */
export interface SentBatch {
  readonly bytes: Uint8Array
  readonly sequence: number
  readonly entries: readonly FedEntry[]
  readonly gone: readonly number[]
  readonly loadVersion: number
  readonly isAll: boolean
  readonly isGoodbye: boolean
  /** There was more than it could hold. */
  readonly hasMore: boolean
}

/** The line to one shard. Only one batch is on its way at a time. */
export class FeederLine {
  readonly shard: number
  /** Ids of peers by handle, in the term of the leader that answered last. */
  readonly names = new Map<number, string>()
  term = 0
  /** What the leader said last: false while a new one may not have heard of everybody. */
  isComplete = false
  readonly #session: number
  readonly #byId: (FedEntry | undefined)[] = []
  #lowestFree = 0
  #size = 0
  readonly #dirty = new Set<FedEntry>()
  readonly #gone = new Set<number>()
  #sequence = 0
  #acknowledged = 0
  #needsAll = true
  #loadVersion = -1

  /** @param session drawn at random, 32 bits */
  constructor(shard: number, session: number) {
    this.shard = shard
    this.#session = session
  }

  /** Streams and renditions that are told. */
  get size(): number {
    return this.#size
  }

  /** @throws TrackerError ERR_OVERLOADED when a shard takes no more of one peer */
  add(entry: FedEntry): void {
    while (this.#byId[this.#lowestFree] !== undefined) this.#lowestFree += 1
    const id = this.#lowestFree
    if (id >= softLimits.entriesPerPeerMax) {
      throw new TrackerError('ERR_OVERLOADED', 'a shard takes no more streams of one peer')
    }
    this.#byId[id] = entry
    this.#gone.delete(id)
    this.#size += 1
    entry.id = id
    entry.isNamed = false
    this.#dirty.add(entry)
  }

  /** Something of an entry has changed. */
  change(entry: FedEntry): void {
    if (entry.isOpen) this.#dirty.add(entry)
  }

  remove(entry: FedEntry): void {
    this.#byId[entry.id] = undefined
    this.#lowestFree = Math.min(this.#lowestFree, entry.id)
    this.#size -= 1
    this.#dirty.delete(entry)
    this.#gone.add(entry.id)
  }

  /** Whether the next batch says anything but that this peer is there. */
  hasNews(loadVersion: number): boolean {
    const isTold = !this.#needsAll && this.#loadVersion === loadVersion
    return !isTold || this.#size === 0 || this.#dirty.size + this.#gone.size > 0
  }

  /** The leader does not know anything: the next batch says all. */
  sendAll(): void {
    this.#needsAll = true
  }

  /** The next batch: what has changed, or all; with nothing left to tell, goodbye. */
  next(writer: ByteWriter, load: PeerLoad | undefined, loadVersion: number): SentBatch {
    const isGoodbye = this.#size === 0
    const isAll = this.#needsAll && !isGoodbye
    if (isAll) this.#restart()
    this.#sequence += 1
    const isLoadNews = isAll || this.#loadVersion !== loadVersion
    writer.length = 0
    writeBatchHead(writer, {
      session: this.#session,
      term: this.term,
      sequence: this.#sequence,
      after: isAll ? 0 : this.#acknowledged,
      isAll,
      isGoodbye,
      load: isLoadNews && !isGoodbye ? load : undefined,
    })
    const gone: number[] = []
    const entries: FedEntry[] = []
    if (!isGoodbye) this.#writeRecords(writer, gone, entries)
    const hasMore = !isGoodbye && this.#dirty.size + this.#gone.size > 0
    const bytes = writer.take()
    const sequence = this.#sequence
    return { bytes, sequence, entries, gone, loadVersion, isAll, isGoodbye, hasMore }
  }

  #writeRecords(writer: ByteWriter, gone: number[], entries: FedEntry[]): void {
    const isFull = (): boolean =>
      writer.length > softLimits.batchBytesMax - RECORD_BYTES_MAX ||
      gone.length + entries.length === softLimits.recordsPerBatchMax
    for (const id of this.#gone) {
      if (isFull()) return
      writeGone(writer, id)
      gone.push(id)
      this.#gone.delete(id)
    }
    for (const entry of this.#dirty) {
      if (isFull()) return
      const { id, stream, rendition, wants } = entry
      const name = entry.isNamed ? undefined : { stream, rendition }
      writeRecord(writer, { id, name, holding: entry.parts.toHolding(), wants })
      entries.push(entry)
      this.#dirty.delete(entry)
    }
  }

  /** Everything is news; numbers begin anew without gaps, as a leader that knows nothing wants them. */
  #restart(): void {
    this.#needsAll = false
    this.#gone.clear()
    this.#dirty.clear()
    const entries = this.#byId.filter((entry) => entry !== undefined)
    this.#byId.length = 0
    for (const entry of entries) {
      entry.id = this.#byId.length
      entry.isNamed = false
      this.#byId.push(entry)
      this.#dirty.add(entry)
    }
    this.#lowestFree = this.#byId.length
  }

  /** The leader took a batch, or wants all. */
  answered(batch: SentBatch, answer: BatchAnswer): void {
    if (answer.term !== this.term) this.names.clear()
    this.term = answer.term
    this.isComplete = answer.isComplete
    if (!answer.isTaken || batch.isGoodbye) {
      this.#needsAll = true
      return
    }
    this.#acknowledged = batch.sequence
    this.#loadVersion = batch.loadVersion
    for (const entry of batch.entries) entry.isNamed = true
  }

  /** Nobody knows whether a batch was taken: what it said is said again. */
  failed(batch: SentBatch): void {
    // Numbers mean something else since a batch that was to say all, and what is gone is not in it.
    if (batch.isAll) this.#needsAll = true
    for (const entry of batch.entries) this.change(entry)
    for (const id of batch.gone) if (this.#byId[id] === undefined) this.#gone.add(id)
  }
}
