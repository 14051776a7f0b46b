/** Runs of many seeds, and what is said about one that broke a promise. */
import { inspect } from 'node:util'
import { type SimulationReport, simulate } from './simulation.ts'

/** Ticks of a run, unless KAIRO_SIMULATION_TICKS says otherwise. */
export const usualTicks = 2_000
/** Seeds of a whole test run, unless KAIRO_SIMULATION_SEEDS says otherwise. */
export const usualSeeds = 500

/** One seed that broke a promise. */
export interface BrokenSeed {
  readonly seed: number
  readonly error: unknown
}

/** What all runs came to together. */
export interface RangeReport {
  readonly seeds: number
  readonly totals: Readonly<Record<keyof SimulationReport, number>>
  readonly broken: readonly BrokenSeed[]
}

/** Ticks of each run of this process. */
export function chosenTicks(): number {
  return Number(process.env.KAIRO_SIMULATION_TICKS ?? usualTicks)
}

/** Runs the seeds in `[from, to)`; ends early after some that broke a promise. */
export async function runSeeds(
  from: number,
  to: number,
  ticks: number,
  brokenMax = 3,
): Promise<RangeReport> {
  const totals: Partial<Record<keyof SimulationReport, number>> = {}
  const broken: BrokenSeed[] = []
  let seeds = 0
  for (let seed = from; seed < to && broken.length < brokenMax; seed++) {
    seeds += 1
    try {
      const report = await simulate(seed, ticks)
      for (const [name, count] of Object.entries(report) as [keyof SimulationReport, number][])
        totals[name] = (totals[name] ?? 0) + count
    } catch (error) {
      broken.push({ seed, error })
    }
  }
  return { seeds, totals: totals as RangeReport['totals'], broken }
}

/** What happened, and how to see it again. */
export function explainBroken({ seed, error }: BrokenSeed, ticks: number): string {
  const set = ticks === usualTicks ? '' : `KAIRO_SIMULATION_TICKS=${ticks} `
  const replay = `${set}KAIRO_SIMULATION_SEED=${seed} node tracker/test/simulation/run.ts`
  return `seed ${seed} broke a promise; see it again with\n  ${replay}\n${inspect(error)}`
}
