/** A Kubo of its own for a test: a fresh repository, 127.0.0.1 alone, no other peers, stopped and gone with the test. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { partnerPath } from './needs.ts'
import { temporaryFolder } from './temporary-folder.ts'

const run = promisify(execFile)
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024

/** A running daemon. */
export interface Kubo {
  /** Runs a command and gives its output without the line's end. */
  readonly ask: (...words: string[]) => Promise<string>
  /** Runs a command and gives its output as it is. */
  readonly bytes: (...words: string[]) => Promise<Buffer>
  /** Where its gateway listens. */
  readonly gateway: string
  /** A multiaddr with its peer id. */
  readonly address: string
}

/** Settings by their dotted names. */
export type KuboSettings = Readonly<Record<string, unknown>>

/** What the profile for tests leaves on that would ask others, or be asked. */
const alone: KuboSettings = {
  ...{ 'Routing.Type': 'none', 'HTTPRetrieval.Enabled': false },
  ...{ 'Swarm.RelayClient.Enabled': false, 'Version.SwarmCheckEnabled': false },
}

/** Starts a daemon; `settings` go over what keeps it alone. */
export async function startKubo(t: Test, settings: KuboSettings = {}): Promise<Kubo> {
  const repository = join(temporaryFolder(t), 'repository')
  const program = partnerPath('ipfs') as string
  const env = { ...process.env, IPFS_PATH: repository, IPFS_TELEMETRY: 'off' }
  const bytes = async (...words: string[]): Promise<Buffer> => {
    const options = { env, encoding: 'buffer', maxBuffer: OUTPUT_BYTES_MAX } as const
    return (await run(program, words, options)).stdout
  }
  const ask = async (...words: string[]) => (await bytes(...words)).toString('utf8').trim()
  await ask('init', '--profile=test')
  configure(join(repository, 'config'), { ...alone, ...settings })
  const daemon = spawn(program, ['daemon'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(async () => {
    daemon.kill('SIGTERM')
    if (daemon.exitCode === null) await once(daemon, 'exit')
  })
  const output = await readiness(daemon)
  const port = /Gateway server listening on \/ip4\/127\.0\.0\.1\/tcp\/(\d+)/.exec(output)?.[1]
  const [address = ''] = (await ask('id', '-f', '<addrs>')).split('\n')
  return { ask, bytes, gateway: `http://127.0.0.1:${port}`, address }
}

/** Writes settings into the file that `ipfs init` made. */
function configure(path: string, settings: KuboSettings): void {
  const config: Record<string, unknown> = JSON.parse(readFileSync(path, 'utf8'))
  for (const [name, value] of Object.entries(settings)) {
    const words = name.split('.')
    let at = config
    for (const word of words.slice(0, -1)) {
      at[word] ??= {}
      at = at[word] as Record<string, unknown>
    }
    at[words.at(-1) as string] = value
  }
  writeFileSync(path, JSON.stringify(config))
}

/** What the daemon said until it was ready. */
async function readiness(daemon: ChildProcess): Promise<string> {
  const ready = Promise.withResolvers<string>()
  let output = ''
  const listen = (piece: Buffer): void => {
    output += piece.toString('utf8')
    if (output.includes('Daemon is ready')) ready.resolve(output)
  }
  daemon.stdout?.on('data', listen)
  daemon.stderr?.on('data', listen)
  daemon.once('exit', () => ready.reject(new Error(`Kubo ended: ${output}`)))
  return await ready.promise
}
