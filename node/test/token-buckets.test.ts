/** Buckets of tokens: the rule by which they fill, and how many are remembered. */
import fc from 'fast-check'
import { test } from 'tap'
import { fullBucket, TokenBuckets, takeToken } from '../src/token-buckets.ts'
import { ManualClock } from './support/manual-clock.ts'

const rate = { burst: 4, perSecond: 2 }

function setUp(
  init: { readonly bucketsMax?: number; readonly whenFull?: 'forget' | 'refuse' } = {},
) {
  const clock = new ManualClock()
  const buckets = new TokenBuckets({ clock }, { ...rate, bucketsMax: 100, ...init })
  const taken = (name: string, tries = 100): number =>
    Array.from({ length: tries }, () => buckets.take(name)).filter(Boolean).length
  return { clock, buckets, taken }
}

test('a burst, then the rate, and never more than a burst', async (t) => {
  const { clock, taken } = setUp()
  t.equal(taken('a'), 4)
  clock.advance(499)
  t.equal(taken('a'), 0)
  clock.advance(1)
  t.equal(taken('a'), 1, 'fractions count')
  clock.advance(1_500)
  t.equal(taken('a'), 3)
  clock.advance(1_000_000)
  t.equal(taken('a'), 4)
  t.equal(taken('b'), 4, 'others are not to blame')
})

test('refusals in a row are counted', async (t) => {
  const { clock, buckets, taken } = setUp()
  t.equal(buckets.refusalsOf('a'), 0)
  taken('a', 4)
  t.equal(buckets.refusalsOf('a'), 0)
  taken('a', 3)
  t.equal(buckets.refusalsOf('a'), 3)
  clock.advance(500)
  t.ok(buckets.take('a'))
  t.equal(buckets.refusalsOf('a'), 0)
})

test('the name unused for longest is forgotten', async (t) => {
  const { taken } = setUp({ bucketsMax: 2 })
  taken('a')
  taken('b')
  t.equal(taken('a', 1), 0, 'it asks all the time')
  t.equal(taken('c'), 4)
  t.equal(taken('a', 1), 0, 'still known')
  t.equal(taken('b'), 4, 'forgotten for c')
})

test('or new names are refused, until one known is full again', async (t) => {
  const { clock, buckets, taken } = setUp({ bucketsMax: 2, whenFull: 'refuse' })
  taken('a')
  taken('b')
  t.equal(taken('c'), 0)
  clock.advance(1_999)
  t.equal(taken('c'), 0)
  clock.advance(1)
  t.equal(taken('c'), 4)
  t.equal(buckets.refusalsOf('nobody'), 0)
})

test('in the long run never more than the rate, in any steps', async (t) => {
  const step = fc.record({ afterMs: fc.nat(3_000), tries: fc.nat(10) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let nowMs = 0
      let taken = 0
      const bucket = fullBucket(rate, nowMs)
      for (const { afterMs, tries } of steps) {
        nowMs += afterMs
        for (let count = 0; count < tries; count += 1)
          if (takeToken(bucket, rate, nowMs)) taken += 1
        // From any moment on: what the bucket holds is never more than a burst.
        if (bucket.tokens > rate.burst || bucket.tokens < 0) return false
      }
      return taken <= rate.burst + (rate.perSecond * nowMs) / 1_000
    }),
  )
  const free = { burst: Number.POSITIVE_INFINITY, perSecond: Number.POSITIVE_INFINITY }
  const bucket = fullBucket(free, 0)
  t.ok(
    [0, 0, 1, 5].every((nowMs) => takeToken(bucket, free, nowMs)),
    'no bound at all',
  )
})
