/**
 * The simple model that the write-ahead log is tested against: what each group has, as plain values, and everything it
 * had before. After a crash the log must hold one of the states since the last sync, whole.
 */
import assert from 'node:assert/strict'
import type { Entry, HardState } from '../../src/raft/types.ts'
import type { SnapshotMarker } from '../../src/wal/group-record.ts'
import type { GroupAppend } from '../../src/wal/log-tail.ts'
import type { RecoveredGroup } from '../../src/wal/recovery.ts'

/** Changes that a test makes to the log and to the model alike. */
export type LogChange =
  | { readonly kind: 'append'; readonly append: GroupAppend }
  | { readonly kind: 'compact'; readonly group: number; readonly marker: SnapshotMarker }
  | { readonly kind: 'remove'; readonly group: number }

interface ModelGroup {
  hardState: HardState
  snapshot: SnapshotMarker
  entries: readonly Entry[]
}

/** What all groups have, by number. */
export type ModelState = ReadonlyMap<number, ModelGroup>

/** The state after a change. */
export function applyChange(state: ModelState, change: LogChange): ModelState {
  const next = new Map(state)
  if (change.kind === 'remove') {
    next.delete(change.group)
    return next
  }
  const number = change.kind === 'append' ? change.append.group : change.group
  const group = { ...(state.get(number) ?? emptyGroup) }
  next.set(number, group)
  if (change.kind === 'compact') {
    group.snapshot = change.marker
    group.entries = group.entries.filter((entry) => entry.index > change.marker.index)
    return next
  }
  const { snapshot, hardState, entries = [] } = change.append
  if (snapshot !== undefined) {
    group.snapshot = snapshot
    group.entries = []
  }
  if (hardState !== undefined) group.hardState = hardState
  const first = entries[0]?.index
  if (first !== undefined)
    group.entries = [...group.entries.filter((entry) => entry.index < first), ...entries]
  return next
}

const emptyGroup: ModelGroup = {
  hardState: { term: 0, vote: 0, commit: 0 },
  snapshot: { index: 0, term: 0 },
  entries: [],
}

/** The index of a group's last entry, or of its snapshot. */
export function lastIndexOf(group: ModelGroup | undefined): number {
  return group === undefined ? 0 : (group.entries.at(-1)?.index ?? group.snapshot.index)
}

/** A state as text, the same for equal states. */
export function textOf(state: ModelState | ReadonlyMap<number, RecoveredGroup>): string {
  return [...state]
    .sort(([a], [b]) => a - b)
    .map(([group, { hardState, snapshot, entries }]) => {
      const { term, vote } = hardState
      const commit = Math.max(hardState.commit, snapshot.index)
      const list = entries.map(
        (entry) => `${entry.index}:${entry.term}:${entry.type}:${hashOf(entry.data)}`,
      )
      const head = `group ${group} term ${term} vote ${vote} commit ${commit}`
      return `${head} snapshot ${snapshot.index}:${snapshot.term} ${list.join(' ')}`
    })
    .join('\n')
}

function hashOf(bytes: Uint8Array): string {
  let hash = bytes.length
  for (const byte of bytes) hash = (Math.imul(hash, 31) + byte) | 0
  return `${bytes.length}.${hash >>> 0}`
}

/** Follows the changes and judges what a log holds after a crash. */
export class LogModel {
  /** States since the last sync, that one included. */
  #states: ModelState[] = [new Map()]

  /** What the log has been told. */
  get state(): ModelState {
    return this.#states.at(-1) as ModelState
  }

  apply(change: LogChange): void {
    this.#states.push(applyChange(this.state, change))
  }

  /** How many changes there are since the last sync; to be given to {@link synced}. */
  get pending(): number {
    return this.#states.length - 1
  }

  /** The first so many of the pending changes are durable. */
  synced(pending: number): void {
    this.#states = this.#states.slice(pending)
  }

  /** Asserts that what was recovered is one of the possible states, and goes on from it. */
  recovered(groups: ReadonlyMap<number, RecoveredGroup>): void {
    const found = textOf(groups)
    const possible = this.#states.map(textOf)
    const at = possible.lastIndexOf(found)
    assert(
      at >= 0,
      `recovered:\n${found}\n\nat least:\n${possible[0]}\n\nat most:\n${possible.at(-1)}`,
    )
    this.#states = [this.#states[at] as ModelState]
  }
}
