/**
 * The write-ahead log: what Raft groups promised, on disk before the promise leaves. Many groups share one log, so that
 * one sync of the disk serves all that happens at the same time.
 */
import assert from 'node:assert/strict'
import type { AppendBuffer, BufferPart } from './append-buffer.ts'
import type { CommitFile, Folder } from './folder.ts'
import type { SnapshotMarker } from './group-record.ts'
import { type GroupAppend, type LiveSegment, LogTail, type TailBuffer } from './log-tail.ts'
import { writeMark } from './record.ts'
import { type RecoveredGroup, type Recovery, recoverLog } from './recovery.ts'
import type { Retention } from './retention.ts'
import { segmentName } from './segment.ts'
import { SegmentSupply } from './segment-supply.ts'
import { isDiskFull, WalError } from './wal-error.ts'
import { walLimits } from './wal-limits.ts'

/** What a log stands on. */
export interface WalComponents {
  /** A folder of its own: other files in it are left alone, those with names of the log are not. */
  readonly folder: Folder
  /** Eight bytes that no other log has; drawn once in a log's life. */
  readonly randomBytes: (length: number) => Uint8Array
  /** Told when something goes wrong that no caller waits for: a released segment that cannot be removed. */
  readonly onWarning: (error: unknown) => void
}

/** Settings of a log. */
export interface WalInit {
  /** Names region and member. A log of another owner is refused. At most 256 bytes. */
  readonly owner: Uint8Array
  /** Size of a segment file, a multiple of 4,096. Default 64 MiB. */
  readonly segmentBytes?: number
}

/** Figures since the start. */
export interface WalCounters {
  /** Writes that were synced; a segment's start counts as one. */
  syncs: number
  bytes: number
  segments: number
  /** Segments that were given back. */
  released: number
  /** Syncs that found the disk full. */
  full: number
}

/** The log. Open it with {@link WriteAheadLog.open}. */
export class WriteAheadLog {
  readonly counters: WalCounters = { syncs: 0, bytes: 0, segments: 1, released: 0, full: 0 }
  readonly #components: WalComponents
  readonly #tail: LogTail
  readonly #retention: Retention
  readonly #supply: SegmentSupply
  /** What is being written, or could not be written for want of room. */
  #writing: TailBuffer | undefined
  /** Those who wait for a sync that has not begun. */
  #waiting: PromiseWithResolvers<void> | undefined
  #flushing: Promise<void> | undefined
  #releasing: Promise<void> = Promise.resolve()
  #releaseFailed = false
  #failure: WalError | undefined
  #durableSequence: number
  #current: LiveSegment

  private constructor(
    components: WalComponents,
    parts: { tail: LogTail; retention: Retention; supply: SegmentSupply },
  ) {
    this.#components = components
    this.#tail = parts.tail
    this.#retention = parts.retention
    this.#supply = parts.supply
    this.#current = parts.tail.segment
    this.#durableSequence = this.#current.sequence
  }

  /**
   * Reads the log in a folder, or makes one, and begins a new segment.
   * @returns the log, ready to be appended to, and what it held of each group
   * @throws WalError ERR_WAL_CORRUPT, ERR_WAL_VERSION, ERR_WAL_FOREIGN, ERR_WAL_FULL; the file system's errors
   */
  static async open(
    components: WalComponents,
    init: WalInit,
  ): Promise<{ log: WriteAheadLog; groups: Map<number, RecoveredGroup>; tornBytes: number }> {
    const { owner, segmentBytes = walLimits.segmentBytes } = init
    assert(owner.length <= walLimits.ownerBytesMax, 'the name of the owner is short')
    assert(segmentBytes % 4096 === 0, 'segments are made of whole pages')
    assert(segmentBytes >= walLimits.segmentBytesMin && segmentBytes <= walLimits.segmentBytesMax)
    const recovery = await recoverLog(components.folder, owner)
    const supply = new SegmentSupply(components.folder, { segmentBytes })
    try {
      await supply.start()
      const log = await WriteAheadLog.#begin(components, { owner, segmentBytes }, recovery, supply)
      return { log, groups: recovery.groups, tornBytes: recovery.tornBytes }
    } catch (error) {
      await supply.stop()
      throw isDiskFull(error) ? fullError(error) : error
    }
  }

  /** Every run begins a segment: its header says, durably, where the one before really ends. */
  static async #begin(
    components: WalComponents,
    settings: { owner: Uint8Array; segmentBytes: number },
    recovery: Recovery,
    supply: SegmentSupply,
  ): Promise<WriteAheadLog> {
    const { lastSequence, lastBytes, states, retention } = recovery
    const sequence = lastSequence + 1
    const { file, bytes } = await supply.take(segmentName(sequence), true)
    const logId = recovery.logId ?? components.randomBytes(8)
    const tail = new LogTail(
      { logId, ...settings, states, retention },
      { sequence, previousBytes: lastBytes, capacity: bytes },
    )
    tail.segment.file = file
    const log = new WriteAheadLog(components, { tail, retention, supply })
    await log.sync()
    if (retention.has(lastSequence))
      await cutFile(components.folder, segmentName(lastSequence), lastBytes)
    supply.prepare()
    return log
  }

  /**
   * Adds what a group wants durable. It is after the next {@link sync}, all of it or (when a crash comes first) none,
   * or the first records of an append of more than 8 MiB.
   * @returns false when so much waits that the caller should sync before it appends more
   * @throws WalError ERR_WAL_OVERFLOW, ERR_WAL_TOO_LARGE (nothing was added), ERR_WAL_FAILED, ERR_WAL_CLOSED
   */
  append(append: GroupAppend): boolean {
    this.#checkUsable()
    this.#tail.append(append)
    return this.#tail.pendingBytes < walLimits.bufferBytesHigh
  }

  /**
   * Notes that a snapshot of the group's own making is durable: its entries up to there are free once this is synced.
   * @throws WalError ERR_WAL_FAILED, ERR_WAL_CLOSED
   */
  compact(group: number, marker: SnapshotMarker): void {
    this.#checkUsable()
    this.#tail.compact(group, marker)
  }

  /**
   * Forgets a group and all it had.
   * @throws WalError ERR_WAL_FAILED, ERR_WAL_CLOSED
   */
  remove(group: number): void {
    this.#checkUsable()
    this.#tail.remove(group)
  }

  /**
   * Makes durable what was appended before this call. Calls at the same time share one sync; while the disk works, the
   * next batch gathers.
   * @throws WalError ERR_WAL_FULL: what was appended stays, the next call tries again; ERR_WAL_FAILED, ERR_WAL_CLOSED:
   *   nothing is known of what was appended, and the log is of no more use
   */
  sync(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const idle = this.#flushing === undefined && this.#waiting === undefined
    if (idle && this.#writing === undefined && this.#tail.pendingBytes === 0)
      return Promise.resolve()
    this.#waiting ??= Promise.withResolvers<void>()
    const { promise } = this.#waiting
    if (idle) {
      // After the present callback and its promises: whoever else appends in them takes part.
      process.nextTick(() => {
        this.#flushing ??= this.#flush()
      })
    }
    return promise
  }

  /** Groups whose snapshots would set the oldest segment free. Empty when the log is one segment. */
  pinning(): number[] {
    return this.#retention.pinning()
  }

  /** Segments on disk, without the spare. */
  get segmentCount(): number {
    return this.#retention.count
  }

  /** Makes durable what was appended, and lets go of the files. */
  async close(): Promise<void> {
    if (this.#failure?.code === 'ERR_WAL_CLOSED') return
    try {
      if (this.#failure === undefined) {
        await this.sync()
        // Tells the next start that all before it was durable, so that damage to the last write is seen as such.
        this.#tail.addMark()
        await this.sync()
      }
    } finally {
      this.#failure ??= new WalError('ERR_WAL_CLOSED', 'the log is closed')
      await this.#flushing
      await this.#supply.stop()
      await this.#releasing
      await this.#current.file?.close()
    }
  }

  async #flush(): Promise<void> {
    try {
      while (this.#waiting !== undefined) {
        const waiting = this.#waiting
        this.#waiting = undefined
        try {
          await this.#drain()
          waiting.resolve()
        } catch (error) {
          waiting.reject(error)
        }
      }
    } finally {
      this.#flushing = undefined
    }
  }

  /** Writes what an earlier call could not, then what waits. */
  async #drain(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#writing !== undefined) await this.#writeAll(this.#writing)
    this.#writing = this.#tail.take()
    await this.#writeAll(this.#writing)
    this.#release()
  }

  async #writeAll(taken: TailBuffer): Promise<void> {
    const { buffer } = taken
    for (;;) {
      const part = buffer.parts[0]
      if (part === undefined) break
      await this.#writePart(buffer, part)
      buffer.parts.shift()
    }
    this.#retention.apply(taken.releases)
    buffer.clear()
    this.#writing = undefined
  }

  /** One write, one sync. */
  async #writePart(
    buffer: AppendBuffer<LiveSegment>,
    part: BufferPart<LiveSegment>,
  ): Promise<void> {
    const { segment, position, from, to } = part
    if (part.hasMark) {
      const { seed, durable: durableBytes } = segment
      writeMark(buffer.memory, from, { durableBytes, logId: this.#tail.logId, seed, position })
    }
    try {
      const file = segment.file ?? (await this.#nextFile(segment))
      await file.commit(buffer.memory.bytes.subarray(from, to), position)
    } catch (error) {
      // A failed sync is never tried again, for whatever reason it failed.
      throw isDiskFull(error) ? this.#noteFull(error) : this.#fail(error)
    }
    segment.durable = position + to - from
    this.#durableSequence = segment.sequence
    this.counters.syncs += 1
    this.counters.bytes += to - from
    // Not at its start: until then a segment may be released that can be used again.
    if (segment.durable > segment.capacity / 2) this.#supply.prepare()
  }

  async #nextFile(segment: LiveSegment): Promise<CommitFile> {
    const { file } = await this.#supply.take(segment.name)
    segment.file = file
    await this.#current.file?.close()
    this.#current = segment
    this.counters.segments += 1
    return file
  }

  /** Gives segments back in the background, one after another, oldest first: the rest always is a log without gaps. */
  #release(): void {
    const released = this.#retention.takeReleased(this.#durableSequence)
    if (released.length === 0 || this.#releaseFailed) return
    this.#releasing = this.#releasing.then(async () => {
      try {
        for (const sequence of this.#releaseFailed ? [] : released) {
          await this.#supply.release(segmentName(sequence))
          this.counters.released += 1
        }
      } catch (error) {
        // The next start finds the segment and tries again; until then newer ones stay too.
        this.#releaseFailed = true
        this.#components.onWarning(error)
      }
    })
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #fail(cause: unknown): WalError {
    const message = 'the disk failed; what was appended last may be lost'
    this.#failure = new WalError('ERR_WAL_FAILED', message, { cause })
    return this.#failure
  }

  #noteFull(cause: unknown): WalError {
    this.counters.full += 1
    return fullError(cause)
  }
}

function fullError(cause: unknown): WalError {
  return new WalError('ERR_WAL_FULL', 'the disk is full', { cause })
}

async function cutFile(folder: Folder, name: string, bytes: number): Promise<void> {
  const file = await folder.open(name)
  try {
    // Gives room back; how long the segment is stands in the next one's header already.
    if ((await file.size()) > bytes) await file.truncate(bytes)
  } finally {
    await file.close()
  }
}
