/** Folders that a bench needs for as long as it runs: gone when it ends, however it ends. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder, and its end. */
export interface TempFolder {
  readonly path: string
  remove(): void
}

const folders = new Set<string>()
process.on('exit', () => {
  for (const folder of folders) removeFolder(folder)
})

/** Makes an empty folder; with `inMemory` on a file system that is in RAM, where there is one. */
export function tempFolder(
  name: string,
  options: { readonly inMemory?: boolean } = {},
): TempFolder {
  const base = options.inMemory === true && existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const path = mkdtempSync(join(base, `kairo-bench-${name}-`))
  folders.add(path)
  return { path, remove: () => removeFolder(path) }
}

function removeFolder(path: string): void {
  folders.delete(path)
  // A process that was just killed may still be writing.
  rmSync(path, { recursive: true, force: true, maxRetries: 5 })
}
