/** A real file system of a few megabytes, for tests of what happens when the disk is full. Needs root; others skip. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `false` where a small disk can be made, else the reason to skip. */
export function needsSmallDisk(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux'
  try {
    smallDisk(64 * 1024).remove()
    return false
  } catch (error) {
    return `cannot mount a tmpfs here: ${(error as Error).message}`
  }
}

/** Mounts a file system of `bytes`; `remove` takes it away again. */
export function smallDisk(bytes: number): { readonly directory: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'kairo-small-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory], {
    stdio: 'pipe',
  })
  return {
    directory,
    remove: () => {
      execFileSync('umount', ['--lazy', directory], { stdio: 'pipe' })
      rmdirSync(directory)
    },
  }
}
