/**
 * etcd (https://etcd.io), three members as processes on loopback, under the load of its own `benchmark` program. That one is built once from
 * etcd's Go module where Go is installed; its client is the newest one, whichever etcd answers.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder } from '../support/cache-folder.ts'
import { type ChildProgram, runProgram, startProgram } from '../support/child-program.ts'
import { buildGoProgram, findGo, onPath } from '../support/go-module.ts'
import { freePort } from '../support/ports.ts'
import {
  clients,
  keyBytes,
  keyCount,
  type RoundReading,
  type RoundWork,
  readKey,
  valueBytes,
} from '../support/raft-work.ts'

const MODULE = 'go.etcd.io/etcd/v3'
const VERSION = 'v3.6.8'
const MEMBERS = 3
const START_MS = 30_000
const LOOK_MS = 100
/** Connections of the clients; the load of many clients goes over fewer of them, as etcd's own benchmarks do. */
const CONNECTIONS = 32

/** The programs. */
export interface EtcdPrograms {
  readonly etcd: string
  readonly benchmark: string
}

/** etcd and its load, which is built when it is not there yet; undefined where either cannot be had. */
export async function findEtcd(): Promise<EtcdPrograms | undefined> {
  const etcd = onPath('etcd', ['/usr/bin', '/usr/local/bin'])
  const output = join(cacheFolder(), `etcd-benchmark-${VERSION}`)
  if (etcd === undefined) return undefined
  if (existsSync(output)) return { etcd, benchmark: output }
  const go = findGo()
  if (go === undefined) return undefined
  try {
    console.error(`building etcd's benchmark ${VERSION} (once, some minutes) ...`)
    const from = { module: MODULE, version: VERSION, package: './tools/benchmark' }
    await buildGoProgram(go, { ...from, output, prepare: releasedModules })
    return { etcd, benchmark: output }
  } catch (error) {
    // Without the load there is no rival; the bench names it as missing and measures the rest.
    console.error(`etcd's benchmark could not be built: ${(error as Error).message}`)
    return undefined
  }
}

/** Its modules replace each other by folders of the repository, which a downloaded module has not; the released ones are the same. */
async function releasedModules(folder: string, go: string): Promise<void> {
  const text = await readFile(join(folder, 'go.mod'), 'utf8')
  const replaced = [...text.matchAll(/^\s+(\S+) => \.\//gm)].map(([, module]) => module)
  const flags = replaced.map((module) => `-dropreplace=${module}`)
  await runProgram(go, ['mod', 'edit', ...flags], { cwd: folder })
  await runProgram(go, ['mod', 'tidy'], { cwd: folder })
}

/** Three members. */
export class Etcd {
  readonly version: string
  readonly #programs: EtcdPrograms
  readonly #members: readonly ChildProgram[]
  readonly #urls: readonly string[]

  private constructor(
    programs: EtcdPrograms,
    version: string,
    members: readonly ChildProgram[],
    urls: readonly string[],
  ) {
    this.#programs = programs
    this.version = version
    this.#members = members
    this.#urls = urls
  }

  /** Starts them with their folders under one, as etcd is by default: each put on the disks of a majority before it is acknowledged. */
  static async start(programs: EtcdPrograms, folder: string): Promise<Etcd> {
    const ports: [number, number][] = []
    for (let index = 0; index < MEMBERS; index++) ports.push([await freePort(), await freePort()])
    const cluster = ports.map(([, peer], index) => `m${index}=http://127.0.0.1:${peer}`).join()
    const members = ports.map(([client, peer], index) => {
      const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`]
      const flags = {
        ...{ name: `m${index}`, 'data-dir': join(folder, `etcd-${index}`) },
        ...{ 'listen-client-urls': clientUrl, 'advertise-client-urls': clientUrl },
        ...{ 'listen-peer-urls': peerUrl, 'initial-advertise-peer-urls': peerUrl },
        ...{ 'initial-cluster': cluster, logger: 'zap', 'log-level': 'error' },
      }
      const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
      return startProgram(programs.etcd, args)
    })
    const urls = ports.map(([client]) => `http://127.0.0.1:${client}`)
    const said = await runProgram(programs.etcd, ['--version'])
    const version = /etcd Version: (\S+)/.exec(said)?.[1] ?? said
    const etcd = new Etcd(programs, version, members, urls)
    try {
      await etcd.#healthy()
      await etcd.#putReadKey()
      return etcd
    } catch (error) {
      await etcd.stop()
      throw new Error(`etcd does not start: ${members[0]?.log()}`, { cause: error })
    }
  }

  /** One round of the work, straight to the leader. */
  async round({ puts, singlePuts, reads }: RoundWork): Promise<RoundReading> {
    const many = [`--clients=${clients}`, `--conns=${CONNECTIONS}`]
    const one = ['--clients=1', '--conns=1']
    const put = [`--key-size=${keyBytes}`, `--val-size=${valueBytes}`]
    const keys = [...put, `--key-space-size=${keyCount}`]
    const fast = await this.#run([...many, 'put', ...keys, `--total=${puts}`])
    const single = await this.#run([...one, 'put', ...keys, `--total=${singlePuts}`])
    const read = await this.#run([...one, 'range', readKey, `--total=${reads}`, '--consistency=l'])
    const { perS } = fast
    return { putsPerS: perS, putMs: single.medianMs, readMs: read.medianMs }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()))
  }

  async #run(args: readonly string[]): Promise<{ perS: number; medianMs: number }> {
    const endpoints = `--endpoints=${this.#urls.join()}`
    const said = await runProgram(this.#programs.benchmark, [
      ...[endpoints, '--target-leader', '--precise'],
      ...args,
    ])
    const perS = Number(/Requests\/sec:\s+(\S+)/.exec(said)?.[1])
    const medianMs = Number(/^\s*50% in (\S+) secs/m.exec(said)?.[1]) * 1_000
    if (said.includes('Error distribution') || Number.isNaN(perS + medianMs))
      throw new Error(`etcd's benchmark failed: ${said}`)
    return { perS, medianMs }
  }

  async #healthy(): Promise<void> {
    const endMs = performance.now() + START_MS
    for (const url of this.#urls) {
      while (!(await isHealthy(url))) {
        if (performance.now() > endMs) throw new Error(`${url} is not healthy`)
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      }
    }
  }

  async #putReadKey(): Promise<void> {
    const key = Buffer.from(readKey).toString('base64')
    const value = Buffer.alloc(valueBytes, 'v').toString('base64')
    const body = JSON.stringify({ key, value })
    const answer = await fetch(`${this.#urls[0]}/v3/kv/put`, { method: 'POST', body })
    if (!answer.ok) throw new Error(`a put failed: ${await answer.text()}`)
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const { health } = (await (await fetch(`${url}/health`)).json()) as { health?: string }
    return health === 'true'
  } catch {
    // Not up yet.
    return false
  }
}
