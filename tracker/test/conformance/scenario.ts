/** Runs a scenario file, of whichever of the three kinds it is, and finds the first difference. */
import { ConfChangeScenario } from './conf-change-scenario.ts'
import { InteractionScenario } from './interaction-scenario.ts'
import { runQuorumDirective } from './quorum-scenario.ts'
import { type Directive, parseScenario } from './scenario-file.ts'

/** Where a file first differs from what it expects. */
export interface Difference {
  /** Line of the directive. */
  readonly line: number
  readonly command: string
  /** Line of the expected output that differs first. */
  readonly differsAt: number
  readonly expected: string
  readonly actual: string
}

/** What came of a file. */
export interface ScenarioResult {
  readonly directives: number
  readonly difference: Difference | undefined
}

const logLine = /^\s*(?:> )?(?:DEBUG|INFO|WARN|ERROR) /

/** Runs the text of a file up to the first difference. */
export function runScenario(text: string): ScenarioResult {
  const directives = parseScenario(text)
  const run = runnerOf(directives)
  for (const directive of directives) {
    const difference = compare(directive, outputOf(directive, run))
    if (difference !== undefined) return { directives: directives.length, difference }
  }
  return { directives: directives.length, difference: undefined }
}

function runnerOf(directives: readonly Directive[]): (directive: Directive) => string {
  const commands = new Set(directives.map(({ command }) => command))
  if (['committed', 'vote'].some((name) => commands.has(name))) return runQuorumDirective
  const isConfChange = ['simple', 'enter-joint', 'leave-joint'].some((name) => commands.has(name))
  const scenario = isConfChange ? new ConfChangeScenario() : new InteractionScenario()
  return (directive) => scenario.run(directive)
}

function outputOf(directive: Directive, run: (directive: Directive) => string): string {
  try {
    const output = run(directive)
    return output === '' || output.endsWith('\n') ? output : `${output}\n`
  } catch (error) {
    // A crash is an output that nobody expects; it ends the file at the line it happened on.
    return `${error instanceof Error ? error.stack : String(error)}\n`
  }
}

/** Everything is compared byte for byte, save lines of the members' log, which either side may leave out. */
function compare(directive: Directive, actual: string): Difference | undefined {
  const { line, command, expected, expectedLine } = directive
  if (actual === expected) return undefined
  const wanted = keptLines(expected)
  const printed = keptLines(actual)
  const at = wanted.findIndex(({ text }, index) => text !== printed[index]?.text)
  if (at === -1 && printed.length <= wanted.length) return undefined
  const offset = wanted[at]?.offset ?? expected.split('\n').length - 1
  return { line, command, differsAt: expectedLine + offset, expected, actual }
}

interface Line {
  readonly text: string
  readonly offset: number
}

function keptLines(text: string): Line[] {
  const lines = text.split('\n').map((line, offset) => ({ text: line, offset }))
  const kept = lines.slice(0, -1).filter((line) => !logLine.test(line.text))
  // An output that was nothing but log lines reads "ok" without them.
  return kept.length === 0 ? [{ text: 'ok', offset: 0 }] : kept
}
