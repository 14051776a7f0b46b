/** Where benches keep what is slow to make and no part of the repository: rivals' binaries, generated clips. */
import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The folder, made when missing; `XDG_CACHE_HOME` is honoured. */
export function cacheFolder(): string {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kairo-bench')
  mkdirSync(folder, { recursive: true })
  return folder
}
