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
import type { Folder, FolderFile } from './folder.ts'

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

  open(name: string): Promise<FolderFile> {
    return this.#open(name, constants.O_RDWR)
  }

  create(name: string): Promise<FolderFile> {
    return this.#open(name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL)
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

  async #open(name: string, flags: number): Promise<FolderFile> {
    const path = join(this.#path, name)
    return new DiskFile(await settle<number>((done) => open(path, flags, OWNER_ONLY_FILE, done)))
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
