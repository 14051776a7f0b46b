/**
 * Coverage of the processes that a test starts. Counting lines costs a peer half as much again to start and runs it slower, so where many
 * processes do again what other tests have them do counted, they do without.
 */

/** What tap hands on to every process below it, and looks at as each of them starts. */
const SWITCH = '_TAPJS_PROCESSINFO_COVERAGE_'

/** Processes that this test file starts from here on do not count which lines they run; the file itself still does. */
export function uncountedChildren(): void {
  process.env[SWITCH] = '0'
}

/** The command that starts a program of Node's: where it is not counted, without what tap has every process load. */
export function nodeCommand(
  program: string,
  args: readonly string[],
): [command: string, args: string[]] {
  const isCounted = process.env[SWITCH] !== '0'
  if (isCounted) return [process.execPath, [program, ...args]]
  return ['/usr/bin/env', ['-u', 'NODE_OPTIONS', process.execPath, program, ...args]]
}
