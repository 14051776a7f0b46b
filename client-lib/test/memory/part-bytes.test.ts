/** The bytes of one part, against a model that keeps each byte by itself. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { memoryLimits } from '../../src/memory/limits.ts'
import { PartBytes } from '../../src/memory/part-bytes.ts'
import { protocolLimits } from '../../src/protocol/limits.ts'
import { ProtocolError } from '../../src/protocol/protocol-error.ts'

const numRuns = 40 * Number(process.env.KAIRO_FUZZ_RUNS ?? 1)

/** As {@link PartBytes}, a byte at a time. */
class SlowBytes {
  /** -1: not there. */
  readonly bytes = new Int16Array(150_000).fill(-1)
  held = 0
  end = 0

  /** Returns how many were new. */
  add(offset: number, bytes: Uint8Array): number {
    const before = this.held
    for (let at = 0; at < bytes.length; at += 1) {
      if (this.bytes[offset + at] !== -1) continue
      this.bytes[offset + at] = bytes[at] as number
      this.held += 1
    }
    this.end = Math.max(this.end, offset + bytes.length)
    return this.held - before
  }

  available(from: number): number {
    const hole = this.bytes.indexOf(-1, from)
    return hole - from
  }

  missing(length: number): { from: number; to: number }[] {
    const holes: { from: number; to: number }[] = []
    for (let at = this.bytes.indexOf(-1); at < this.end; at = this.bytes.indexOf(-1, at)) {
      let to = at
      while (to < this.end && this.bytes[to] === -1) to += 1
      holes.push({ from: at, to })
      at = to
    }
    if (length > this.end) holes.push({ from: this.end, to: length })
    return holes
  }
}

/** Bytes that tell where they are from; `spare` of their buffer lie around them. */
function some(seed: number, length: number, spare: number): Uint8Array {
  return new Uint8Array(length + spare).map((_, at) => seed * 31 + at * 7).subarray(spare)
}

function put(part: PartBytes, offset: number, bytes: Uint8Array): { from: number; to: number }[] {
  const news = part.news(offset, bytes.length)
  for (const range of news) part.add(range, bytes, offset)
  return news
}

const writes = fc.array(
  fc.record({
    offset: fc.integer({ min: 0, max: 70_000 }),
    length: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 20_000 })),
    spare: fc.constantFrom(0, 8, 50_000),
    seed: fc.nat(255),
    from: fc.integer({ min: 0, max: 90_000 }),
    count: fc.integer({ min: 1, max: 40_000 }),
  }),
  { minLength: 1, maxLength: 25 },
)

test('any writes leave what the model has', async () => {
  const property = fc.property(writes, (list) => {
    const [part, model] = [new PartBytes(), new SlowBytes()]
    for (const { offset, length, spare, seed, from, count } of list) {
      const bytes = some(seed, length, spare)
      const news = put(part, offset, bytes)
      const fresh = news.reduce((sum, range) => sum + range.to - range.from, 0)
      assert.equal(fresh, model.add(offset, bytes))
      assert.equal(part.held, model.held)
      assert.equal(part.available(from), model.available(from))
      const read = part.read(from, count)
      assert.equal(read.length, Math.min(model.available(from), count))
      assert.deepEqual(new Int16Array(read), model.bytes.slice(from, from + read.length))
    }
    assert.deepEqual(part.missing(), model.missing(Number.POSITIVE_INFINITY))
    finish(part, model)
  })
  fc.assert(property, { numRuns })
})

/** Fills the holes, and looks at the whole. */
function finish(part: PartBytes, model: SlowBytes): void {
  assert.equal(part.setLength(model.end + 5), true)
  assert.deepEqual(part.missing(), model.missing(model.end + 5))
  for (const { from, to } of part.missing()) {
    const bytes = some(3, to - from, 0)
    put(part, from, bytes)
    model.add(from, bytes)
  }
  assert.ok(part.isComplete)
  const joined = part.join()
  assert.equal(joined.buffer.byteLength, joined.length)
  assert.deepEqual(new Int16Array(joined), model.bytes.slice(0, joined.length))
  assert.equal(part.join(), joined, 'the same one each time')
  assert.equal(part.read(1, 2).buffer, joined.buffer, 'nothing else is kept')
}

test('a chunk is kept as it came, and read as a view', async (t) => {
  const part = new PartBytes()
  const chunks = [0, 1, 2, 3].map((seed) => some(seed, 16_384, 8))
  for (const at of [2, 0, 3, 1]) put(part, at * 16_384, chunks[at] as Uint8Array)
  t.equal(part.read(2 * 16_384, 16_384).buffer, chunks[2]?.buffer)
  t.equal(
    part.read(2 * 16_384 + 100, 99_999).length,
    2 * 16_384 - 100,
    'over two pieces, as a copy',
  )
})

test('a part that came in one chunk is joined without its header', async (t) => {
  const part = new PartBytes()
  put(part, 0, some(1, 100, 8))
  part.setLength(100)
  t.equal(part.join().buffer.byteLength, 100)
  const whole = some(1, 100, 0)
  const other = new PartBytes()
  put(other, 0, whole)
  other.setLength(100)
  t.equal(other.join().buffer, whole.buffer, 'and not copied where there is none')
})

test('a few bytes of a large buffer do not keep it', async (t) => {
  const part = new PartBytes()
  put(part, 0, new Uint8Array(1_000_000).subarray(0, 20_000))
  t.equal(part.read(0, 1).buffer.byteLength, 20_000)
})

test('thousands of small pieces become few', async (t) => {
  const part = new PartBytes()
  for (let at = 19_999; at >= 0; at -= 1) put(part, at, Uint8Array.of(at))
  t.equal(part.read(10_000, 1).buffer.byteLength, memoryLimits.pieceBytesMin)
  t.strictSame([...part.read(19_998, 9)], [19_998 % 256, 19_999 % 256])
})

test('a part has one length, and nothing behind it', async (t) => {
  const part = new PartBytes()
  put(part, 10, some(1, 10, 0))
  for (const length of [19, -1, 20.5, Number.NaN, protocolLimits.partBytesMax + 1]) {
    t.throws(() => part.setLength(length), ProtocolError)
  }
  t.throws(() => part.news(protocolLimits.partBytesMax - 1, 2), ProtocolError)
  for (const offset of [-1, 0.5, Number.NaN]) t.throws(() => part.news(offset, 1), ProtocolError)
  t.equal(part.setLength(20), true)
  t.equal(part.setLength(20), false)
  t.throws(() => part.setLength(21), ProtocolError)
  t.throws(() => part.news(19, 2), ProtocolError)
  t.throws(() => part.join(), /complete/)
})

test('a part of no bytes is complete', async (t) => {
  const part = new PartBytes()
  t.notOk(part.isComplete)
  part.setLength(0)
  t.ok(part.isComplete)
  t.equal(part.join().length, 0)
  t.strictSame(part.missing(), [])
})

test('holes are bounded', async (t) => {
  const part = new PartBytes()
  for (let at = 0; at < memoryLimits.runsMax; at += 1) put(part, at * 2, Uint8Array.of(1))
  t.throws(() => part.news(memoryLimits.runsMax * 2, 1), ProtocolError)
  t.strictSame(put(part, 1, Uint8Array.of(1)), [{ from: 1, to: 2 }], 'a hole may be filled')
  put(part, memoryLimits.runsMax * 2, Uint8Array.of(1))
  t.strictSame(put(part, 0, new Uint8Array(4_000)).length, memoryLimits.runsMax)
  t.equal(part.available(0), 4_000)
})
