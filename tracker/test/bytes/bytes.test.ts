/** Writing and strict reading: whatever is written is read again, and whatever is not exactly so is refused. */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { test } from 'tap'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'

const malformed = { name: 'TrackerError', code: 'ERR_MALFORMED' }
/** Well-formed text of all planes, a byte order mark among it. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.stringMatching(/^[ -~]{0,60}$/),
  fc.constant('\ufeffmark'),
)
const small = fc.nat(300)
const whole = fc.oneof(
  fc.maxSafeNat(),
  small,
  fc.constantFrom(127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1),
)
const someBytes = fc.uint8Array({ maxLength: 80 })

type Step = readonly [
  write: (to: ByteWriter) => unknown,
  read: (from: ByteReader) => unknown,
  value: unknown,
]

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.nat(0xff).map((n): Step => [(to) => to.u8(n), (from) => from.u8(), n]),
  fc.nat(0xffff).map((n): Step => [(to) => to.u16(n), (from) => from.u16(), n]),
  fc.nat(0xffff_ffff).map((n): Step => [(to) => to.u32(n), (from) => from.u32(), n]),
  whole.map((n): Step => [(to) => to.integer(n), (from) => from.integer(), n]),
  whole.map((n): Step => [(to) => to.varint(n), (from) => from.varint(), n]),
  fc.boolean().map((b): Step => [(to) => to.flag(b), (from) => from.flag(), b]),
  text.map((s): Step => [(to) => to.text(s), (from) => from.text(240), s]),
  text.map((s): Step => [(to) => to.text16(s), (from) => from.text16(240), s]),
  text.map((s): Step => [(to) => to.text32(s, 240), (from) => from.text32(240), s]),
  someBytes.map((b): Step => [(to) => to.bytes32(b), (from) => from.bytes32(80), b]),
  someBytes.map((b): Step => [(to) => to.bytes32(b), (from) => from.view32(80), b]),
  someBytes.map((b): Step => [(to) => to.raw(b), (from) => from.raw(b.length), b]),
  fc
    .uint32Array({ maxLength: 9 })
    .map((n): Step => [(to) => to.u32s(n, n.length), (from) => from.u32s(n.length), n]),
  fc
    .array(small, { maxLength: 9 })
    .map(
      (all): Step => [
        (to) => to.list32(all, 9, (n) => to.varint(n)),
        (from) => from.list32(9, 1, () => from.varint()),
        all,
      ],
    ),
)

test('what is written is read, in pieces of any kind and from a writer of any size', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(64), (steps, bytesFirst) => {
      const writer = new ByteWriter(bytesFirst)
      for (const [write] of steps) write(writer)
      const written = writer.take()
      assert.equal(writer.length, 0)
      for (const bytes of [written, Buffer.concat([Buffer.of(1), written]).subarray(1)]) {
        const reader = new ByteReader(bytes)
        for (const [, read, value] of steps) assert.deepStrictEqual(read(reader), value)
        reader.end()
      }
    }),
    { numRuns: 200 },
  )
})

test('what is cut is refused wherever it is cut', async () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), fc.nat(), (steps, at) => {
      const writer = new ByteWriter()
      for (const [write] of steps) write(writer)
      const bytes = writer.take()
      fc.pre(bytes.length > 0)
      const reader = new ByteReader(bytes.subarray(0, at % bytes.length))
      assert.throws(() => {
        for (const [, read] of steps) read(reader)
      }, malformed)
    }),
    { numRuns: 200 },
  )
})

test('a number that is told in another form than its own is refused', async (t) => {
  const read = (...bytes: number[]) => new ByteReader(Uint8Array.from(bytes))
  t.throws(() => read(0x80, 0).varint(), malformed, 'longer than it needs to be')
  t.throws(() => read(...Array(8).fill(0xff)).varint(), malformed, 'without an end')
  t.throws(() => read(...Array(7).fill(0xff), 0x10).varint(), malformed, 'beyond 2^53 - 1')
  t.throws(() => read(5).varint(4), malformed, 'beyond its limit, short')
  t.throws(() => read(0x80, 1).varint(127), malformed, 'beyond its limit, long')
  t.equal(read(0x80, 1).varint(128), 128)
  t.throws(() => read(0, 0, 0, 0, 0, 0, 0x20, 0).integer(), malformed, 'beyond 2^53 - 1')
  t.throws(() => read(2).flag(), malformed)
  t.throws(() => read(2).word(['a', 'b']), malformed)
  t.throws(() => read(1).end(), malformed)
})

test('lengths and counts ask for nothing that is not there', async (t) => {
  const read = (length: number) => new ByteReader(new ByteWriter().u32(length).take())
  t.throws(() => read(2 ** 32 - 1).bytes32(2 ** 32), malformed)
  t.throws(() => read(2 ** 32 - 1).text32(2 ** 32), malformed)
  t.throws(() => read(2 ** 32 - 1).list32(2 ** 32, 1, () => t.fail('nothing to read')), malformed)
  t.throws(() => new ByteReader(Uint8Array.of(1, 2)).u32s(2 ** 28), malformed)
  const three = (): ByteReader =>
    new ByteReader(
      new ByteWriter()
        .u32(3)
        .raw(Uint8Array.of(1, 2, 3))
        .take(),
    )
  t.throws(() => three().bytes32(2), malformed, 'more bytes than there may be')
  t.throws(() => three().list32(2, 1, () => 0), malformed, 'more items than there may be')
  t.throws(
    () => new ByteReader(Uint8Array.of(1, 65)).text(9, 2),
    malformed,
    'a text that is too short',
  )
  t.throws(() => new ByteReader(Uint8Array.of(2, 65, 65)).text(1), malformed, 'and one too long')
})

test('text that is not UTF-8 is refused, short and long', async (t) => {
  for (const length of [3, 60]) {
    const bytes = new Uint8Array(length).fill(65)
    bytes[length - 1] = 0xc3
    const reader = new ByteReader(new ByteWriter().bytes32(bytes).take(), 'ERR_INVALID_INPUT')
    t.throws(() => reader.text32(100), { code: 'ERR_INVALID_INPUT', cause: Error })
  }
})

test('a copy is a copy, a view is a view, and what is lent goes with the next word', async (t) => {
  const writer = new ByteWriter()
  const bytes = writer.bytes32(Uint8Array.of(1, 2)).take()
  const copy = new ByteReader(bytes).bytes32(2)
  const view = new ByteReader(bytes).view32(2)
  bytes.fill(9)
  t.same([...copy, ...view], [1, 2, 9, 9])
  const lent = writer.u8(1).lend(1_000)
  writer.u8(2)
  t.same([...lent], [2])
  writer.raw(new Uint8Array(2_000)).take(1_000)
  t.ok(writer.bytes.length < 1_000, 'what grew is given back')
})

test('a program that writes more than its protocol may carry is stopped', async (t) => {
  const writer = new ByteWriter()
  t.throws(() => writer.text32('abc', 2), { code: 'ERR_ASSERTION' })
  t.throws(() => writer.bytes32(new Uint8Array(3), 2), { code: 'ERR_ASSERTION' })
  t.throws(() => writer.list32([1, 2], 1, () => {}), { code: 'ERR_ASSERTION' })
  t.throws(() => writer.text16('a'.repeat(2 ** 16)), { code: 'ERR_ASSERTION' })
})
