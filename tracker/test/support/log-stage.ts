/** What tests of the write-ahead log share: a log in a simulated folder, entries, random changes that fit a model. */
import type { Entry, EntryType } from '../../src/raft/types.ts'
import type { Folder } from '../../src/wal/folder.ts'
import { WriteAheadLog } from '../../src/wal/write-ahead-log.ts'
import { type LogChange, lastIndexOf, type ModelState } from './log-model.ts'
import type { Draw } from './simulated-folder.ts'

/** The smallest segments, so that tests see many. */
export const smallSegmentBytes: number = 64 * 1024

/** Whose log it is, unless a test says otherwise. */
export const testOwner: Uint8Array = new TextEncoder().encode('region 1 member 2')

/** Opens a log with small segments; a warning fails the test. */
export function openLog(
  folder: Folder,
  init: { owner?: Uint8Array; segmentBytes?: number; onWarning?: (error: unknown) => void } = {},
): ReturnType<typeof WriteAheadLog.open> {
  const onWarning =
    init.onWarning ??
    ((error: unknown) => {
      throw error
    })
  const randomBytes = (length: number) => Uint8Array.from({ length }, (_, at) => at + 1)
  return WriteAheadLog.open(
    { folder, randomBytes, onWarning },
    { owner: init.owner ?? testOwner, segmentBytes: init.segmentBytes ?? smallSegmentBytes },
  )
}

/** Entries from `first` on, each with its own bytes. */
export function entriesFrom(first: number, count: number, term = 1, bytes = 10): Entry[] {
  return Array.from({ length: count }, (_, at) => ({
    ...{ term, index: first + at, type: 'EntryNormal' as const },
    data: new Uint8Array(bytes).fill((first + at) * 7 + term),
  }))
}

/** A generator of numbers that a seed determines (mulberry32). */
export function drawFrom(seed: number): Draw {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const entryTypes: readonly EntryType[] = ['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2']

/** A change that a Raft member could make to its log in this state. */
export function drawChange(state: ModelState, draw: Draw, groups = 3): LogChange {
  const number = draw(groups)
  const group = state.get(number)
  const kind = draw(20)
  if (kind === 0 && group !== undefined) return { kind: 'remove', group: number }
  if (kind <= 4 && group !== undefined && group.hardState.commit > group.snapshot.index) {
    const { snapshot, hardState } = group
    const index = snapshot.index + 1 + draw(hardState.commit - snapshot.index)
    const entry = group.entries.find((each) => each.index === index)
    const marker = { index, term: entry?.term ?? snapshot.term }
    return { kind: 'compact', group: number, marker }
  }
  return { kind: 'append', append: drawAppend(number, group, draw, kind) }
}

function drawAppend(
  number: number,
  group: ReturnType<ModelState['get']>,
  draw: Draw,
  kind: number,
): Extract<LogChange, { kind: 'append' }>['append'] {
  const before = group?.hardState ?? { term: 0, vote: 0, commit: 0 }
  const term = before.term + (draw(4) === 0 ? 1 : 0) + (before.term === 0 ? 1 : 0)
  const vote = term === before.term ? before.vote : draw(4)
  if (kind === 5) {
    const index = Math.max(lastIndexOf(group), before.commit) + 1 + draw(5)
    const hardState = { term, vote, commit: index }
    const entries = draw(2) === 0 ? [] : drawEntries(index + 1, term, draw)
    return { group: number, snapshot: { index, term }, hardState, entries }
  }
  const base = Math.max(group?.snapshot.index ?? 0, before.commit)
  const last = lastIndexOf(group)
  // Mostly at the end, sometimes over entries that were not committed.
  const first = draw(3) === 0 ? base + 1 + draw(last - base + 1) : last + 1
  const entries = drawEntries(first, term, draw)
  const reached = entries.at(-1)?.index ?? last
  const commit = before.commit + draw(reached - before.commit + 1)
  const isQuiet = entries.length > 0 && draw(3) === 0 && term === before.term
  return isQuiet
    ? { group: number, entries }
    : { group: number, hardState: { term, vote, commit }, entries }
}

function drawEntries(first: number, term: number, draw: Draw): Entry[] {
  // Together less than a record of the smallest segments: what is split is a test of its own.
  const bytesMax = [20, 300, 3900][draw(3)] as number
  return Array.from({ length: draw(5) }, (_, at) => ({
    ...{ term, index: first + at, type: entryTypes[draw(3)] as EntryType },
    data: Uint8Array.from({ length: draw(bytesMax) }, () => draw(256)),
  }))
}

/** Makes a change to a log. */
export function changeLog(log: WriteAheadLog, change: LogChange): void {
  if (change.kind === 'append') log.append(change.append)
  else if (change.kind === 'compact') log.compact(change.group, change.marker)
  else log.remove(change.group)
}
