// Starts the real program, as a user would, for tests: one process a peer, on loopback and free ports.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { nodeCommand } from './uncounted.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** The ready line of `kairo up --json`. */
export interface ReadyLine {
  readonly event: 'ready'
  readonly peerId: string
  readonly home: string
  readonly http: string
  readonly rtmp: string
  readonly srt: string
  readonly multiaddrs: readonly string[]
  readonly streamKey: string
  readonly stream: string
  readonly admin: string
}

/** A running peer. */
export interface PeerProcess {
  readonly ready: ReadyLine
  readonly child: ChildProcess
  /** What it wrote to standard error so far. */
  log(): string
  /** Sends a signal and waits for the end; the exit code, or the signal's name. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** The ready-made arguments of a quiet peer on loopback. */
export function loopbackArguments(home: string): string[] {
  return [
    'up',
    '--json',
    '--no-test-stream',
    '--no-mdns',
    ...['--home', home],
    ...['--http', '127.0.0.1:0'],
    ...['--rtmp', '127.0.0.1:0'],
    ...['--srt', '127.0.0.1:0'],
    ...['--peer-https', '127.0.0.1:0'],
    // Most tests are about something else than the ladder, which would take the processors from them.
    ...['--default-quality', 'source'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0'],
  ]
}

/** Starts a peer and waits for its ready line; it is killed at the end of the test. */
export async function startPeer(
  t: Test,
  home: string,
  extra: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<PeerProcess> {
  const { child, log } = spawnCli([...loopbackArguments(home), ...extra], env)
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  const ready = await firstLine(child, log)
  return {
    ready,
    child,
    log,
    end: async (signal) => {
      if (child.exitCode !== null || child.signalCode !== null)
        return child.exitCode ?? child.signalCode
      child.kill(signal)
      const [code, killedBy] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
      return code ?? killedBy
    },
  }
}

/** Runs a command of the program to its end. */
export async function runCliProcess(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { child, log } = spawnCli(args, {})
  let stdout = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr: log() }
}

function spawnCli(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): { child: ChildProcess; log: () => string } {
  const child = spawn(...nodeCommand(CLI, args), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  let text = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return { child, log: () => text }
}

async function firstLine(child: ChildProcess, log: () => string): Promise<ReadyLine> {
  if (child.stdout === null) throw new Error('the peer has no standard output')
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) {
    const value = JSON.parse(line) as ReadyLine
    if (value.event === 'ready') {
      // Later lines are drained, so that a full pipe never stops the peer.
      child.stdout.resume()
      return value
    }
    throw new Error(`the first line is not the ready line: ${line}`)
  }
  throw new Error(`the peer ended before it was ready: ${log()}`)
}
