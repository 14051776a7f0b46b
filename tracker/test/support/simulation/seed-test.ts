/** A half of the simulated runs as a test: two files, each with one half, run at the same time. */
import { test } from 'tap'
import {
  chosenTicks,
  explainBroken,
  runSeeds,
  type SimulationKind,
  usualSeeds,
} from './seed-range.ts'

/** What a run must have met at least, on average: a simulation in which nothing happens proves nothing. */
const leastPerSeed: Readonly<Record<SimulationKind, Readonly<Record<string, number>>>> = {
  core: { elections: 2, applied: 150, reads: 100, crashes: 2, changes: 2 },
  members: {
    ...{ faults: 10, elections: 3, commands: 100, acknowledged: 50, reads: 30, changes: 0.5 },
    ...{ acquired: 1, watched: 100, snapshotsTaken: 5, snapshotsReceived: 0.5 },
  },
}
/** Fewer runs say little about what happens on average. */
const SEEDS_MIN = 20
const TICKS_MIN = 1_000

/** Tests a half of the seeds. */
export function testSeeds(kind: SimulationKind, half: 0 | 1): void {
  test('promises hold in every run, and healed groups serve', async (t) => {
    const all = Number(process.env.KAIRO_SIMULATION_SEEDS ?? usualSeeds[kind])
    const count = Math.ceil(all / 2)
    const ticks = chosenTicks()
    const first = 1 + half * count
    const { seeds, totals, broken } = await runSeeds(kind, first, first + count, ticks)
    for (const each of broken) t.fail(explainBroken(kind, each, ticks))
    t.comment(`${seeds} seeds: ${JSON.stringify(totals)}`)
    if (broken.length > 0 || count < SEEDS_MIN || ticks < TICKS_MIN) return
    for (const [name, least] of Object.entries(leastPerSeed[kind]))
      t.ok((totals[name] ?? 0) >= least * seeds, `${name}: ${totals[name]}`)
  })
}
