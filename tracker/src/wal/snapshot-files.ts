/**
 * Snapshots of groups as files. One is written beside its name and renamed, so that there is a whole one or none; the
 * one before it is removed only when its owner says that the new one counts.
 *
 * The order of a group that compacts its log: `save`, then the log's `compact` and `sync`, then `removeBefore`. At start
 * the log's markers say which files count: `retain` removes the rest.
 */
import assert from 'node:assert/strict'
import type { Snapshot } from '../raft/types.ts'
import { crc32c } from './crc32c.ts'
import type { Folder, FolderFile } from './folder.ts'
import type { SnapshotMarker } from './group-record.ts'
import { bytesOf } from './record.ts'
import {
  readSnapshotHead,
  type SnapshotHead,
  snapshotHeadBytesMax,
  snapshotTrailerBytes,
  writeSnapshotHead,
} from './snapshot-format.ts'
import { corrupt, isDiskFull, WalError } from './wal-error.ts'
import { snapshotLimits } from './wal-limits.ts'

const NAME = /^(\d+)-(\d+)-(\d+)\.snapshot$/
const TEMPORARY = /^\d+-\d+-\d+\.snapshot\.tmp$/

/** The snapshots of all groups in a folder of their own. */
export class SnapshotFiles {
  readonly #folder: Folder
  readonly #saving = new Set<string>()

  constructor(folder: Folder) {
    this.#folder = folder
  }

  /**
   * Writes a snapshot, which is durable when this resolves. Older ones stay.
   * @throws WalError ERR_WAL_TOO_LARGE, ERR_WAL_FULL, ERR_WAL_FAILED; nothing of it is left then
   */
  async save(group: number, snapshot: Snapshot): Promise<void> {
    const name = fileName(group, snapshot)
    assert(snapshot.index > 0, 'a snapshot is of something')
    assert(!this.#saving.has(name), 'one snapshot is written once')
    const { voters, votersOutgoing, learners, learnersNext } = snapshot.confState
    const members = Math.max(
      ...[voters, votersOutgoing, learners, learnersNext].map((list) => list.length),
    )
    if (snapshot.data.length > snapshotLimits.snapshotBytesMax)
      throw new WalError('ERR_WAL_TOO_LARGE', `a snapshot of ${snapshot.data.length} bytes`)
    if (members > snapshotLimits.membersMax)
      throw new WalError('ERR_WAL_TOO_LARGE', `a configuration of ${members} members`)
    this.#saving.add(name)
    try {
      await this.#write(`${name}.tmp`, group, snapshot)
      await this.#folder.rename(`${name}.tmp`, name)
      await this.#folder.sync()
    } catch (cause) {
      // What cannot be removed now goes at the next start, with `retain`; the first error is the one that matters.
      await this.#folder.remove(`${name}.tmp`).catch(() => undefined)
      if (isDiskFull(cause))
        throw new WalError('ERR_WAL_FULL', 'the disk is full', { file: name, cause })
      throw new WalError('ERR_WAL_FAILED', 'could not be written', { file: name, cause })
    } finally {
      this.#saving.delete(name)
    }
  }

  /**
   * Reads the snapshot that the log's marker names.
   * @throws WalError ERR_WAL_CORRUPT when it is not there or damaged: the log before it is gone, so nothing else will do;
   *   ERR_WAL_VERSION
   */
  async load(group: number, marker: SnapshotMarker): Promise<Snapshot> {
    const name = fileName(group, marker)
    if (!(await this.#folder.list()).includes(name))
      throw corrupt(name, 0, 'the log needs this snapshot, and it is not there')
    const file = await this.#folder.open(name)
    try {
      return await readSnapshot(file, name, group, marker)
    } finally {
      await file.close()
    }
  }

  /** Removes a group's snapshots below an index. To be called when the marker of that one is durable in the log. */
  async removeBefore(group: number, index: number): Promise<void> {
    await this.#removeAll((found) => found.group === group && found.index < index)
  }

  /** Keeps what the markers name and removes the rest: halves of files, and snapshots that the log never heard of. */
  async retain(markers: ReadonlyMap<number, SnapshotMarker>): Promise<void> {
    await this.#removeAll(({ group, index, term }) => {
      const marker = markers.get(group)
      return marker === undefined || marker.index !== index || marker.term !== term
    }, true)
  }

  async #removeAll(
    unwanted: (found: { group: number; index: number; term: number }) => boolean,
    halvesToo = false,
  ): Promise<void> {
    let removed = 0
    for (const name of await this.#folder.list()) {
      const [, group, index, term] = NAME.exec(name)?.map(Number) ?? []
      const isHalf = halvesToo && TEMPORARY.test(name)
      const isUnwanted =
        group !== undefined &&
        index !== undefined &&
        term !== undefined &&
        unwanted({ group, index, term })
      if (!isHalf && !isUnwanted) continue
      await this.#folder.remove(name)
      removed += 1
    }
    if (removed > 0) await this.#folder.sync()
  }

  async #write(name: string, group: number, snapshot: Snapshot): Promise<void> {
    const file = await this.#folder.create(name)
    try {
      const head = writeSnapshotHead(group, snapshot)
      await file.write(head, 0)
      let crc = crc32c(bytesOf(head), 0, head.length)
      let at = head.length
      const data = bytesOf(snapshot.data)
      const { pieceBytes } = snapshotLimits
      for (let from = 0; from < snapshot.data.length; from += pieceBytes) {
        const to = Math.min(from + pieceBytes, snapshot.data.length)
        crc = crc32c(data, from, to, crc)
        await file.write(data.bytes.subarray(from, to), at)
        at += to - from
      }
      const trailer = bytesOf(new Uint8Array(snapshotTrailerBytes))
      trailer.view.setUint32(0, crc, true)
      await file.write(trailer.bytes, at)
      await file.sync()
    } finally {
      await file.close()
    }
  }
}

function fileName(group: number, { index, term }: SnapshotMarker): string {
  return `${group}-${index}-${term}.snapshot`
}

async function readSnapshot(
  file: FolderFile,
  name: string,
  group: number,
  marker: SnapshotMarker,
): Promise<Snapshot> {
  const size = await file.size()
  const first = new Uint8Array(Math.min(size, snapshotHeadBytesMax))
  await file.read(first, 0)
  const head = readSnapshotHead(first)
  if (head === 'version')
    throw new WalError('ERR_WAL_VERSION', 'was written by a newer version', { file: name })
  if (head === 'damaged' || size !== head.size + head.dataBytes + snapshotTrailerBytes)
    throw corrupt(name, 0, 'its head is damaged, or it was cut')
  if (head.group !== group || head.index !== marker.index || head.term !== marker.term)
    throw corrupt(name, 0, 'is another snapshot than its name says')
  const data = await readData(file, name, head, first)
  const { index, term, confState } = head
  return { index, term, confState, data }
}

async function readData(
  file: FolderFile,
  name: string,
  head: SnapshotHead,
  first: Uint8Array,
): Promise<Uint8Array> {
  const rest = bytesOf(new Uint8Array(head.dataBytes + snapshotTrailerBytes))
  let crc = crc32c(bytesOf(first), 0, head.size)
  const { pieceBytes } = snapshotLimits
  for (let from = 0; from < rest.bytes.length; from += pieceBytes) {
    const to = Math.min(from + pieceBytes, rest.bytes.length)
    await file.read(rest.bytes.subarray(from, to), head.size + from)
    crc = crc32c(rest, from, Math.min(to, head.dataBytes), crc)
  }
  if (crc !== rest.view.getUint32(head.dataBytes, true))
    throw corrupt(name, head.size, 'its data are damaged')
  return rest.bytes.subarray(0, head.dataBytes)
}
