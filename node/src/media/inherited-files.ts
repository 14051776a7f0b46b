/**
 * Files of the peer that a child has open without having opened them: LevelDB opens its own so that every process started later
 * inherits them, and code that takes strangers' media apart must not be able to write into the peer's state.
 */
import { closeSync, fstatSync, readdirSync } from 'node:fs'

/** Standard input and output, errors, and the pipe or channel to the peer. */
const OWN_FD_MAX = 3

/** Closes every regular file that is open; called first of all in a child, before it opens any. */
export function closeInheritedFiles(): void {
  if (process.platform === 'win32') return
  for (const name of readdirSync('/dev/fd')) {
    const fd = Number(name)
    if (fd <= OWN_FD_MAX) continue
    try {
      if (fstatSync(fd).isFile()) closeSync(fd)
    } catch (error) {
      // The descriptor that the list itself was read with is in it, and closed by now.
      if ((error as NodeJS.ErrnoException).code !== 'EBADF') throw error
    }
  }
}
