/** Kairo peers as their users run them: one process each, on loopback and free ports. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type ChildProgram, startProgram } from './child-program.ts'

const root = join(import.meta.dirname, '../..')
/** From process start to its ready line, on a loaded machine. */
const READY_MS = 30_000

/** What `kairo up --json` prints first. */
export interface ReadyLine {
  readonly peerId: string
  readonly http: string
  readonly rtmp: string
  readonly multiaddrs: readonly string[]
  readonly streamKey: string
  /** Name of the stream that the key opens. */
  readonly stream: string
  /** Name of the built-in test stream; null without one. */
  readonly testStream: string | null
  /** Admin page, with the operator token. */
  readonly admin: string
}

/** One running peer. */
export interface KairoProcess extends ChildProgram {
  readonly ready: ReadyLine
}

/** The version in the repository. */
export function kairoVersion(): string {
  return JSON.parse(readFileSync(join(root, 'node/package.json'), 'utf8')).version
}

/** Starts a peer without the built-in test stream; its home folder goes when it stops. */
export async function startKairo(extra: readonly string[] = []): Promise<KairoProcess> {
  const home = await mkdtemp(join(tmpdir(), 'kairo-bench-'))
  const program = startProgram(process.execPath, [
    join(root, 'node/src/cli.ts'),
    ...['up', '--json', '--no-test-stream', '--home', home],
    ...['--http', '127.0.0.1:0', '--rtmp', '127.0.0.1:0', '--srt', '127.0.0.1:0'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0'],
    ...extra,
  ])
  const stop = async (signal?: NodeJS.Signals): Promise<void> => {
    await program.stop(signal)
    await rm(home, { recursive: true, force: true })
  }
  try {
    return { ...program, stop, ready: await readyLine(program) }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Makes more streams at a running peer, with the operator token of its admin address; their stream keys. */
export async function addStreamKeys(ready: ReadyLine, count: number): Promise<string[]> {
  const token = new URL(ready.admin).searchParams.get('token')
  const keys: string[] = []
  while (keys.length < count) {
    const answer = await fetch(`${ready.http}/api/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{}',
    })
    if (!answer.ok) throw new Error(`no stream key: ${await answer.text()}`)
    keys.push(((await answer.json()) as { streamKey: string }).streamKey)
  }
  return keys
}

/** Waits for a peer's ready line on the standard output of its program. */
export function readyLine(program: ChildProgram): Promise<ReadyLine> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`kairo ${why}: ${program.log()}`))
    const timer = setTimeout(() => fail('is not ready in time'), READY_MS)
    program.child.once('exit', (code) => fail(`ended with ${code}`))
    const lines = createInterface({ input: program.child.stdout as NodeJS.ReadableStream })
    lines.on('line', (line) => {
      if (!line.startsWith('{"event":"ready"')) return
      clearTimeout(timer)
      resolve(JSON.parse(line))
    })
  })
}
