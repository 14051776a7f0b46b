/** What the log knows of each group by heart: enough to begin a segment with, and to check what is appended. */
import { type GroupRecord, groupFlags, type SnapshotMarker } from './group-record.ts'

/** One group's state after all records so far. */
export interface GroupState {
  term: number
  vote: number
  commit: number
  snapshotIndex: number
  snapshotTerm: number
  /** The snapshot's index when there are no entries behind it. */
  lastIndex: number
}

/** A group of which nothing is known. */
export function emptyState(): GroupState {
  return { term: 0, vote: 0, commit: 0, snapshotIndex: 0, snapshotTerm: 0, lastIndex: 0 }
}

/** Takes a marker into a state. */
export function applyMarker(state: GroupState, marker: SnapshotMarker, replaced: boolean): void {
  state.snapshotIndex = marker.index
  state.snapshotTerm = marker.term
  state.lastIndex = replaced ? marker.index : Math.max(state.lastIndex, marker.index)
}

/** Takes a record that was read into a state; a gap before its entries is for others to judge. */
export function applyRecord(state: GroupState, record: GroupRecord): void {
  const { flags } = record
  if ((flags & (groupFlags.compacted | groupFlags.replaced)) !== 0) {
    const marker = { index: record.markerIndex, term: record.markerTerm }
    applyMarker(state, marker, (flags & groupFlags.replaced) !== 0)
  }
  if ((flags & groupFlags.hardState) !== 0) {
    state.term = record.term
    state.vote = record.vote
    state.commit = record.commit
  }
  if (record.entryCount > 0) state.lastIndex = record.firstIndex + record.entryCount - 1
}
