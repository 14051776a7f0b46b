/** Waits that double, are bounded, and differ from one another. */
import { test } from 'tap'
import { backoffMs } from '../src/backoff.ts'

const bounds = { retryMsMin: 500, retryMsMax: 8_000 }

test('waits double up to their bound', async (t) => {
  t.same(
    [0, 1, 2, 4, 5, 5_000].map((failures) => backoffMs(bounds, failures)),
    [500, 1_000, 2_000, 8_000, 8_000, 8_000],
  )
})

test('a share of a wait is random', async (t) => {
  const jittered = { ...bounds, retryJitterShare: 0.3 }
  t.equal(
    backoffMs(jittered, 1, () => 0),
    1_000,
  )
  t.equal(
    backoffMs(jittered, 1, () => 0.5),
    850,
  )
  t.equal(
    backoffMs(bounds, 1, () => 0.5),
    1_000,
    'none unless asked for',
  )
})
