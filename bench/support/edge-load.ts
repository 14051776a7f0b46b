/** Load for the `edge` bench, away from the core of the servers: wrk or the own generator with their latencies, and the tasks of edge-load-worker.ts. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { onCore } from './cores.ts'
import { loadWithOwn } from './http-load.ts'
import { withOpenFiles } from './open-files.ts'
import { cpuUs } from './process-tree.ts'
import type { ServedProcess } from './served-process.ts'

const run = promisify(execFile)
const wrk = ['/usr/bin/wrk', '/usr/local/bin/wrk'].find(existsSync)

/** What a run of load did. */
export interface EdgeSample {
  readonly rps: number
  readonly p99Ms: number
  /** CPU of the server a request. */
  readonly cpuUs: number
  /** Share of the time in which the server had its core; well below 1 it waited for the load. */
  readonly busy: number
}

/** The version of wrk; undefined where it is not installed. */
export async function wrkVersion(): Promise<string | undefined> {
  if (wrk === undefined) return undefined
  // It says so beside its usage, and exits with 1.
  const said = await run(wrk, ['-v']).catch((error: { stdout: string }) => error)
  return /^wrk (\S+)/.exec(said.stdout)?.[1] ?? 'unknown'
}

/** How a path is loaded. */
export interface EdgeLoad {
  readonly path: string
  readonly connections: number
  /** wrk spends the least on a small answer, the own generator on a large one, which it reads in larger pieces. */
  readonly generator: 'wrk' | 'own'
}

/** Loads one path over keep-alive connections. @throws Error when an answer was not good. */
export async function measure(
  server: ServedProcess,
  load: EdgeLoad,
  seconds: number,
): Promise<EdgeSample> {
  const beforeUs = cpuUs(server.pid)
  const { path, connections } = load
  const { requests, rps, p99Ms } =
    load.generator === 'wrk'
      ? await loadWithWrk(server, load, seconds)
      : await loadWithOwn({ port: server.port, path, connections, seconds }, (plain) =>
          onCore('load', plain),
        ).then((done) => ({ ...done, rps: done.requestsPerSecond }))
  const spentUs = cpuUs(server.pid) - beforeUs
  const sample = { rps, p99Ms, cpuUs: spentUs / requests, busy: (spentUs / 1e6) * (rps / requests) }
  if (!Object.values(sample).every((value) => value > 0)) {
    throw new Error(`${server.name} and its load say what cannot be: ${JSON.stringify(sample)}`)
  }
  return sample
}

async function loadWithWrk(
  server: ServedProcess,
  { path, connections }: EdgeLoad,
  seconds: number,
): Promise<{ requests: number; rps: number; p99Ms: number }> {
  const [command = '', ...words] = onCore('load', [
    ...[wrk ?? 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`],
    ...['--latency', '--timeout', '60s', `http://127.0.0.1:${server.port}${path}`],
  ])
  const { stdout } = await run(command, words)
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${server.name} failed:\n${stdout}`)
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1]),
    rps: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
  }
}

function milliseconds(match: RegExpExecArray | null): number {
  const unit = { us: 0.001, ms: 1, s: 1_000 }[match?.[2] ?? 'ms'] ?? 1
  return Number(match?.[1]) * unit
}

/** What the worker does: the trace, connections that are held, or one answer read to its end. */
export type EdgeTask =
  | { readonly task: 'trace'; readonly port: number; readonly requests: number }
  | {
      readonly task: 'hold'
      readonly port: number
      readonly pid: number
      readonly idle: number
      readonly active: number
      readonly seconds: number
    }
  | { readonly task: 'read'; readonly port: number; readonly path: string }

/** Runs a task in a process of its own; gives back the object of numbers that it prints. */
export async function runTask<Result>(task: EdgeTask): Promise<Result> {
  const worker = new URL('./edge-load-worker.ts', import.meta.url).pathname
  const plain = [process.execPath, worker, JSON.stringify(task)]
  const filesMax = task.task === 'hold' ? task.idle + task.active + 1_000 : 1_000
  const [command = '', ...words] = onCore('load', withOpenFiles(filesMax, plain))
  const { stdout } = await run(command, words, { maxBuffer: 1e6 })
  return JSON.parse(stdout) as Result
}
