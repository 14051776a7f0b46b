/**
 * Small files that must survive a crash: after it there is the old content or the new one, whole, and only their owner
 * may read them.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { link, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isKairoError, KairoError } from './errors.ts'

const OWNER_ONLY = 0o600

/**
 * Makes a file, mode 0600, unless one of that name is there. It is written whole beside the name and linked there, so of
 * two processes one wins, and neither sees half a file. The folder must exist.
 * @returns false when the name was taken.
 * @throws the file system's error for anything else.
 */
export async function createFile(path: string, content: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', OWNER_ONLY)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(temporary, path)
    syncFolder(dirname(path))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}

/**
 * Writes a file, mode 0600, in place of the one that may be there. The folder must exist.
 * @throws the file system's error.
 */
export function replaceFile(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, content, { mode: OWNER_ONLY, flush: true })
  renameSync(temporary, path)
  syncFolder(dirname(path))
}

/**
 * As {@link replaceFile}, without holding the peer up while the disk works; two of the same path must not overlap.
 * @throws the file system's error.
 */
export async function replaceFileLater(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`
  try {
    const file = await open(temporary, 'w', OWNER_ONLY)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  if (process.platform === 'win32') return
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** An error as rooms that keep files report it: those on purpose as they are, the file system's as `ERR_STORAGE`. */
export function storageError(what: string, cause: unknown): KairoError {
  if (isKairoError(cause)) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  return new KairoError('ERR_STORAGE', `${what}: ${code ?? message}`, { cause })
}

/** Makes a new name itself durable. */
function syncFolder(path: string): void {
  // Windows takes no folder for this, and its file systems log names by themselves.
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
