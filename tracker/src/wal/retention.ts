/**
 * Which segments are still needed. A segment may go when no group needs an entry in it and a later one has begun,
 * durably, with the states of all groups. What would set entries free counts only once it is durable itself: hence the
 * changes that are noted now and made later.
 */
import assert from 'node:assert/strict'

/** A change that frees entries. */
export interface Release {
  readonly group: number
  /** Entries up to here are not needed; `Infinity` when the group is gone. */
  readonly snapshotIndex?: number
  /** Entries of segments before this one ... */
  readonly before?: number
  /** ... that are above this index were overwritten or dropped. */
  readonly lastIndex?: number
}

interface RetainedSegment {
  readonly sequence: number
  /** The highest index of each group that has entries in it. */
  readonly highest: Map<number, number>
}

/** The segments of one log, oldest first. */
export class Retention {
  readonly #segments: RetainedSegment[] = []
  readonly #snapshots = new Map<number, number>()
  readonly #lastIndexes = new Map<number, number>()
  #noted: Release[] = []

  /** A segment begins. */
  begin(sequence: number): void {
    const last = this.#segments.at(-1)
    assert(last === undefined || last.sequence + 1 === sequence, 'segments follow one another')
    this.#segments.push({ sequence, highest: new Map() })
  }

  /** The newest segment gets entries of a group up to an index. */
  hold(group: number, lastIndex: number): void {
    const { highest } = this.#segments.at(-1) as RetainedSegment
    // Never lowered here: whether the entries above are really overwritten is known when this is durable.
    highest.set(group, Math.max(highest.get(group) ?? 0, lastIndex))
    this.#lastIndexes.set(group, lastIndex)
  }

  /** Remembers a change for when what was appended so far is durable. */
  note(release: Release): void {
    this.#noted.push(release)
  }

  /** The changes since the last call, to be given to {@link apply} once they are durable. */
  takeNoted(): readonly Release[] {
    const noted = this.#noted
    this.#noted = []
    return noted
  }

  /** Makes changes, in the order in which they were noted. */
  apply(releases: readonly Release[]): void {
    for (const { group, snapshotIndex, before, lastIndex } of releases) {
      if (snapshotIndex !== undefined) this.#snapshots.set(group, snapshotIndex)
      if (before === undefined || lastIndex === undefined) continue
      for (const { sequence, highest } of this.#segments) {
        if (sequence < before && (highest.get(group) ?? 0) > lastIndex)
          highest.set(group, lastIndex)
      }
    }
  }

  /** Takes the oldest segments that nobody needs off the list; only those before `sequence` may go. */
  takeReleased(sequence: number): number[] {
    const released: number[] = []
    for (;;) {
      const oldest = this.#segments[0]
      if (oldest === undefined || oldest.sequence >= sequence) return released
      if (this.#needing(oldest).length > 0) return released
      released.push(oldest.sequence)
      this.#segments.shift()
    }
  }

  /** True when a segment is on the list. */
  has(sequence: number): boolean {
    return this.#segments.some((segment) => segment.sequence === sequence)
  }

  /** True when a group needs entries of a segment. */
  isNeeded(sequence: number): boolean {
    const found = this.#segments.find((segment) => segment.sequence === sequence)
    return found !== undefined && this.#needing(found).length > 0
  }

  /** Segments on the list. */
  get count(): number {
    return this.#segments.length
  }

  /** The groups that need the oldest segment: a snapshot of each of them would set it free. */
  pinning(): number[] {
    const oldest = this.#segments[0]
    return oldest === undefined || this.#segments.length === 1 ? [] : this.#needing(oldest)
  }

  #needing({ highest }: RetainedSegment): number[] {
    const needed = ([group, index]: [number, number]) => {
      // A group whose log ends at its snapshot needs nothing, even where entries above it were overwritten by fewer.
      const snapshot = this.#snapshots.get(group) ?? 0
      return index > snapshot && (this.#lastIndexes.get(group) ?? 0) > snapshot
    }
    return [...highest].filter(needed).map(([group]) => group)
  }
}
