/** Runs of many seeds, and what is said about one that broke a promise. */
import { inspect } from 'node:util'
import { simulateCore } from './core-simulation.ts'
import { simulate } from './simulation.ts'

/** Ticks of a run, unless KAIRO_SIMULATION_TICKS says otherwise. */
export const usualTicks = 2_000

/** `core`: the Raft core alone. `members`: all that a member is, with its log on a disk and its state. */
export type SimulationKind = 'core' | 'members'

/** Seeds of a whole test run, unless KAIRO_SIMULATION_SEEDS says otherwise: what takes seconds, not minutes, on two cores. */
export const usualSeeds: Readonly<Record<SimulationKind, number>> = { core: 500, members: 60 }

/** One seed that broke a promise. */
export interface BrokenSeed {
  readonly seed: number
  readonly error: unknown
}

/** What all runs came to together. */
export interface RangeReport {
  readonly seeds: number
  readonly totals: Readonly<Record<string, number>>
  readonly broken: readonly BrokenSeed[]
}

/** Ticks of each run of this process. */
export function chosenTicks(): number {
  return Number(process.env.KAIRO_SIMULATION_TICKS ?? usualTicks)
}

/** One run: counts of what happened in it. @throws Violation, or whatever broke */
export async function runSeed(
  kind: SimulationKind,
  seed: number,
  ticks: number,
): Promise<Readonly<Record<string, number>>> {
  return kind === 'core' ? { ...simulateCore(seed, ticks) } : { ...(await simulate(seed, ticks)) }
}

/** Runs the seeds in `[from, to)`; ends with the first that breaks a promise. */
export async function runSeeds(
  kind: SimulationKind,
  from: number,
  to: number,
  ticks: number,
): Promise<RangeReport> {
  const totals: Record<string, number> = {}
  const broken: BrokenSeed[] = []
  let seeds = 0
  // Members refuse much, and nobody looks at where: who replays a seed does.
  Error.stackTraceLimit = 0
  for (let seed = from; seed < to && broken.length === 0; seed++) {
    seeds += 1
    try {
      const report = await runSeed(kind, seed, ticks)
      for (const [name, count] of Object.entries(report)) totals[name] = (totals[name] ?? 0) + count
    } catch (error) {
      broken.push({ seed, error })
    }
  }
  return { seeds, totals, broken }
}

/** What happened, and how to see it again. */
export function explainBroken(
  kind: SimulationKind,
  { seed, error }: BrokenSeed,
  ticks: number,
): string {
  const length = ticks === usualTicks ? '' : `KAIRO_SIMULATION_TICKS=${ticks} `
  const set = kind === 'members' ? length : `${length}KAIRO_SIMULATION_KIND=${kind} `
  const replay = `${set}KAIRO_SIMULATION_SEED=${seed} node tracker/test/simulation/run.ts`
  return `seed ${seed} broke a promise; see it again with\n  ${replay}\n${inspect(error)}`
}
