// Encoded entries in one piece of memory: values stay what they were, whoever goes on from them.
import fc from 'fast-check'
import { test } from 'tap'
import { FramedEntries } from '../../../src/content/index/framed-entries.ts'
import { encodeUvarint } from '../../../src/protocol/uvarint.ts'

/** What the bytes are to be, the plain way. */
function plain(entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat(entries.flatMap((entry) => [encodeUvarint(entry.byteLength), entry]))
}

test('every value keeps its entries through any order of changes', async (t) => {
  const entry = fc.uint8Array({ minLength: 0, maxLength: 300 })
  const change = fc.record({ base: fc.nat(), entry, drop: fc.nat(3) })
  const property = fc.property(
    fc.array(entry, { maxLength: 4 }),
    fc.array(change, { maxLength: 40 }),
    (first, changes) => {
      const values = [{ framed: FramedEntries.of(first), entries: first }]
      for (const { base, entry: added, drop } of changes) {
        const from = values[base % values.length] as (typeof values)[number]
        const gone = Math.min(drop, from.entries.length)
        values.push({
          framed: from.framed.append(added).without(gone),
          entries: [...from.entries, added].slice(gone),
        })
      }
      return values.every(
        ({ framed, entries }) =>
          plain(entries).equals(framed.bytes) &&
          framed.entries.length === entries.length &&
          framed.entries.every(
            (bytes, index) => Buffer.compare(bytes, entries[index] as Uint8Array) === 0,
          ),
      )
    },
  )
  t.equal(fc.check(property).failed, false)
})

test('an empty run has no last entry', async (t) => {
  const empty = FramedEntries.of([])
  t.equal(empty.last, undefined)
  t.equal(empty.bytes.byteLength, 0)
  const one = empty.append(Uint8Array.of(1, 2))
  t.strictSame([...(one.last ?? [])], [1, 2])
  t.equal(one.without(1).last, undefined)
  t.equal(empty.bytes.byteLength, 0, 'the value before is untouched')
})
