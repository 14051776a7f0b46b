/**
 * `npm run bench -- <name>`: runs one bench, prints its table for people and, as the last line on stdout, one JSON object
 * for programs. Exits with 0 when the targets were met, 1 when not, 2 for wrong usage.
 */
import { readdirSync } from 'node:fs'
import { arch, cpus, platform, totalmem } from 'node:os'
import type { Bench } from './result.ts'

const helpers = ['run.ts', 'result.ts']

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !helpers.includes(file))
  .map((file) => file.slice(0, -'.ts'.length))
const name = process.argv[2] ?? ''
if (!names.includes(name)) {
  console.error(`usage: npm run bench -- <${names.join('|')}>`)
  process.exit(2)
}

const { run } = (await import(`./${name}.ts`)) as { run: Bench }
const { table, ...result } = await run()
const memoryGiB = Math.round(totalmem() / 2 ** 30)
console.log(`\n${table}`)
console.log(
  `\non ${cpus().length} x ${cpus()[0]?.model.trim()}, ${memoryGiB} GiB, ${platform()} ${arch()}, Node ${process.versions.node}`,
)
for (const rival of result.missing ?? []) console.log(`not installed, not measured: ${rival}`)
console.log(JSON.stringify({ bench: name, ...result }))
// A rival's sockets or the browser's pipes must not keep a finished bench alive.
process.exit(result.ok ? 0 : 1)
