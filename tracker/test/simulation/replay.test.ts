/** A seed gives the same run every time. */
import { test } from 'tap'
import { simulate } from '../support/simulation/simulation.ts'

test('a seed replays exactly', async (t) => {
  for (const seed of [1, 7]) {
    const first = await simulate(seed, 300)
    // Another one in between: nothing of it may be left.
    const other = await simulate(seed + 1, 100)
    t.strictSame(await simulate(seed, 300), first)
    t.not(other.trace, first.trace)
  }
})
