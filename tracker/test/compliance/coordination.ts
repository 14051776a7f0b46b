/**
 * What every engine of coordination keeps, as named tests: whoever writes an engine runs them against it. They go by the contract in
 * src/coordination.ts and by nothing else.
 */
import type { Test } from 'tap'
import type { Clock } from '../../src/clock.ts'
import type { Coordination } from '../../src/coordination.ts'
import { inputTests } from './inputs.ts'
import { keyTests } from './keys.ts'
import { leaseTests } from './leases.ts'
import { outageTests } from './outages.ts'
import { watchTests } from './watches.ts'

/** An engine that is up, with its time and its breaking points. */
export interface CoordinationBed {
  /** The time that the engine's leases run by. */
  readonly clock: Clock
  /** How long after its time a lease is gone at the latest, milliseconds. */
  readonly leaseSlackMs: number
  /** Another client; the suite stops it. */
  connect(): Coordination
  /** Makes the engine forget all changes that a keyspace has seen. */
  forget(coordination: Coordination, keyspace: string): Promise<void>
  /** Takes the engine away, and gives what brings it back. */
  takeAway(): Promise<() => Promise<void>>
}

/** What one test works with. */
export interface Stage extends CoordinationBed {
  /** A keyspace that no other test has. */
  readonly name: string
  /** Passes when the bed's time has. */
  wait(ms: number): Promise<void>
}

/** One thing that is kept. */
export interface ComplianceTest {
  readonly name: string
  readonly run: (t: Test, stage: Stage) => Promise<void>
}

/** Every test. */
export const complianceTests: readonly ComplianceTest[] = [
  ...keyTests,
  ...inputTests,
  ...leaseTests,
  ...watchTests,
  ...outageTests,
]

/** Runs every test against an engine, one after another. */
export async function runCompliance(t: Test, bed: CoordinationBed): Promise<void> {
  let number = 0
  for (const { name, run } of complianceTests) {
    number += 1
    const keyspace = `test ${number}`
    await t.test(name, async (sub) => {
      const clients: Coordination[] = []
      const stage: Stage = {
        clock: bed.clock,
        leaseSlackMs: bed.leaseSlackMs,
        name: keyspace,
        connect: () => {
          const client = bed.connect()
          clients.push(client)
          return client
        },
        forget: (coordination, name) => bed.forget(coordination, name),
        takeAway: () => bed.takeAway(),
        wait: (ms) => new Promise((resolve) => bed.clock.after(ms, () => resolve())),
      }
      try {
        await run(sub, stage)
      } finally {
        await Promise.all(clients.map((client) => client.stop()))
      }
    })
  }
}
