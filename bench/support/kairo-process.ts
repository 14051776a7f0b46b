/** Kairo peers as their users run them: one process each, on loopback and free ports. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type ChildProgram, startProgram } from './child-program.ts'
import { onCore } from './cores.ts'
import { withOpenFiles } from './open-files.ts'
import { tempFolder } from './temp-folder.ts'

const root = join(import.meta.dirname, '../..')
/** From process start to its ready line, on a loaded machine. */
const READY_MS = 90_000

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

/** How a peer is started, beside its arguments. */
export interface KairoOptions {
  /** `cdn` is a shared cache in front of the `--origin` among the arguments. Default `up`. */
  readonly command?: 'up' | 'cdn'
  /** Where it runs; anywhere without it. */
  readonly core?: 'server'
  /** Files, connections among them, that it must be able to have open. */
  readonly openFiles?: number
}

/** Starts a peer without the built-in test stream; its home folder goes when it stops. */
export async function startKairo(
  extra: readonly string[] = [],
  { command = 'up', core, openFiles = 0 }: KairoOptions = {},
): Promise<KairoProcess> {
  const { path: home, remove } = tempFolder('home')
  const plain = [
    ...[process.execPath, join(root, 'node/src/cli.ts')],
    ...[command, '--json', '--no-test-stream', '--home', home],
    ...['--http', '127.0.0.1:0', '--rtmp', '127.0.0.1:0', '--srt', '127.0.0.1:0'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0', '--peer-https', '127.0.0.1:0'],
    ...extra,
  ]
  const able = withOpenFiles(openFiles, plain)
  const [binary = '', ...words] = core === undefined ? able : onCore(core, able)
  const program = startProgram(binary, words)
  const stop = async (signal?: NodeJS.Signals): Promise<void> => {
    await program.stop(signal)
    remove()
  }
  try {
    return { ...program, stop, ready: await readyLine(program) }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What a peer's metrics page says: the sum over all series of a metric whose labels hold `labels`. */
export async function readMetric(ready: ReadyLine, name: string, labels = ''): Promise<number> {
  const { origin, searchParams } = new URL(ready.admin)
  const answer = await fetch(`${origin}/metrics`, {
    headers: { authorization: `Bearer ${searchParams.get('token')}` },
  })
  if (!answer.ok) throw new Error(`no metrics: ${answer.status}`)
  return (await answer.text())
    .split('\n')
    .filter((line) => line.startsWith(name) && /[ {]/.test(line[name.length] ?? ''))
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
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
