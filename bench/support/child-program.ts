/** Child processes of a bench: started with their output kept, ended by their own id, and never left behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { processTree } from './process-tree.ts'

/** Time from the polite signal to the final one. */
const STOP_MS = 10_000
/** Output kept for the message of a failure, in characters. */
const LOG_CHARS_MAX = 8_192

/** A running program. */
export interface ChildProgram {
  readonly child: ChildProcess
  /** The end of what it wrote to standard error (and standard output, unless that is piped elsewhere). */
  log(): string
  /** Asks it to end and waits; insists after {@link STOP_MS}. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

process.on('exit', () => {
  // This process comes first in its tree.
  kill(processTree(process.pid).slice(1))
})

/** Ends processes at once. With a program go those that it started: workers outlive a master that is killed. */
function kill(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** Starts a program with stdin closed and its output kept. */
export function startProgram(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): ChildProgram {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  const keep = (chunk: Buffer): void => {
    log = (log + chunk.toString()).slice(-LOG_CHARS_MAX)
  }
  child.stderr.on('data', keep)
  child.stdout.on('data', keep)
  child.once('error', (error) => keep(Buffer.from(error.message)))
  return {
    child,
    log: () => log,
    stop: async (signal = 'SIGTERM') => {
      const { pid } = child
      if (child.exitCode !== null || child.signalCode !== null || pid === undefined) return
      const exited = once(child, 'exit')
      child.kill(signal)
      const insist = setTimeout(() => kill(processTree(pid)), STOP_MS)
      await exited
      clearTimeout(insist)
    },
  }
}

/** Runs a program to its end. @throws Error with its output when it does not exit with 0. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const program = startProgram(command, args, options)
  const [code] = await once(program.child, 'close')
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${program.log()}`)
  return program.log()
}
