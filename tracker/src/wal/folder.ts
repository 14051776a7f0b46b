/**
 * The few calls to a file system that the log makes, on one folder. Behind them is a disk (disk-folder.ts) or a
 * simulated one that loses, tears and refuses. Names are plain file names.
 *
 * What is written lies in the page cache until `sync` of the file has resolved; what is created, renamed or removed is
 * certain once `sync` of the folder has resolved. All errors are the file system's own.
 */

/** One folder. */
export interface Folder {
  /** Names of the files in it, in any order. */
  list(): Promise<string[]>
  /** Opens a file for reading and writing. */
  open(name: string): Promise<FolderFile>
  /** Opens a file for writes that are to be durable one by one. */
  openToCommit(name: string): Promise<CommitFile>
  /** Makes an empty file; fails with EEXIST when the name is taken. */
  create(name: string): Promise<FolderFile>
  /** Takes the place of a file that is there. */
  rename(from: string, to: string): Promise<void>
  remove(name: string): Promise<void>
  /** Makes names durable. */
  sync(): Promise<void>
}

/** One open file. */
export interface FolderFile {
  size(): Promise<number>
  /** Fills as much of `into` as the file has from `position` on; returns the number of bytes. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Writes all of `bytes`; after an error any part of them may be written. The bytes must stay as they are meanwhile. */
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(bytes: number): Promise<void>
  /** Makes content and size durable (fdatasync). After an error nothing is known of what was written before it. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** One file that is written and synced in one go. */
export interface CommitFile {
  /**
   * Writes all of `bytes` over bytes that the file has, durably. The bytes must stay as they are meanwhile.
   * @throws SyncError when they were written and could not be synced; for all else the file system's error, after which
   *   the same write may be tried again
   */
  commit(bytes: Uint8Array, position: number): Promise<void>
  close(): Promise<void>
}

/** A sync that failed: the system may have dropped what it could not write, and a second sync would not tell. */
export class SyncError extends Error {
  override readonly name = 'SyncError'

  constructor(cause: unknown) {
    super('the sync of a file failed', { cause })
  }
}
