/**
 * The log of one member: the stable part in storage and the unstable end as one, with the three positions that only
 * grow: `applied <= applying <= committed`.
 */
import { entriesSize } from './entry-size.ts'
import { UnstableLog } from './log-unstable.ts'
import { invariant } from './raft-error.ts'
import type { Entry, RaftLogger, Snapshot, Storage } from './types.ts'

/** Index and term of an entry: together they name it and everything before it (log matching). */
export interface EntryId {
  readonly term: number
  readonly index: number
}

/** What an append carries: entries behind a given one. */
export interface AppendedEntries {
  readonly previous: EntryId
  readonly entries: readonly Entry[]
  /** The leader's commit index. */
  readonly commit: number
}

/** The log of one member. */
export class RaftLog {
  readonly unstable: UnstableLog
  /** Highest index known to be on a quorum. */
  committed: number
  /** Highest index handed out for applying. */
  applying: number
  /** Highest index applied. */
  applied: number
  /** Encoded bytes that may be handed out for applying at once. */
  readonly applyingBytesMax: number
  readonly #storage: Storage
  readonly #logger: RaftLogger
  #applyingBytes = 0
  #applyingPaused = false

  constructor(storage: Storage, logger: RaftLogger, applyingBytesMax: number) {
    this.#storage = storage
    this.#logger = logger
    this.applyingBytesMax = applyingBytesMax
    this.unstable = new UnstableLog(storage.lastIndex() + 1, logger)
    const compacted = storage.firstIndex() - 1
    this.committed = compacted
    this.applying = compacted
    this.applied = compacted
  }

  firstIndex(): number {
    return this.unstable.firstIndex() ?? this.#storage.firstIndex()
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.#storage.lastIndex()
  }

  /** Term at an index of `[firstIndex - 1, lastIndex]`, else undefined. */
  term(index: number): number | undefined {
    const known = this.unstable.term(index)
    if (known !== undefined) return known
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return undefined
    return this.#storage.term(index)
  }

  /** Index and term of the last entry. */
  last(): EntryId {
    const index = this.lastIndex()
    const term = this.term(index)
    invariant(term !== undefined, () => `the term of the last entry, ${index}, is unknown`)
    return { term, index }
  }

  /** Section 5.4.1: whether a log that ends with this entry holds at least as much as this one. */
  isUpToDate(candidate: EntryId): boolean {
    const last = this.last()
    return (
      candidate.term > last.term || (candidate.term === last.term && candidate.index >= last.index)
    )
  }

  matches(id: EntryId): boolean {
    return this.term(id.index) === id.term
  }

  /** Adds entries of this member's own making (leader). */
  append(entries: readonly Entry[]): number {
    const first = entries[0]
    if (first === undefined) return this.lastIndex()
    invariant(
      first.index > this.committed,
      () => `an append at ${first.index} would replace committed entries (${this.committed})`,
    )
    this.unstable.truncateAndAppend(entries)
    return this.lastIndex()
  }

  /**
   * Takes in what a leader sent (follower).
   * @returns the last index that now equals the leader's, or undefined when the entry before does not fit.
   */
  tryAppend({ previous, entries, commit }: AppendedEntries): number | undefined {
    if (!this.matches(previous)) return undefined
    const matched = previous.index + entries.length
    const conflict = this.#findConflict(entries)
    if (conflict !== undefined) {
      invariant(
        conflict > this.committed,
        () => `entry ${conflict} conflicts with committed entry [committed(${this.committed})]`,
      )
      this.append(entries.slice(conflict - previous.index - 1))
    }
    this.commitTo(Math.min(commit, matched))
    return matched
  }

  /** Index of the first given entry that this log lacks or has with another term. */
  #findConflict(entries: readonly Entry[]): number | undefined {
    for (const entry of entries) {
      const term = this.term(entry.index)
      if (term === entry.term) continue
      if (entry.index <= this.lastIndex()) {
        this.#logger.info?.(
          `found conflict at index ${entry.index} [existing term: ${term ?? 0}, conflicting term: ${entry.term}]`,
        )
      }
      return entry.index
    }
    return undefined
  }

  /**
   * The best guess where this log and another one part, of which only one entry is known: the highest index up to the
   * given one whose term here is not above the given one. An index out of reach counts as a guess with term 0.
   */
  findConflictByTerm({ index, term }: EntryId): EntryId {
    for (let at = index; at > 0; at -= 1) {
      const ours = this.term(at)
      if (ours === undefined) return { index: at, term: 0 }
      if (ours <= term) return { index: at, term: ours }
    }
    return { index: 0, term: 0 }
  }

  /** Moves the commit index up, never down. */
  commitTo(index: number): void {
    if (index <= this.committed) return
    const last = this.lastIndex()
    invariant(
      index <= last,
      () =>
        `commit index ${index} is beyond the last entry, ${last}: entries that were promised are lost`,
    )
    this.committed = index
  }

  /**
   * Leader: what a quorum holds is committed, but only from an entry of its own term on (section 5.4.2): an older entry
   * on a quorum can still be replaced by another leader.
   * @returns whether the commit index moved.
   */
  tryCommit({ index, term }: EntryId): boolean {
    if (index <= this.committed || term === 0 || this.term(index) !== term) return false
    this.commitTo(index)
    return true
  }

  /** Entries from an index on, or undefined when some are compacted away. */
  entriesFrom(index: number, bytesMax: number): readonly Entry[] | undefined {
    const last = this.lastIndex()
    return index > last ? [] : this.slice(index, last + 1, bytesMax)
  }

  /** Entries `[low, high)` up to a size, at least one; undefined when some are compacted away. */
  slice(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    if (low < this.firstIndex()) return undefined
    invariant(
      low <= high && high <= this.lastIndex() + 1,
      () => `entries [${low},${high}) asked for, log ends at ${this.lastIndex()}`,
    )
    if (low === high) return []
    const { offset } = this.unstable
    if (low >= offset) return this.unstable.slice(low, high, bytesMax)
    const cut = Math.min(high, offset)
    const stable = this.#storage.entries(low, cut, bytesMax)
    if (stable === undefined || high <= offset || stable.length < cut - low) return stable
    const size = entriesSize(stable)
    if (size >= bytesMax) return stable
    const rest = this.unstable.slice(offset, high, bytesMax - size)
    // One entry comes even when it is too large; here there is something before it, so it waits.
    if (rest.length === 1 && size + entriesSize(rest) > bytesMax) return stable
    return [...stable, ...rest]
  }

  /** Whether an entry of `[low, high)` passes a test; reads page by page. */
  some(low: number, high: number, pageBytes: number, test: (entry: Entry) => boolean): boolean {
    for (let at = low; at < high; ) {
      const page = this.slice(at, high, pageBytes)
      invariant(page !== undefined && page.length > 0, () => `entries from ${at} on are missing`)
      if (page.some(test)) return true
      at += page.length
    }
    return false
  }

  /** Replaces the whole log by a snapshot. */
  restore(snapshot: Snapshot): void {
    this.#logger.info?.(
      `log [${this}] starts to restore snapshot [index: ${snapshot.index}, term: ${snapshot.term}]`,
    )
    this.committed = snapshot.index
    this.unstable.restore(snapshot)
  }

  /** The newest snapshot, or undefined when it cannot be had now. */
  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.#storage.snapshot()
  }

  /** Highest index that may be applied; entries that are not on this disk yet only when `allowUnstable`. */
  #appliableTo(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1)
  }

  /** Whether {@link nextCommitted} has something. */
  hasNextCommitted(allowUnstable: boolean): boolean {
    // A snapshot goes first: entries beside it would raise the question which to apply before the other.
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false
    return this.applying < this.#appliableTo(allowUnstable)
  }

  /** Committed entries that nobody was told to apply yet. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return []
    const low = this.applying + 1
    const entries = this.slice(
      low,
      this.#appliableTo(allowUnstable) + 1,
      this.applyingBytesMax - this.#applyingBytes,
    )
    invariant(entries !== undefined, () => `committed entries from ${low} on are compacted away`)
    return entries
  }

  /** Committed entries up to an index have been handed out. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    invariant(index <= this.committed, () => `applying ${index} beyond committed ${this.committed}`)
    this.applying = index
    this.#applyingBytes += bytes
    // Also when fewer were handed out than there are: the next one would have been too much.
    this.#applyingPaused =
      this.#applyingBytes >= this.applyingBytesMax || index < this.#appliableTo(allowUnstable)
  }

  /** Entries up to an index, of that encoded size, have been applied. */
  appliedTo(index: number, bytes: number): void {
    invariant(
      index >= this.applied && index <= this.committed,
      () =>
        `applied(${index}) is out of range [prevApplied(${this.applied}), committed(${this.committed})]`,
    )
    this.applied = index
    this.applying = Math.max(this.applying, index)
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes)
    this.#applyingPaused = this.#applyingBytes >= this.applyingBytesMax
  }

  toString(): string {
    const { offset, offsetInProgress, entries } = this.unstable
    return `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, unstable.offset=${offset}, unstable.offsetInProgress=${offsetInProgress}, len(unstable.Entries)=${entries.length}`
  }
}
