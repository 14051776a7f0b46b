/** What groups start from: their very first state, what the log holds of them, or nothing. */
import { emptyConfState } from '../raft/memory-storage.ts'
import { noBytes, type Snapshot } from '../raft/types.ts'
import type { RecoveredGroup } from '../wal/recovery.ts'
import type { SnapshotFiles } from '../wal/snapshot-files.ts'
import { encodeState, type MemberAddress } from './directory.ts'
import type { StateMachine } from './state-machine.ts'

/** What a group starts from. */
export interface GroupStart extends Pick<RecoveredGroup, 'hardState' | 'entries'> {
  /** With its data; index 0 for none. */
  readonly snapshot: Snapshot
}

/** The very first state of a group: the same bytes at each of its founders. */
export function firstSnapshot(
  voters: readonly MemberAddress[],
  stateMachine: StateMachine,
): Snapshot {
  const sorted = voters.toSorted((a, b) => a.memberId - b.memberId)
  const confState = { ...emptyConfState, voters: sorted.map(({ memberId }) => memberId) }
  const data = encodeState(sorted, stateMachine.snapshot())
  return { index: 1, term: 1, confState, data }
}

/** A member that waits to be told everything. */
export const emptyStart: GroupStart = {
  hardState: { term: 0, vote: 0, commit: 0 },
  snapshot: { index: 0, term: 0, confState: emptyConfState, data: noBytes },
  entries: [],
}

/** Reads the snapshots that the log names, and removes the others. */
export async function loadStarts(
  files: SnapshotFiles,
  groups: ReadonlyMap<number, RecoveredGroup>,
): Promise<Map<number, GroupStart>> {
  await files.retain(new Map([...groups].map(([id, { snapshot }]) => [id, snapshot])))
  const starts = new Map<number, GroupStart>()
  for (const [id, { hardState, snapshot: marker, entries }] of groups) {
    const nothing = { ...marker, confState: emptyConfState, data: noBytes }
    const snapshot = marker.index === 0 ? nothing : await files.load(id, marker)
    starts.set(id, { hardState, snapshot, entries })
  }
  return starts
}
