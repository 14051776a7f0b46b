/**
 * What holds in any world, however neighbours, edge and origin behave. The bound on time is coarse, since one origin serves all parts: each wanted part is there
 * by its deadline or when HTTP alone would have brought everything, twice over for what was refused, plus the patience with an edge and some silent
 * peers. What is exact is in the tests of single rules.
 */
import fc from 'fast-check'
import { test } from 'tap'
import { schedulerLimits } from '../../src/scheduler/limits.ts'
import { RandomWorld, type WorldPlan } from '../support/random-world.ts'

const characters = fc.constantFrom('good', 'good', 'slow', 'silent', 'liar', 'poisoner', 'cutter')

const plans: fc.Arbitrary<WorldPlan> = fc.record({
  seed: fc.nat(),
  httpKbps: fc.constantFrom(500, 2_000, 8_000, 50_000),
  httpFails: fc.constantFrom(0, 0, 0, 0.3),
  edge: fc.constantFrom('closed', 'silent', 'grants', 'names', 'mixed'),
  flapping: fc.boolean(),
  live: fc.boolean(),
  moody: fc.boolean(),
  peers: fc.array(
    fc.record({
      character: characters,
      rttMs: fc.integer({ min: 1, max: 200 }),
      has: fc.constantFrom(0, 0.5, 1),
    }),
    { maxLength: 5 },
  ),
  parts: fc.array(
    fc.record({
      atMs: fc.integer({ min: 0, max: 4_000 }),
      withinMs: fc.constantFrom(0, 200, 1_000, 5_000),
      isUrgent: fc.boolean(),
      kib: fc.constantFrom(1, 40, 100, 600),
      unwantedAfterMs: fc.option(fc.integer({ min: 0, max: 2_000 }), { nil: undefined, freq: 6 }),
    }),
    { minLength: 1, maxLength: 8 },
  ),
})

const runs = 400

/** By when the last part has to be there. */
function boundMs(plan: WorldPlan): number {
  const kib = plan.parts.reduce((sum, part) => sum + part.kib, 0)
  const httpMs = (kib * 1_024 * 8) / plan.httpKbps
  const patienceMs = 6 * (400 + 4 * 200) + 4 * 250
  return 9_000 + 2 * httpMs + patienceMs
}

test('no byte is asked for twice, nobody who is down is asked, nothing waits for ever', async () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const world = new RandomWorld(plan)
      world.run(boundMs(plan))
      const [fault] = world.faults
      if (fault !== undefined) throw new Error(fault)
      for (const part of world.parts.values()) {
        if (part.isWanted) throw new Error(`${part.key} is still wanted\n${world.log.join('\n')}`)
      }
    }),
    { numRuns: runs },
  )
})

/**
 * One part, and an origin as fast as it is thought to be. Peers that slacken after HTTP should have begun have as long as HTTP would take. A part that is late
 * anyhow may wait for the edge twice, and for one peer's patience; so may the heir of a fetch.
 */
test('a part is there by its deadline, or when HTTP alone would have brought it, and little later', async () => {
  const single = fc.record({
    seed: fc.nat(),
    httpKbps: fc.constant(schedulerLimits.httpBpsFirst / 1_000),
    httpFails: fc.constant(0),
    edge: fc.constantFrom('closed', 'silent', 'grants', 'names', 'mixed'),
    flapping: fc.boolean(),
    live: fc.boolean(),
    moody: fc.constant(false),
    peers: fc.array(
      fc.record({
        character: fc.constantFrom('good', 'slow', 'silent', 'liar', 'cutter'),
        rttMs: fc.constantFrom(1, 20, 100),
        has: fc.constantFrom(0.5, 1),
      }),
      { maxLength: 5 },
    ),
    parts: fc.tuple(
      fc.record({
        atMs: fc.integer({ min: 0, max: 1_000 }),
        withinMs: fc.constantFrom(0, 100, 300, 1_000, 3_000, 10_000),
        isUrgent: fc.boolean(),
        kib: fc.constantFrom(1, 40, 100, 600, 2_000),
        unwantedAfterMs: fc.constant(undefined),
      }),
    ),
  }) as fc.Arbitrary<WorldPlan>
  fc.assert(
    fc.property(single, (plan) => {
      const world = new RandomWorld(plan)
      world.run(60_000)
      const [part] = world.parts.values()
      if (part?.doneMs === undefined) throw new Error('never')
      const httpMs = (part.kib * 1_024 * 8) / plan.httpKbps + 80
      const patienceMs =
        2 * schedulerLimits.edgeWaitMs +
        2 * (400 + 4 * Math.max(...plan.peers.map(({ rttMs }) => rttMs), 0))
      const alone = Math.max(part.deadlineMs, part.wantedMs + httpMs)
      const bound = alone + httpMs + schedulerLimits.marginMs + patienceMs
      if (part.doneMs > bound) {
        throw new Error(`${part.doneMs}, not by ${bound}\n${world.log.join('\n')}`)
      }
    }),
    { numRuns: runs },
  )
})

test('the same world brings the same actions', async () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const [one, other] = [new RandomWorld(plan), new RandomWorld(plan)]
      one.run(10_000)
      other.run(10_000)
      return one.log.join('\n') === other.log.join('\n')
    }),
    { numRuns: 30 },
  )
})
