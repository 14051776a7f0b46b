/**
 * Processes that a test starts count the lines they run where the test file does (scripts/lib/coverage-map.mjs); the others do without
 * what that takes, with which a peer needs half as much again to start.
 */

/** What tap hands on to every process below it; it says whether lines are counted. */
const SWITCH = '_TAPJS_PROCESSINFO_COVERAGE_'

/** The command that starts a program of Node's: where it is not counted, without what tap has every process load. */
export function nodeCommand(
  program: string,
  args: readonly string[],
): [command: string, args: string[]] {
  const isCounted = process.env[SWITCH] !== '0'
  if (isCounted) return [process.execPath, [program, ...args]]
  return ['/usr/bin/env', ['-u', 'NODE_OPTIONS', process.execPath, program, ...args]]
}

/** Where lines are not counted, has the children that this process forks do without as well. What tap loads here is loaded already. */
export function forkUncounted(): void {
  if (process.env[SWITCH] === '0') delete process.env.NODE_OPTIONS
}
