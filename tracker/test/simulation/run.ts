/**
 * Runs the simulation of a group by hand: `node tracker/test/simulation/run.ts [seeds] [first seed]`, on all cores, for as many seeds as one
 * likes. `KAIRO_SIMULATION_SEED=<seed>` replays one run exactly; `KAIRO_SIMULATION_KIND` is `members` (the default) or `core`, and
 * `KAIRO_SIMULATION_TICKS` makes runs longer or shorter.
 */
import { availableParallelism } from 'node:os'
import { inspect } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import {
  chosenTicks,
  explainBroken,
  type RangeReport,
  runSeed,
  runSeeds,
  type SimulationKind,
  usualSeeds,
} from '../support/simulation/seed-range.ts'

/** Seeds that a worker takes at a time. */
const PIECE = 10
const ticks = chosenTicks()
const kind: SimulationKind = process.env.KAIRO_SIMULATION_KIND === 'core' ? 'core' : 'members'

async function replay(seed: number): Promise<void> {
  try {
    say(inspect(await runSeed(kind, seed, ticks)))
  } catch (error) {
    say(explainBroken(kind, { seed, error }, ticks))
    process.exitCode = 1
  }
}

/** Hands out pieces of the range until it is done, or something broke. */
async function runAll(seeds: number, first: number): Promise<void> {
  const totals: Record<string, number> = {}
  let next = first
  let hasBroken = false
  const work = async (): Promise<void> => {
    while (next < first + seeds && !hasBroken) {
      const from = next
      next = Math.min(next + PIECE, first + seeds)
      const { report, failures } = await runPiece(from, next)
      for (const [name, count] of Object.entries({ seeds: report.seeds, ...report.totals }))
        totals[name] = (totals[name] ?? 0) + count
      for (const failure of failures) say(failure)
      hasBroken ||= failures.length > 0
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  say(inspect(totals))
  if (hasBroken) process.exitCode = 1
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

interface PieceResult {
  readonly report: Omit<RangeReport, 'broken'>
  readonly failures: readonly string[]
}

/** One worker for each piece: its limits are its own, and its memory goes with it. */
function runPiece(from: number, to: number): Promise<PieceResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { from, to } })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

if (!isMainThread) {
  const { from, to } = workerData as { from: number; to: number }
  const { broken, ...report } = await runSeeds(kind, from, to, ticks)
  const failures = broken.map((each) => explainBroken(kind, each, ticks))
  parentPort?.postMessage({ report, failures } satisfies PieceResult)
} else if (process.env.KAIRO_SIMULATION_SEED !== undefined) {
  await replay(Number(process.env.KAIRO_SIMULATION_SEED))
} else {
  await runAll(Number(process.argv[2] ?? usualSeeds[kind]), Number(process.argv[3] ?? 1))
}
