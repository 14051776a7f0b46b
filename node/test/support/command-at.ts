/** A command of the program against a server of the test: the home says where a peer runs, and what the command prints is kept. */
import { writeFileSync } from 'node:fs'
import type { Test } from 'tap'
import { type Arguments, parseArguments } from '../../src/cli/arguments.ts'
import { homeAt, writeRunning } from '../../src/home.ts'

/** What tests take for the operator's token. */
const TOKEN = 'right'

/** What came of it. */
export interface CommandAt {
  readonly code: number
  readonly text: string
}

/**
 * Readies an existing home folder for the peer at `url`, and returns what runs the words behind a command's name. Errors are thrown, as the
 * command throws them.
 */
export function commandAt(
  t: Test,
  { home, url }: { readonly home: string; readonly url: string },
  name: string,
  command: (args: Arguments) => Promise<number>,
): (...words: string[]) => Promise<CommandAt> {
  const paths = homeAt(home)
  writeFileSync(paths.operatorTokenFile, `${TOKEN}\n`)
  writeRunning(paths, { pid: process.pid, http: url })
  return async (...words) => {
    const output: string[] = []
    const capture = t.capture(process.stdout, 'write', (text: string) => {
      output.push(text)
      return true
    })
    try {
      const code = await command(parseArguments([name, ...words, '--home', home], {}))
      return { code, text: output.join('') }
    } finally {
      capture.restore()
    }
  }
}
