/**
 * Tests against real partners say which programs they need: `test('plays', { skip: needs('chromium') }, ...)`. On a
 * developer's machine a missing one skips the test with a reason; where `CI=true` it fails it, so that nothing goes unrun unseen, unless
 * no package has it.
 */
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** Programs that tests run Kairo against. */
export type Partner = 'ffmpeg' | 'ffprobe' | 'chromium' | 'nginx' | 'dig' | 'faketime' | 'ipfs'

/** Where a Kubo that was built for the tests lies. */
const kubo = join(homedir(), '.cache', 'kairo-bench', 'kubo')

/** Not among the packages of the system: built by hand where it can be, and skipped loudly where it is not. */
const unpackaged: ReadonlySet<Partner> = new Set(['ipfs'])

/** The path of a program, or undefined when it is not installed. */
export function partnerPath(name: Partner): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/sbin', kubo]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/**
 * `false` when every named program is there, else the reason to skip.
 * @throws Error in continuous integration, where a missing partner is a failure.
 */
export function needs(...names: Partner[]): string | false {
  const missing = names.filter((name) => partnerPath(name) === undefined)
  if (missing.length === 0) return false
  const reason = `needs ${missing.join(' and ')}, not installed here`
  if (process.env.CI === 'true' && !missing.every((name) => unpackaged.has(name)))
    throw new Error(reason)
  return reason
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    // Not there, or not ours to run: both mean "look on".
    return false
  }
}
