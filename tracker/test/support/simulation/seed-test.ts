/** A half of the simulated runs as a test. */
import { test } from 'tap'
import { chosenTicks, explainBroken, runSeeds, usualSeeds } from './seed-range.ts'

/** What runs together must have met at least, for each hundred of seeds: a simulation in which nothing happens proves nothing. */
const leastPerHundred = {
  faults: 1_000,
  elections: 300,
  commands: 10_000,
  acknowledged: 5_000,
  reads: 3_000,
  changes: 50,
  acquired: 100,
  watched: 5_000,
  snapshotsTaken: 500,
  snapshotsReceived: 50,
} as const

/** Tests a half of the seeds. */
export function testSeeds(half: 0 | 1): void {
  test('promises hold in every run, and healed groups serve', async (t) => {
    const count = Math.ceil(Number(process.env.KAIRO_SIMULATION_SEEDS ?? usualSeeds) / 2)
    const ticks = chosenTicks()
    const first = 1 + half * count
    const { seeds, totals, broken } = await runSeeds(first, first + count, ticks)
    for (const each of broken) t.fail(explainBroken(each, ticks))
    t.comment(`${seeds} seeds: ${JSON.stringify(totals)}`)
    if (broken.length > 0 || count < 100 || ticks < 1_000) return
    for (const [name, least] of Object.entries(leastPerHundred) as [
      keyof typeof leastPerHundred,
      number,
    ][])
      t.ok(totals[name] >= (least * seeds) / 100, `${name}: ${totals[name]}`)
  })
}
