/** One history of a real region: clients ask while members are killed, stopped and cut off; then all is made whole, and the history judged. */
import { setTimeout as delay } from 'node:timers/promises'
import { groupOf } from '../../../src/region/shard-of.ts'
import { checkLinearizable, explain } from '../linearizability/checker.ts'
import { HistoryRecorder } from '../linearizability/history.ts'
import { type MapInput, type MapOutput, mapModel } from '../linearizability/models.ts'
import { drawFrom } from '../log-stage.ts'
import { LockRecord } from '../simulation/locks.ts'
import { promise } from '../simulation/violation.ts'
import { type FaultTarget, type PlannedFault, planFaults } from './fault-plan.ts'
import { KeyspaceClient } from './keyspace-client.ts'
import { LeaseClient } from './lease-client.ts'
import type { CutPair, RegionProcesses } from './region-processes.ts'

const CLIENTS = 4
const OWNERS = 3
/** What each client does is drawn apart from the faults and from the others. */
const SEED_STEP = 1_000_003

/** What a history came to. */
export type HistoryCounts = Readonly<Record<string, number>>

/** Runs the history of a seed on a whole region, and leaves it whole. @throws Violation when a promise is broken */
export async function runHistory(region: RegionProcesses, seed: number): Promise<HistoryCounts> {
  const name = `history-${seed}`
  const keyspace = region.keyspace(name)
  const history = new HistoryRecorder<MapInput, MapOutput>({ now: () => performance.now() })
  const locks = new LockRecord()
  const draw = (number: number) => drawFrom(seed + number * SEED_STEP)
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new KeyspaceClient(keyspace, history, `c${index}`, draw(index + 1)),
  )
  const owners = Array.from(
    { length: OWNERS },
    (_, index) => new LeaseClient(keyspace, locks, `owner ${index}`, draw(index + 101)),
  )
  const over = new AbortController()
  const running = [...clients, ...owners].map((each) => each.run(over.signal))
  const faults = planFaults(seed)
  try {
    let atMs = 0
    const struck = faults.map((fault) => {
      atMs += fault.afterMs
      return strike(region, groupOf(name), fault, atMs)
    })
    // A client that meets a broken promise ends the history at once.
    await Promise.race([Promise.all(struck), Promise.all(running)])
    await region.untilWhole()
  } finally {
    over.abort()
    await Promise.allSettled(running)
  }
  await Promise.all(running)
  await Promise.all(clients.map((client) => client.readAll()))
  const operations = history.operations()
  const verdict = checkLinearizable(mapModel, operations)
  promise(verdict.result === 'linearizable', () => explain(mapModel, verdict))
  return {
    ...{ histories: 1, operations: operations.length, faults: faults.length },
    ...sums([...clients, ...owners].map(({ counts }) => counts)),
  }
}

/** Adds up counts by name. */
export function sums(all: readonly HistoryCounts[]): HistoryCounts {
  const totals: Record<string, number> = {}
  for (const counts of all) {
    for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count
  }
  return totals
}

/** Brings one fault when it is its time, and takes it away when that is over. */
async function strike(
  region: RegionProcesses,
  group: number,
  { kind, target, lastsMs }: PlannedFault,
  atMs: number,
): Promise<void> {
  await delay(atMs)
  const struck = (await targets(region, group, target)).filter((peerId) => region.runs(peerId))
  if (kind === 'kill') {
    // Two faults may mean the same member at the same moment: whichever kills it brings it back.
    const killed = await Promise.all(struck.map((peerId) => region.kill(peerId)))
    await delay(lastsMs)
    for (const [at, peerId] of struck.entries()) if (killed[at]) await region.begin(peerId)
  } else if (kind === 'pause') {
    for (const peerId of struck) region.pause(peerId)
    await delay(lastsMs)
    for (const peerId of struck) region.resume(peerId)
  } else {
    const said = struck.flatMap((from) =>
      region.peerIds.filter((to) => to !== from).map((to): CutPair => [from, to]),
    )
    const told = said.map(([from, to]): CutPair => [to, from])
    const mend = region.cut([
      ...(kind === 'deafen' ? [] : said),
      ...(kind === 'silence' ? [] : told),
    ])
    await delay(lastsMs)
    mend()
  }
}

/** Who is meant now; while nobody leads, the first one counts as leader. */
async function targets(
  region: RegionProcesses,
  group: number,
  target: FaultTarget,
): Promise<readonly string[]> {
  const view = await region.view()
  const memberId = view?.groups.find((each) => each.group === group)?.leader
  const found = view?.members.find((each) => each.memberId === memberId)?.peerId
  const leader = found ?? (region.peerIds[0] as string)
  const followers = region.peerIds.filter((peerId) => peerId !== leader)
  if (target === 'leader') return [leader]
  if (target === 'follower') return followers.slice(0, 1)
  return [leader, ...followers.slice(0, 1)]
}
