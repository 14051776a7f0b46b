/** Popularity: the bounds of Space-Saving against exact counts, decay, and that a flood of single requests changes nothing. */
import fc from 'fast-check'
import { test } from 'tap'
import { Popularity } from '../../../src/content/replication/popularity.ts'
import { seededRandom, zipfTrace } from '../../support/cache-traces.ts'

test('counts are never too low, too high by the error at most, and no frequent key is missed', async (t) => {
  const request = fc.record({
    key: fc.integer({ min: 0, max: 20 }).map((number) => `key ${number}`),
    weight: fc.integer({ min: 1, max: 5 }),
  })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.array(request, { maxLength: 300 }),
      (keysMax, requests) => {
        const popularity = new Popularity({ keysMax })
        const exact = new Map<string, number>()
        let total = 0
        for (const { key, weight } of requests) {
          popularity.add(key, weight)
          exact.set(key, (exact.get(key) ?? 0) + weight)
          total += weight
        }
        t.ok(popularity.size <= keysMax)
        for (const [key, truth] of exact) {
          const known = popularity.of(key)
          if (truth > total / keysMax) t.ok(known, 'a frequent key is counted')
          if (known === undefined) continue
          t.ok(known.count >= truth && known.count - known.error <= truth)
        }
        const top = popularity.top(keysMax)
        t.equal(top.length, popularity.size)
        for (const [index, { count }] of top.entries()) {
          t.ok(index === 0 || (top[index - 1]?.count ?? 0) >= count, 'in order')
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('the most popular of a Zipf trace are found, in their order', async (t) => {
  const popularity = new Popularity({ keysMax: 200 })
  const options = { objects: 20_000, count: 50_000, alpha: 1.1 }
  for (const key of zipfTrace(seededRandom(5), options)) popularity.add(key)
  const found = popularity.top(5).map(({ key }) => key)
  t.strictSame(found, ['object 0', 'object 1', 'object 2', 'object 3', 'object 4'])
})

test('a flood of keys that come once makes none of them popular', async (t) => {
  const popularity = new Popularity({ keysMax: 50 })
  for (let count = 0; count < 1_000; count += 1) popularity.add('popular')
  for (let count = 0; count < 5_000; count += 1) popularity.add(`once ${count}`)
  t.strictSame(
    popularity.top(10, 20).map(({ key }) => key),
    ['popular'],
  )
})

test('what was popular is so no more after some time', async (t) => {
  const popularity = new Popularity({ keysMax: 10 })
  popularity.add('old', 8)
  popularity.add('rare', 1)
  popularity.decay(0.5, 0.6)
  t.strictSame(popularity.of('old'), { key: 'old', count: 4, error: 0 })
  t.equal(popularity.of('rare'), undefined)
  popularity.add('new', 5)
  t.strictSame(
    popularity.top(2).map(({ key }) => key),
    ['new', 'old'],
  )
  popularity.decay(0, 1)
  t.equal(popularity.size, 0)
})

test('counting goes on rightly after a decay', async (t) => {
  const popularity = new Popularity({ keysMax: 3 })
  for (const [key, count] of [
    ['a', 5],
    ['b', 3],
    ['c', 4],
  ] as const) {
    popularity.add(key, count)
  }
  popularity.decay(0.5, 0)
  popularity.add('d')
  t.strictSame(popularity.of('d'), { key: 'd', count: 2.5, error: 1.5 })
  t.equal(popularity.of('b'), undefined, 'the least popular made room')
})
