/** Ranges against a slow model, a cell for each byte; rates. */
import fc from 'fast-check'
import { test } from 'tap'
import { bytesOf, Ranges, without } from '../../src/scheduler/ranges.ts'
import { Rate } from '../../src/scheduler/rate.ts'

const size = 60
const range = fc.tuple(fc.nat(size), fc.nat(size)).map(([one, other]) => ({
  from: Math.min(one, other),
  to: Math.max(one, other),
}))

function cellsOf(list: readonly { readonly from: number; readonly to: number }[]): boolean[] {
  return Array.from({ length: size }, (_, at) => list.some(({ from, to }) => from <= at && at < to))
}

test('what is added is there, once', async () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), range, (added, part) => {
      const ranges = new Ranges()
      let total = 0
      for (const { from, to } of added) total += ranges.add(from, to)
      const cells = cellsOf(added)
      const missing = ranges.missing(size)
      const held = cells.filter(Boolean).length
      const within = cells.slice(part.from, part.to).filter(Boolean).length
      const runs = cells.filter((isThere, at) => isThere && !cells[at - 1]).length
      const gaps = cellsOf(missing).every((isMissing, at) => isMissing !== cells[at])
      const isTight = missing.every(({ from }, at) => from > (missing[at - 1]?.to ?? -1))
      const isRight = ranges.total === held && total === held && ranges.pieces === runs
      return isRight && gaps && isTight && ranges.within(part.from, part.to) === within
    }),
  )
})

test('without takes away', async () => {
  fc.assert(
    fc.property(
      fc.array(range, { maxLength: 6 }),
      fc.array(range, { maxLength: 6 }),
      (has, taken) => {
        const held = new Ranges()
        for (const { from, to } of has) held.add(from, to)
        const left = without(held.missing(size), taken)
        const gone = cellsOf(taken)
        const expected = cellsOf(held.missing(size)).map((isMissing, at) => isMissing && !gone[at])
        const count = expected.filter(Boolean).length
        return cellsOf(left).every((is, at) => is === expected[at]) && bytesOf(left) === count
      },
    ),
  )
})

test('an end that is not known is Infinity', async (t) => {
  const ranges = new Ranges()
  ranges.add(0, 10)
  t.same(ranges.missing(Number.POSITIVE_INFINITY), [{ from: 10, to: Number.POSITIVE_INFINITY }])
  ranges.clear()
  t.equal(ranges.total, 0)
})

test('a rate is an assumption first, then what was measured; the last seconds count', async (t) => {
  const rate = new Rate(8_000_000)
  t.equal(rate.bps, 8_000_000)
  t.equal(rate.isMeasured, false)
  for (let at = 0; at < 100; at++) rate.add(12_500, 100)
  t.ok(rate.isMeasured)
  t.ok(Math.abs(rate.bps - 1_000_000) < 20_000, `${rate.bps}`)
  for (let at = 0; at < 40; at++) rate.add(125_000, 100)
  t.ok(rate.bps > 7_000_000, `${rate.bps}`)
  rate.add(0, 2_000)
  t.ok(rate.bps < 5_000_000, 'time in which nothing came')
})
