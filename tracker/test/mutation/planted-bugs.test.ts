/** The tests are themselves tested: every planted bug is caught by the file that is named for it. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { plantedBugs, usualBugs } from './planted-bugs.ts'

const run = promisify(execFile)
/** Bugs at once. */
const JOBS = 2
/** Simulated runs that must be enough to catch a bug. */
const simulatedSeeds = '20'
/** A test file under a bug may never come to its end. */
const timeoutMs = 120_000

/** Whether a test file fails with this bug. */
async function isCaught(name: string, suite: string): Promise<boolean> {
  const plant = join(import.meta.dirname, 'plant.ts')
  const file = join(import.meta.dirname, '..', `${suite}.test.ts`)
  // Of tap's variables none, or the child would report to this run.
  const env = {
    PATH: process.env.PATH,
    KAIRO_PLANTED_BUG: name,
    KAIRO_SIMULATION_SEEDS: simulatedSeeds,
    TAP_TIMEOUT: String(timeoutMs / 1_000),
  }
  try {
    await run(process.execPath, ['--import', plant, file], { env, timeout: timeoutMs })
    return false
  } catch (error) {
    const { stdout } = error as { stdout?: string }
    // A bug that could not be planted is no bug that was caught; nor is one of which nothing is known when the time is up.
    return stdout !== undefined && /^not ok/m.test(stdout) && !stdout.includes('timeout!')
  }
}

test('every planted bug is caught', async (t) => {
  // `KAIRO_ALL_BUGS=true` plants all.
  const waiting = [...(process.env.KAIRO_ALL_BUGS === 'true' ? plantedBugs : usualBugs)]
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      t.ok(await isCaught(bug.name, bug.caughtBy), `${bug.name}, by ${bug.caughtBy}`)
    }
  }
  await Promise.all(Array.from({ length: JOBS }, work))
})
