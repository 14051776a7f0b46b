/** Load for the `edge` bench: wrk with its latencies, the trace, and connections that are only held. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { type EdgeServer, onCore } from './edge-servers.ts'

const run = promisify(execFile)
const wrk = ['/usr/bin/wrk', '/usr/local/bin/wrk'].find(existsSync)

/** True when the generator is installed. */
export const hasWrk = wrk !== undefined

/** What a run of load did. */
export interface EdgeSample {
  readonly rps: number
  readonly p99Ms: number
}

/** Loads one path over keep-alive connections. */
export async function measure(
  server: EdgeServer,
  path: string,
  load: { readonly connections: number; readonly seconds: number },
): Promise<EdgeSample> {
  const [command = '', ...words] = onCore('load', [
    ...[wrk ?? 'wrk', '-t1', `-c${load.connections}`, `-d${load.seconds}s`],
    ...['--latency', '--timeout', '60s', `http://127.0.0.1:${server.port}${path}`],
  ])
  const { stdout } = await run(command, words)
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${server.name} failed:\n${stdout}`)
  return {
    rps: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
  }
}

function milliseconds(match: RegExpExecArray | null): number {
  const unit = { us: 0.001, ms: 1, s: 1_000 }[match?.[2] ?? 'ms'] ?? 1
  return Number(match?.[1]) * unit
}

/** What the worker does. */
export type EdgeTask =
  | {
      readonly task: 'trace'
      readonly port: number
      readonly requests: number
      readonly objects: number
      readonly alpha: number
      readonly seed: number
    }
  | {
      readonly task: 'hold'
      readonly port: number
      readonly idle: number
      readonly active: number
      readonly seconds: number
    }
  | { readonly task: 'read'; readonly port: number; readonly path: string }

/** Runs a task in a process of its own; gives back what it prints. */
export async function runTask(task: EdgeTask): Promise<Record<string, number>> {
  const worker = new URL('./edge-load-worker.ts', import.meta.url).pathname
  const [command = '', ...words] = onCore('load', [
    ...[process.execPath, worker, JSON.stringify(task)],
  ])
  const { stdout } = await run(command, words, { maxBuffer: 1e6 })
  return JSON.parse(stdout) as Record<string, number>
}
