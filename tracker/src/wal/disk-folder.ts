/** The folder of a log on a real disk. Calls run on the engine's thread pool and hold up nobody. */
import {
  close,
  constants,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  open,
  read,
  readdir,
  rename,
  unlink,
  write,
} from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type CommitFile, type Folder, type FolderFile, SyncError } from './folder.ts'

/** Only the member's own user reads what groups have decided. */
const OWNER_ONLY_FILE = 0o600
const OWNER_ONLY_FOLDER = 0o700

/**
 * Opens a folder, which is made when it is not there.
 * @throws the file system's error
 */
export async function openDiskFolder(path: string): Promise<Folder> {
  const made = await mkdir(path, { recursive: true, mode: OWNER_ONLY_FOLDER })
  // A new folder is as durable as its own entry in the one above.
  if (made !== undefined) await syncFolder(dirname(made))
  return new DiskFolder(path)
}

class DiskFolder implements Folder {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  list(): Promise<string[]> {
    return settle((done) => readdir(this.#path, done))
  }

  async open(name: string): Promise<FolderFile> {
    return new DiskFile(await this.#open(name, constants.O_RDWR))
  }

  async openToCommit(name: string): Promise<CommitFile> {
    // A write that is its own sync goes through the thread pool once instead of twice: a tenth less time on a fast disk.
    // Only Linux has it. Where it finds the disk full, trying again is right: that gives the system the bytes once more.
    const flag = constants.O_DSYNC ?? 0
    const fd = await this.#open(name, constants.O_RDWR | flag)
    return new DiskCommitFile(new DiskFile(fd), flag !== 0)
  }

  async create(name: string): Promise<FolderFile> {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
    return new DiskFile(await this.#open(name, flags))
  }

  rename(from: string, to: string): Promise<void> {
    return settle((done) => rename(join(this.#path, from), join(this.#path, to), done))
  }

  remove(name: string): Promise<void> {
    return settle((done) => unlink(join(this.#path, name), done))
  }

  sync(): Promise<void> {
    return syncFolder(this.#path)
  }

  #open(name: string, flags: number): Promise<number> {
    const path = join(this.#path, name)
    return settle<number>((done) => open(path, flags, OWNER_ONLY_FILE, done))
  }
}

class DiskCommitFile implements CommitFile {
  readonly #file: DiskFile
  readonly #writesAreSynced: boolean

  constructor(file: DiskFile, writesAreSynced: boolean) {
    this.#file = file
    this.#writesAreSynced = writesAreSynced
  }

  async commit(bytes: Uint8Array, position: number): Promise<void> {
    await this.#file.write(bytes, position)
    if (this.#writesAreSynced) return
    try {
      await this.#file.sync()
    } catch (error) {
      throw new SyncError(error)
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

class DiskFile implements FolderFile {
  readonly #fd: number

  constructor(fd: number) {
    this.#fd = fd
  }

  async size(): Promise<number> {
    return (await settle<{ size: number }>((done) => fstat(this.#fd, done))).size
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let filled = 0
    while (filled < into.length) {
      const got = await settle<number>((done) =>
        read(this.#fd, into, filled, into.length - filled, position + filled, done),
      )
      if (got === 0) break
      filled += got
    }
    return filled
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let written = 0
    while (written < bytes.length) {
      written += await settle<number>((done) =>
        write(this.#fd, bytes, written, bytes.length - written, position + written, done),
      )
    }
  }

  truncate(bytes: number): Promise<void> {
    return settle((done) => ftruncate(this.#fd, bytes, done))
  }

  sync(): Promise<void> {
    return settle((done) => fdatasync(this.#fd, done))
  }

  close(): Promise<void> {
    return settle((done) => close(this.#fd, done))
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows has no such call and needs none.
  if (process.platform === 'win32') return
  const fd = await settle<number>((done) => open(path, constants.O_RDONLY, done))
  try {
    await settle<void>((done) => fsync(fd, done))
  } finally {
    await settle<void>((done) => close(fd, done))
  }
}

/** A call with a callback as a promise; less work for the engine than its own promises for files. */
function settle<T = void>(
  call: (done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      if (error) reject(error)
      else resolve(value as T)
    })
  })
}
