/**
 * `npm run bench -- <name> [--quick]`: runs one bench, prints its table for people and, as the last line on stdout, one JSON object
 * for programs. Exits with 0 when the targets were met, 1 when not or when it failed, 2 for wrong usage. Programs that it
 * started do not outlive it.
 */
import { readdirSync } from 'node:fs'
import { arch, cpus, platform, totalmem } from 'node:os'
import { type Bench, type BenchResult, DEADLINE_MS } from './result.ts'

const helpers = ['run.ts', 'result.ts']

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !helpers.includes(file))
  .map((file) => file.slice(0, -'.ts'.length))
const [name = '', ...options] = process.argv.slice(2)
const isQuick = options.includes('--quick')
if (!names.includes(name) || options.some((option) => option !== '--quick')) {
  console.error(`usage: npm run bench -- <${names.join('|')}> [--quick]`)
  process.exit(2)
}

// Ending by process.exit ends what was started, too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

/** What is printed of a bench that could not be finished. */
function failed(error: unknown): Omit<BenchResult, 'table'> & { error: string } {
  console.error(error)
  const message = error instanceof Error ? error.message : String(error)
  // All of it is on standard error.
  return { ok: false, ratios: {}, values: {}, peers: {}, error: message.slice(0, 300) }
}

function finish(result: Omit<BenchResult, 'table'>): never {
  console.log(JSON.stringify({ bench: name, ...(isQuick && { quick: true }), ...result }))
  // A rival's sockets or the browser's pipes must not keep a finished bench alive.
  process.exit(result.ok ? 0 : 1)
}

process.on('uncaughtException', (error) => finish(failed(error)))
const { run, deadlineMs = DEADLINE_MS } = (await import(`./${name}.ts`)) as Bench
setTimeout(() => finish(failed(new Error(`not done after ${deadlineMs / 1_000} s`))), deadlineMs)
try {
  const { table, ...result } = await run({ isQuick })
  const memoryGiB = Math.round(totalmem() / 2 ** 30)
  console.log(`\n${table}`)
  console.log(
    `\non ${cpus().length} x ${cpus()[0]?.model.trim()}, ${memoryGiB} GiB, ${platform()} ${arch()}, Node ${process.versions.node}`,
  )
  for (const rival of result.missing ?? []) console.log(`not installed, not measured: ${rival}`)
  finish(result)
} catch (error) {
  finish(failed(error))
}
