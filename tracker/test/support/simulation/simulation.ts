/**
 * A deterministic simulation of a group: real drivers, logs, states and leases on machines whose clocks, disks and lines are simulated and
 * fail as a seed says. The same seed gives the same run. Promises are checked at every step (see chronicle.ts, wire-watcher.ts, locks.ts,
 * watcher.ts); in the end all heals, and the group has to be whole again and serve.
 */
// First, for modules of the driver keep some limits that they find when they are loaded.
import './small-limits.ts'

import { checkLinearizable, explain } from '../linearizability/checker.ts'
import { HistoryRecorder } from '../linearizability/history.ts'
import { type MapInput, type MapOutput, mapModel } from '../linearizability/models.ts'
import { Doubter } from './doubter.ts'
import { Ending } from './ending.ts'
import { FaultMaker } from './fault-maker.ts'
import { LockClient } from './lock-client.ts'
import { LockRecord } from './locks.ts'
import { MapClient, type MapHistory } from './map-client.ts'
import { Membership } from './membership.ts'
import { groupId, type Life } from './simulated-member.ts'
import { setSnapshotLimits } from './small-limits.ts'
import { promise } from './violation.ts'
import { Watcher } from './watcher.ts'
import { World } from './world.ts'

/** A tick of the shortest election timeout. */
export const tickMs = 10
const CLIENTS = 3
const OWNERS = 2
const WATCHERS = 2
/** Steps of the checker; a run's history takes some thousands. */
const CHECK_STEPS_MAX = 2_000_000

/** What a run came to. */
export interface SimulationReport {
  readonly faults: number
  readonly elections: number
  readonly commands: number
  readonly acknowledged: number
  readonly reads: number
  /** Changes of membership. */
  readonly changes: number
  /** Locks that were taken. */
  readonly acquired: number
  /** Batches that watchers were told. */
  readonly watched: number
  /** Times that two members thought that they led, and the newer one took a write. */
  readonly doubts: number
  readonly damageNoticed: number
  readonly snapshotsTaken: number
  readonly snapshotsReceived: number
  readonly frames: number
  /** A number that two runs have in common only when each frame was of the same length and left at the same time. */
  readonly trace: number
}

/** One run of so many ticks, and what comes after. @throws Violation, or whatever broke */
export async function simulate(seed: number, ticks: number): Promise<SimulationReport> {
  const world = new World(seed)
  const { plan } = world
  setSnapshotLimits(plan.snapshotEntries, plan.tailEntries)
  const snapshots = { taken: 0, received: 0 }
  const noteEnd = ({ driver: { counters } }: Life) => {
    snapshots.taken += counters.snapshotsTaken
    snapshots.received += counters.snapshotsReceived
    promise(counters.groupsFailed === 0, () => `a group stopped: ${world.logged.join('\n')}`)
  }
  world.onEnded((_, life) => world.attempt(() => noteEnd(life)))
  await found(world)
  const history: MapHistory = new HistoryRecorder({ now: () => world.clock.nowMs })
  const faults = new FaultMaker(world)
  begin(world, history, faults)
  await world.pass(ticks * tickMs)
  await new Ending(world, history, faults).run()
  for (const { life } of world.members) if (life !== undefined) noteEnd(life)
  checkHistory(history)
  return {
    ...world.counts,
    commands: world.chronicle.length,
    elections: world.wire.elections,
    snapshotsTaken: snapshots.taken,
    snapshotsReceived: snapshots.received,
    frames: world.network.counters.sent,
    trace: world.trace,
  }
}

async function found(world: World): Promise<void> {
  const members = Array.from({ length: world.plan.members }, () => world.addMember())
  const voters = members.map(({ address }) => address)
  for (const member of members) {
    await world.clock.result(member.start())
    const life = member.life as Life
    await world.clock.result(life.driver.createGroup(groupId, { voters }, life.state))
  }
}

/** All clients and all trouble begin. */
function begin(world: World, history: MapHistory, faults: FaultMaker): void {
  const { chronicle, clock } = world
  const lock = new LockRecord()
  chronicle.onExpired = (leaseId) => world.attempt(() => lock.expired(clock.nowMs, leaseId))
  const some = <Part>(count: number, make: (at: number) => Part) =>
    Array.from({ length: count }, (_, at) => make(at))
  for (const part of [
    ...some(CLIENTS, (at) => new MapClient(world, history, at)),
    ...some(OWNERS, (at) => new LockClient(world, lock, at)),
    ...some(WATCHERS, (at) => new Watcher(world, at)),
    new Doubter(world, history),
    new Membership(world),
    faults,
  ]) {
    world.begin(part.run())
  }
}

function checkHistory(history: MapHistory): void {
  const operations = history.operations()
  const verdict = checkLinearizable<string | null, MapInput, MapOutput>(mapModel, operations, {
    stepsMax: CHECK_STEPS_MAX,
  })
  promise(verdict.result !== 'illegal', () => `linearizability: ${explain(mapModel, verdict)}`)
}
