/** The ordered list of keys beside a sorted array, with enough keys that pieces split and join. */
import fc from 'fast-check'
import { test } from 'tap'
import { OrderedSlots, type Slot } from '../../src/state/ordered-slots.ts'

function slotOf(order: string): Slot {
  const token = { term: 1, index: 1 }
  const rest = { createRevision: 1, modRevision: 1, token, leaseId: undefined }
  const item = { key: order, value: new Uint8Array(0), ...rest }
  return { order, keyspace: 'k', item, lease: undefined }
}

const nameOf = (number: number): string => number.toString(36).padStart(4, '0')

function listFrom(slots: OrderedSlots, from: string, isAfter: boolean, most: number): string[] {
  const seen: string[] = []
  slots.visit(from, isAfter, ({ order }) => {
    seen.push(order)
    return seen.length < most
  })
  return seen
}

/** In runs, up or down or mixed, as keys come. */
const run = fc.record({
  from: fc.nat(3_000),
  length: fc.nat(400),
  step: fc.constantFrom(1, -1, 7, 1_009),
  isRemoval: fc.boolean(),
})

test('any runs of keys, put and taken out', async () => {
  fc.assert(
    fc.property(fc.array(run, { maxLength: 14, size: 'max' }), fc.nat(3_000), (runs, looked) => {
      const slots = new OrderedSlots()
      const model = new Map<string, Slot>()
      for (const { from, length, step, isRemoval } of runs) {
        for (let i = 0; i < length; i++) {
          const order = nameOf((from + i * step + 1_000_000) % 3_000)
          const slot = model.get(order)
          if (isRemoval && slot !== undefined) {
            slots.remove(slot)
            model.delete(order)
          } else if (!isRemoval && slot === undefined) {
            const made = slotOf(order)
            slots.insert(made)
            model.set(order, made)
          }
        }
      }
      const sorted = [...model.keys()].sort()
      const name = nameOf(looked)
      for (const [from, isAfter] of [
        ['', false],
        [name, false],
        [name, true],
      ] as const) {
        const expected = sorted.filter((order) => (isAfter ? order > from : order >= from))
        if (listFrom(slots, from, isAfter, 10_000).join() !== expected.join())
          throw new Error(`from ${from}`)
        if (listFrom(slots, from, isAfter, 3).join() !== expected.slice(0, 3).join())
          throw new Error(`three from ${from}`)
      }
    }),
    { numRuns: 120 },
  )
})

test('taking out what is not there is a programmer error', async (t) => {
  const slots = new OrderedSlots()
  t.throws(() => slots.remove(slotOf('a')), { name: 'AssertionError' })
  slots.insert(slotOf('a'))
  t.throws(() => slots.remove(slotOf('a')), { name: 'AssertionError' }, 'another of that key')
})
