/**
 * Histories of real processes by hand: `node tracker/test/faults/run.ts [histories] [first seed]`. Three members with their logs on this disk
 * and lines over TCP are killed, stopped and cut off while clients ask; each history is judged by the checker. 200 take some twenty minutes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { type HistoryCounts, runHistory, sums } from '../support/processes/history-run.ts'
import { RegionProcesses } from '../support/processes/region-processes.ts'

const [histories = '200', first = '1'] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'kairo-histories-'))
const region = await RegionProcesses.start(folder)
const all: HistoryCounts[] = []
try {
  for (let seed = Number(first); all.length < Number(histories); seed++) {
    try {
      all.push(await runHistory(region, seed))
    } catch (error) {
      process.stdout.write(`seed ${seed} broke a promise:\n${inspect(error)}\n`)
      process.exitCode = 1
      break
    }
    process.stdout.write(`seed ${seed}: ${inspect(all.at(-1), { breakLength: Infinity })}\n`)
  }
} finally {
  await region.stop()
  rmSync(folder, { recursive: true, force: true })
}
process.stdout.write(`${inspect(sums(all))}\n`)
process.exit()
