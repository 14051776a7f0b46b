/** Some histories of real processes; `run.ts` beside this runs as many as one likes. */
import { test } from 'tap'
import { faultKinds, planFaults } from '../support/processes/fault-plan.ts'
import { type HistoryCounts, runHistory, sums } from '../support/processes/history-run.ts'
import { RegionProcesses } from '../support/processes/region-processes.ts'

const SEEDS = [1, 2, 3]

test('a seed plans the same faults again, and seeds plan all kinds', async (t) => {
  t.same(planFaults(7), planFaults(7))
  const planned = Array.from({ length: 30 }, (_, seed) => planFaults(seed)).flat()
  for (const kind of faultKinds)
    t.ok(
      planned.some((fault) => fault.kind === kind),
      kind,
    )
})

test('histories of three processes that are killed, stopped and cut off', async (t) => {
  const region = await RegionProcesses.start(t.testdir())
  t.teardown(() => region.stop())
  // Each judges itself; here it is seen that something happened.
  const all: HistoryCounts[] = []
  for (const seed of SEEDS) all.push(await runHistory(region, seed))
  const totals = sums(all)
  t.comment(JSON.stringify(totals))
  t.equal(totals.faults, SEEDS.flatMap(planFaults).length)
  for (const name of ['ok', 'unknown', 'acquired', 'renewed']) t.ok(totals[name], name)
})
