/** The layout of a snapshot file: a head that says whose it is and of what configuration, the data, a checksum. */
import type { ConfState, Snapshot } from '../raft/types.ts'
import { bytesOf, readInteger, writeInteger } from './record.ts'
import { snapshotLimits } from './wal-limits.ts'

/** "KSNP" as the first four bytes read. */
const MAGIC = 0x504e534b
/** A reader refuses a larger one. */
const VERSION = 1
/** Magic, version, group, bytes of the configuration, index, term, bytes of the data. */
const FIXED_BYTES = 40
const MEMBER_BYTES = 8
/** Four counts and the flag. */
const CONFIGURATION_BYTES = 20

/** Bytes behind the data: CRC-32C of all before. */
export const snapshotTrailerBytes = 4

/** Longest head: what must be read to know how long a file is. */
export const snapshotHeadBytesMax: number =
  FIXED_BYTES + CONFIGURATION_BYTES + 4 * snapshotLimits.membersMax * MEMBER_BYTES

/** What a head says. */
export interface SnapshotHead {
  readonly group: number
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  readonly dataBytes: number
  /** Where the data begin. */
  readonly size: number
}

const lists = ['voters', 'votersOutgoing', 'learners', 'learnersNext'] as const

/** The head of a snapshot's file. */
export function writeSnapshotHead(group: number, snapshot: Snapshot): Uint8Array {
  const members = lists.map((list) => snapshot.confState[list])
  const count = members.reduce((sum, list) => sum + list.length, 0)
  const configuration = CONFIGURATION_BYTES + count * MEMBER_BYTES
  const { bytes, view } = bytesOf(new Uint8Array(FIXED_BYTES + configuration))
  view.setUint32(0, MAGIC, true)
  view.setUint32(4, VERSION, true)
  view.setUint32(8, group, true)
  view.setUint32(12, configuration, true)
  writeInteger(view, 16, snapshot.index)
  writeInteger(view, 24, snapshot.term)
  writeInteger(view, 32, snapshot.data.length)
  view.setUint32(FIXED_BYTES, snapshot.confState.autoLeave ? 1 : 0, true)
  let at = FIXED_BYTES + CONFIGURATION_BYTES
  for (const [list, ids] of members.entries()) {
    view.setUint32(FIXED_BYTES + 4 + list * 4, ids.length, true)
    for (const id of ids) {
      writeInteger(view, at, id)
      at += MEMBER_BYTES
    }
  }
  return bytes
}

/**
 * Reads a head.
 * @returns why it is none: `version` when a newer program wrote it, `damaged` otherwise
 */
export function readSnapshotHead(raw: Uint8Array): SnapshotHead | 'version' | 'damaged' {
  const { view } = bytesOf(raw)
  if (raw.length < FIXED_BYTES + CONFIGURATION_BYTES || view.getUint32(0, true) !== MAGIC)
    return 'damaged'
  if (view.getUint32(4, true) !== VERSION) return 'version'
  const configuration = view.getUint32(12, true)
  const dataBytes = readInteger(view, 32)
  const size = FIXED_BYTES + configuration
  if (size > raw.length || dataBytes > snapshotLimits.snapshotBytesMax) return 'damaged'
  const counts = lists.map((_, list) => view.getUint32(FIXED_BYTES + 4 + list * 4, true))
  const count = counts.reduce((sum, each) => sum + each, 0)
  if (configuration !== CONFIGURATION_BYTES + count * MEMBER_BYTES) return 'damaged'
  let at = FIXED_BYTES + CONFIGURATION_BYTES
  const [voters, votersOutgoing, learners, learnersNext] = counts.map((length) =>
    Array.from({ length }, () => {
      at += MEMBER_BYTES
      return readInteger(view, at - MEMBER_BYTES)
    }),
  ) as [number[], number[], number[], number[]]
  const autoLeave = view.getUint32(FIXED_BYTES, true) === 1
  const index = readInteger(view, 16)
  const term = readInteger(view, 24)
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(term)) return 'damaged'
  const confState = { voters, votersOutgoing, learners, learnersNext, autoLeave }
  return { group: view.getUint32(8, true), index, term, confState, dataBytes, size }
}
