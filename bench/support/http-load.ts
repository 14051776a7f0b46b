/**
 * Load over keep-alive connections: wrk where it is installed, else the generator of http-load-worker.ts in a process of
 * its own. Both send the next request when the last answer is whole.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)
const wrk = ['/usr/bin/wrk', '/usr/local/bin/wrk'].find(existsSync)

/** The generator in use, for the bench's table. */
export const loadGenerator = wrk === undefined ? 'own' : 'wrk'

/** One run of load. */
export interface LoadOptions {
  readonly port: number
  readonly path: string
  readonly connections: number
  readonly seconds: number
}

/** What a run of load did. */
export interface LoadResult {
  readonly requests: number
  readonly requestsPerSecond: number
}

/** What a run of the own generator did. */
export interface OwnLoadResult extends LoadResult {
  /** From a request to the last byte of its answer. */
  readonly p99Ms: number
}

/** Loads one server; throws when an answer was not 200 or a connection broke. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  return wrk === undefined ? await loadWithOwn(options) : await loadWithWrk(wrk, options)
}

async function loadWithWrk(binary: string, options: LoadOptions): Promise<LoadResult> {
  const { port, path, connections, seconds } = options
  const url = `http://127.0.0.1:${port}${path}`
  // On a busy machine an answer may take seconds; that is slow, not wrong.
  const limits = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '60s']
  const { stdout } = await run(binary, [...limits, url])
  if (/Non-2xx|Socket errors/.test(stdout)) {
    throw new Error(`wrk saw errors at ${url}:\n${stdout}`)
  }
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1]),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
  }
}

/** The same with the own generator, whatever is installed; `command` may say on which core it runs. */
export async function loadWithOwn(
  options: LoadOptions,
  command: (plain: readonly string[]) => readonly string[] = (plain) => plain,
): Promise<OwnLoadResult> {
  const worker = new URL('./http-load-worker.ts', import.meta.url).pathname
  const [binary = '', ...words] = command([process.execPath, worker, JSON.stringify(options)])
  const { stdout } = await run(binary, words)
  return JSON.parse(stdout) as OwnLoadResult
}
