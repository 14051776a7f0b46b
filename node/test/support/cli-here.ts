/** Commands in the test's own process: a process for each of dozens of command lines would be most of what the test costs. */
import { runCli } from '../../src/cli/run.ts'

/** What came of a command line. */
export interface CommandOutcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command line (without the program's name) to its end; nothing else may write meanwhile. */
export async function runCliHere(args: readonly string[]): Promise<CommandOutcome> {
  const [stdout, stderr] = [takeWrites(process.stdout), takeWrites(process.stderr)]
  try {
    return { code: await runCli(args), stdout: stdout.text(), stderr: stderr.text() }
  } finally {
    stdout.giveBack()
    stderr.giveBack()
  }
}

/** Keeps what is written to a stream, instead of writing it, until it is given back. */
function takeWrites(stream: NodeJS.WriteStream): { text: () => string; giveBack: () => void } {
  const { write } = stream
  const pieces: string[] = []
  stream.write = (piece: string | Uint8Array): boolean => {
    pieces.push(typeof piece === 'string' ? piece : Buffer.from(piece).toString())
    return true
  }
  return {
    text: () => pieces.join(''),
    giveBack: () => {
      stream.write = write
    },
  }
}
