/** The region's client keeps what every engine keeps, over three members in memory. */
import { test } from 'tap'
import type { RegionCoordination } from '../../src/client/region-coordination.ts'
import { groupOf } from '../../src/region/shard-of.ts'
import { encodeCommand } from '../../src/state/encode-command.ts'
import { runCompliance } from '../compliance/coordination.ts'
import { GroupsStage } from '../support/groups-stage.ts'

/** Has the group of a keyspace forget all changes. */
async function forget(stage: GroupsStage, keyspace: string): Promise<void> {
  const group = groupOf(keyspace)
  const { driver, groups } = stage.leader(keyspace)
  await groups.barrier(group)
  const revision = groups.store(group)?.revision ?? 0
  await driver.propose(group, encodeCommand({ type: 'compact', revision }))
}

for (const place of ['beside the members', 'at a member'] as const) {
  test(`a client ${place} keeps what every engine keeps`, async (t) => {
    const stage = new GroupsStage()
    await stage.found(3)
    stage.run()
    let next = 0
    await runCompliance(t, {
      clock: stage.clock.view(),
      // A tenth of the longest lease of the suite, for clocks that differ, and a round through the log.
      leaseSlackMs: 1_000,
      connect: (): RegionCoordination => {
        if (place === 'beside the members') return stage.connect().coordination
        next += 1
        const member = stage.members[next % stage.members.length]
        if (member === undefined) throw new Error('there are members')
        return stage.connectAt(member)
      },
      forget: (_, keyspace) => forget(stage, keyspace),
      takeAway: async () => {
        for (const { peerId } of stage.members) stage.network.isolate(peerId)
        return async () => stage.network.heal()
      },
    })
    await stage.stop()
  })
}
