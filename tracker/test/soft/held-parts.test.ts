/** What a peer holds, beside a set of parts. */
import fc from 'fast-check'
import { test } from 'tap'
import { HeldParts } from '../../src/soft/held-parts.ts'
import { softLimits } from '../../src/soft/soft-limits.ts'
import { hasPart, hasSegments } from './support/soft-model.ts'

const PER_SEGMENT = 5
const SEGMENTS = 24

const steps = fc.array(
  fc.record({
    type: fc.constantFrom('part', 'part', 'segments', 'remove'),
    segment: fc.nat(SEGMENTS - 1),
    part: fc.nat(PER_SEGMENT - 1),
    count: fc.integer({ min: 1, max: 6 }),
  }),
)

test('the same as a set of parts and a set of segments', async () => {
  fc.assert(
    fc.property(steps, (history) => {
      const held = new HeldParts(PER_SEGMENT)
      const whole = new Set<number>()
      const parts = new Set<string>()
      for (const { type, segment, part, count } of history) {
        const before = JSON.stringify(held.toHolding(), (_, value) => value)
        let isNews: boolean
        if (type === 'part') {
          isNews = held.addPart(segment, part)
          if (!whole.has(segment)) parts.add(`${segment}.${part}`)
        } else {
          isNews =
            type === 'segments' ? held.addSegments(segment, count) : held.remove(segment, count)
          for (let at = segment; at < segment + count; at++) {
            if (type === 'segments') whole.add(at)
            else whole.delete(at)
            for (let of = 0; of < PER_SEGMENT; of++) parts.delete(`${at}.${of}`)
          }
        }
        if (isNews !== (JSON.stringify(held.toHolding()) !== before)) throw new Error('news')
      }
      const told = held.toHolding()
      for (let segment = 0; segment < SEGMENTS + 6; segment++) {
        if (hasSegments(told.ranges, segment, 1) !== whole.has(segment)) throw new Error('segment')
        for (let part = 0; part < PER_SEGMENT; part++) {
          const has = whole.has(segment) || parts.has(`${segment}.${part}`)
          if (hasPart(told, segment, part) !== has) throw new Error('part')
        }
      }
      told.ranges.reduce((end, { first, count }) => {
        if (first <= end) throw new Error('ranges touch')
        return first + count
      }, -1)
    }),
  )
})

test('what is told is bounded', async (t) => {
  const held = new HeldParts(10)
  for (let segment = 0; segment < 1_000; segment++) held.addPart(segment, 9)
  const { window } = held.toHolding()
  t.ok((window?.bits.length ?? 0) <= softLimits.windowBytesMax)
  t.ok(hasPart(held.toHolding(), 999, 9), 'the newest stay')
  held.addPart(5, 9)
  t.notOk(hasPart(held.toHolding(), 5, 9), 'what is too old is not told')
  t.ok(hasPart(held.toHolding(), 999, 9))
  for (let segment = 2_000; segment < 2_400; segment += 2) held.addSegments(segment)
  t.equal(held.toHolding().ranges.length, softLimits.rangesPerEntryMax)
  held.remove(0, 5_000)
  t.same(held.toHolding(), { viewers: 0, window: undefined, ranges: [] })
  t.throws(() => held.addPart(-1, 0))
  t.throws(() => held.addPart(0, 10))
  t.throws(() => held.addSegments(2 ** 32))
  t.throws(() => new HeldParts(65))
})
