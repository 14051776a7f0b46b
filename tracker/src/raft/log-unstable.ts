/**
 * The end of the log that is not yet known to be on disk: entries, and a snapshot that is being restored. What was
 * handed out for writing stays here ("in progress") until the write is confirmed, so that the log can be read whole
 * meanwhile.
 */
import { noLimit, sliceWithin } from './entry-size.ts'
import { invariant } from './raft-error.ts'
import type { Entry, RaftLogger, Snapshot } from './types.ts'

/** The unstable end of one log. `entries[i]` has index `offset + i`. */
export class UnstableLog {
  snapshot: Snapshot | undefined
  entries: Entry[] = []
  /** May lie below what storage holds: the next write then replaces storage from here on. */
  offset: number
  /** Entries below this index are being written. */
  offsetInProgress: number
  #snapshotInProgress = false
  readonly #logger: RaftLogger

  constructor(offset: number, logger: RaftLogger) {
    this.offset = offset
    this.offsetInProgress = offset
    this.#logger = logger
  }

  /** First index of the whole log, when a snapshot decides it. */
  firstIndex(): number | undefined {
    return this.snapshot === undefined ? undefined : this.snapshot.index + 1
  }

  /** Last index of the whole log, when it is known here. */
  lastIndex(): number | undefined {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1
    return this.snapshot?.index
  }

  /** Term at an index, when it is known here. */
  term(index: number): number | undefined {
    if (index < this.offset) {
      return this.snapshot?.index === index ? this.snapshot.term : undefined
    }
    return this.entries[index - this.offset]?.term
  }

  /** Entries that nobody writes yet. */
  nextEntries(): Entry[] {
    return this.entries.slice(this.offsetInProgress - this.offset)
  }

  /** Whether {@link nextEntries} is not empty. */
  hasNextEntries(): boolean {
    return this.entries.length > this.offsetInProgress - this.offset
  }

  /** The snapshot, unless it is being written already. */
  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.snapshot
  }

  /** Everything here has been handed to the writer. */
  acceptInProgress(): void {
    this.offsetInProgress = this.offset + this.entries.length
    if (this.snapshot !== undefined) this.#snapshotInProgress = true
  }

  /**
   * Entries up to (index, term) are on disk and no write under way can replace them. Anything that does not fit what
   * is held here comes from a write that was overtaken, and is ignored.
   */
  stableTo(index: number, term: number): void {
    const held = this.term(index)
    if (held === undefined) {
      this.#logger.debug?.(`entry at index ${index} missing from unstable log; ignoring`)
      return
    }
    if (index < this.offset) {
      this.#logger.info?.(`entry at index ${index} matched unstable snapshot; ignoring`)
      return
    }
    if (held !== term) {
      this.#logger.info?.(
        `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${held}) in unstable log; ignoring`,
      )
      return
    }
    this.entries = this.entries.slice(index + 1 - this.offset)
    this.offset = index + 1
    this.offsetInProgress = Math.max(this.offsetInProgress, this.offset)
  }

  /** The snapshot at this index is on disk. */
  stableSnapshotTo(index: number): void {
    if (this.snapshot?.index !== index) return
    this.snapshot = undefined
    this.#snapshotInProgress = false
  }

  /** Replaces everything by a snapshot. */
  restore(snapshot: Snapshot): void {
    this.offset = snapshot.index + 1
    this.offsetInProgress = this.offset
    this.entries = []
    this.snapshot = snapshot
    this.#snapshotInProgress = false
  }

  /** Appends entries, replacing whatever is held from the first one's index on. */
  truncateAndAppend(added: readonly Entry[]): void {
    const from = (added[0] as Entry).index
    if (from <= this.offset && from !== this.offset + this.entries.length) {
      this.#logger.info?.(`replace the unstable entries from index ${from}`)
      this.entries = [...added]
      this.offset = from
      this.offsetInProgress = from
      return
    }
    if (from !== this.offset + this.entries.length) {
      this.#logger.info?.(`truncate the unstable entries before index ${from}`)
      this.entries = this.slice(this.offset, from, noLimit)
      // A write under way still holds what was cut off here; the next write replaces it.
      this.offsetInProgress = Math.min(this.offsetInProgress, from)
    }
    for (const entry of added) this.entries.push(entry)
  }

  /** Entries `[low, high)`, all of which must be here, up to a size, but at least one. */
  slice(low: number, high: number, bytesMax: number): Entry[] {
    const end = this.offset + this.entries.length
    invariant(
      low <= high && low >= this.offset && high <= end,
      () => `unstable entries [${low},${high}) asked for, [${this.offset},${end}) held`,
    )
    return sliceWithin(this.entries, low - this.offset, high - this.offset, bytesMax)
  }
}
