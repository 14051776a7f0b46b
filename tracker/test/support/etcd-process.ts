/** A real etcd on loopback with a folder of its own, that can be taken away and brought back. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const START_MS = 20_000

/** The path of etcd, or undefined when it is not installed. */
export function etcdPath(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']
  return folders.map((folder) => join(folder, 'etcd')).find(isExecutable)
}

/**
 * `false` when etcd is installed, else the reason to skip.
 * @throws Error in continuous integration, where a missing partner is a failure
 */
export function needsEtcd(): string | false {
  if (etcdPath() !== undefined) return false
  const reason = 'needs etcd, not installed here (Debian: apt-get install etcd-server)'
  if (process.env.CI === 'true') throw new Error(reason)
  return reason
}

/** One etcd of one member. */
export class EtcdProcess {
  readonly #folder: string
  readonly #ports: readonly number[]
  #child: ChildProcess | undefined

  private constructor(folder: string, ports: readonly number[]) {
    this.#folder = folder
    this.#ports = ports
  }

  /** Starts an etcd in an empty folder. */
  static async start(folder: string): Promise<EtcdProcess> {
    const etcd = new EtcdProcess(folder, [await freePort(), await freePort()])
    await etcd.resume()
    return etcd
  }

  /** What a client is given. */
  get url(): string {
    return `etcd://127.0.0.1:${this.#ports[0]}`
  }

  /** Starts it again after {@link kill}, with all that it held. */
  async resume(): Promise<void> {
    const path = etcdPath()
    if (path === undefined) throw new Error('etcd is not installed')
    const [client, peer] = this.#ports.map((port) => `http://127.0.0.1:${port}`)
    const flags = {
      'data-dir': this.#folder,
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': `default=${peer}`,
      'log-level': 'error',
      logger: 'zap',
    }
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
    const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4_000)
    })
    this.#child = child
    const until = performance.now() + START_MS
    while (!(await this.#isHealthy())) {
      if (child.exitCode !== null || performance.now() > until) {
        child.kill('SIGKILL')
        throw new Error(`etcd does not start: ${said}`)
      }
      await delay(20)
    }
  }

  /** Ends it at once: connections are refused from then on. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  /** Stops it in its tracks, as if its machine were gone: nothing is refused and nothing answered. */
  async freeze(): Promise<void> {
    const { pid } = this.#child ?? {}
    if (pid === undefined) throw new Error('etcd does not run')
    process.kill(pid, 'SIGSTOP')
    // The signal is on its way when the call returns, and until it is there a thread may answer.
    while (!isStopped(pid)) await delay(1)
  }

  /** Lets it go on. */
  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async #isHealthy(): Promise<boolean> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#ports[0]}/health`)
      const { health } = (await response.json()) as { health?: string }
      return health === 'true'
    } catch {
      // Not up yet.
      return false
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    // Not there, or not ours to run: both mean "look on".
    return false
  }
}

/** Whether all threads of a process stand still; taken for granted where there is no procfs. */
function isStopped(pid: number): boolean {
  const threads = `/proc/${pid}/task`
  if (!existsSync(threads)) return true
  return readdirSync(threads).every((thread) => {
    const stat = readFileSync(join(threads, thread, 'stat'), 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
  })
}
