/** Files on their way into the library. */
import { constants } from 'node:fs'
import { copyFile, rename, unlink } from 'node:fs/promises'

/** Moves a file, over file systems too. @throws the file system's error. */
export async function moveFile(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    await cloneFile(from, to)
    await unlink(from)
  }
}

/** A copy that shares its blocks with the original where the file system can. */
export async function cloneFile(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
}
