/** Opens a file below a folder, whatever links stand on the way, and never one outside of it. */
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises'
import { relative, sep } from 'node:path'
import { isHiddenName } from './path-names.ts'

/** A file that is open; whoever has it closes it. */
export interface OpenFile {
  readonly handle: FileHandle
  readonly stat: BigIntStats
}

/**
 * Opens the file or folder at `path`. Links that lead to another place below the root are followed, others are not there.
 * @returns undefined for what is not below the root, is hidden there, or was exchanged while it was looked at.
 * @throws the file system's error.
 */
export async function openBelow(root: string, path: string): Promise<OpenFile | undefined> {
  const realRoot = await realpath(root)
  const real = await realpath(path)
  if (!isPublicBelow(realRoot, real)) return undefined
  // Without O_NONBLOCK the opening of a named pipe waits for a writer, with one of the few threads that files have.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(real, flags)
  try {
    const stat = await handle.stat({ bigint: true })
    // A folder on the way may have become a link since it was resolved.
    const opened = await pathOfOpen(handle, stat, real)
    if (opened !== undefined && isPublicBelow(realRoot, opened)) return { handle, stat }
    await handle.close()
    return undefined
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Where the file that is open stands. Linux knows; elsewhere it is whether the file at the path is still that one, which whoever may
 * exchange folders below the root could, with luck, make it look like.
 */
async function pathOfOpen(
  handle: FileHandle,
  stat: BigIntStats,
  real: string,
): Promise<string | undefined> {
  try {
    return await readlink(`/proc/self/fd/${handle.fd}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const now = await lstat(real, { bigint: true })
  const isSame = now.ino === stat.ino && now.dev === stat.dev && (await realpath(real)) === real
  return isSame ? real : undefined
}

function isPublicBelow(root: string, path: string): boolean {
  if (path === root) return true
  const names = relative(root, path).split(sep)
  return names.every((name, index) => !isHiddenName(name, index))
}
