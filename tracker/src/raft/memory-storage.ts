/**
 * A stable log in memory: what a driver with a write-ahead log keeps as its readable half, and what simulations and
 * conformance runs use alone.
 */
import { sliceWithin } from './entry-size.ts'
import { invariant, RaftError } from './raft-error.ts'
import {
  type ConfState,
  type Entry,
  type HardState,
  noBytes,
  type Snapshot,
  type Storage,
} from './types.ts'

/** The configuration of a member that knows nobody. */
export const emptyConfState: ConfState = Object.freeze({
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
})

/** A stable log in memory. */
export class MemoryStorage implements Storage {
  hardState: HardState = { term: 0, vote: 0, commit: 0 }
  #snapshot: Snapshot = { index: 0, term: 0, confState: emptyConfState, data: noBytes }
  /** Last index and term that were compacted away; the snapshot may be newer. */
  #compacted = { index: 0, term: 0 }
  /** `#entries[i]` has index `#compacted.index + 1 + i`. */
  #entries: Entry[] = []

  initialState(): { hardState: HardState; confState: ConfState } {
    return { hardState: this.hardState, confState: this.#snapshot.confState }
  }

  firstIndex(): number {
    return this.#compacted.index + 1
  }

  lastIndex(): number {
    return this.#compacted.index + this.#entries.length
  }

  term(index: number): number | undefined {
    if (index === this.#compacted.index) return this.#compacted.term
    return this.#entries[index - this.firstIndex()]?.term
  }

  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    const first = this.firstIndex()
    if (low < first) return undefined
    invariant(
      high <= this.lastIndex() + 1,
      () => `entries up to ${high} asked for, storage ends at ${this.lastIndex()}`,
    )
    return sliceWithin(this.#entries, low - first, high - first, bytesMax)
  }

  snapshot(): Snapshot {
    return this.#snapshot
  }

  /**
   * Stores entries, replacing whatever lies there from the first one's index on; what was compacted away stays away.
   * @throws RaftError ERR_RAFT_INVARIANT when they leave a gap.
   */
  append(added: readonly Entry[]): void {
    const first = added[0]
    if (first === undefined) return
    invariant(
      first.index <= this.lastIndex() + 1,
      () => `a gap: storage ends at ${this.lastIndex()}, append starts at ${first.index}`,
    )
    const fresh = added.filter((entry) => entry.index > this.#compacted.index)
    if (fresh.length === 0) return
    this.#entries.length = (fresh[0] as Entry).index - this.firstIndex()
    for (const entry of fresh) this.#entries.push(entry)
  }

  /**
   * Forgets the entries up to and including an index; its term stays known.
   * @throws RaftError ERR_RAFT_COMPACTED when they are forgotten already, ERR_RAFT_INVARIANT beyond the end.
   */
  compact(index: number): void {
    if (index < this.firstIndex()) {
      throw new RaftError('ERR_RAFT_COMPACTED', 'requested index is unavailable due to compaction')
    }
    const term = this.term(index)
    invariant(
      term !== undefined,
      () => `compaction to ${index} asked for, storage ends at ${this.lastIndex()}`,
    )
    this.#entries = this.#entries.slice(index - this.#compacted.index)
    this.#compacted = { index, term }
  }

  /** Keeps a snapshot that this member made of its own state at an index of its log; the log stays as it is. */
  createSnapshot(index: number, confState: ConfState, data: Uint8Array): Snapshot {
    this.#refuseOlder(index)
    const term = this.term(index)
    invariant(
      term !== undefined,
      () => `a snapshot at ${index} asked for, storage ends at ${this.lastIndex()}`,
    )
    this.#snapshot = { index, term, confState, data }
    return this.#snapshot
  }

  /** Replaces everything by a snapshot that came from elsewhere. */
  applySnapshot(snapshot: Snapshot): void {
    this.#refuseOlder(snapshot.index)
    this.#snapshot = snapshot
    this.#compacted = { index: snapshot.index, term: snapshot.term }
    this.#entries = []
  }

  #refuseOlder(index: number): void {
    if (index > this.#snapshot.index) return
    throw new RaftError(
      'ERR_RAFT_SNAPSHOT_OUT_OF_DATE',
      'requested index is older than the existing snapshot',
    )
  }
}
