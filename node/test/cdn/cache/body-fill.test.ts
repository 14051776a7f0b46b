/** A body that is read while it comes: whatever the chunks, slices and readers, each reader gets exactly its bytes. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'tap'
import { BodyFill, type BodyFillInit } from '../../../src/cdn/cache/body-fill.ts'
import { KairoError } from '../../../src/errors.ts'

const never = new AbortController().signal

function fill(init: Partial<BodyFillInit> = {}) {
  const sealed: Buffer[] = []
  const aborted: KairoError[] = []
  const body = new BodyFill({
    sliceBytes: 10,
    length: undefined,
    seal: (index, bytes) => {
      sealed[index] = bytes
    },
    load: async (index) => sealed[index] as Buffer,
    goOn: () => true,
    abort: (reason) => aborted.push(reason),
    ...init,
  })
  return { body, sealed, aborted }
}

async function* chunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let turn = 0; at < bytes.byteLength; turn += 1) {
    const size = Math.max(1, sizes[turn % Math.max(1, sizes.length)] ?? 1)
    yield bytes.subarray(at, at + size)
    at += size
    if (turn % 3 === 0) await null
  }
}

async function read(body: BodyFill, first: number, last: number | undefined): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of body.read(first, last, never)) {
    pieces.push(piece)
    if (pieces.length % 2 === 0) await null
  }
  return Buffer.concat(pieces)
}

test('property: readers get their bytes, slices make the whole', async (t) => {
  const range = fc.tuple(fc.nat(80), fc.nat(80))
  await fc.assert(
    fc.asyncProperty(
      fc.nat(80),
      fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 5 }),
      fc.array(range, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (length, sizes, ranges, isKnown) => {
        const bytes = randomBytes(length)
        const { body, sealed } = fill(isKnown ? { length } : {})
        const reads = ranges.map(([a, b]) => read(body, Math.min(a, b), Math.max(a, b)))
        const whole = read(body, 0, undefined)
        await body.run(chunks(bytes, sizes))
        for (const [index, [a, b]] of ranges.entries()) {
          const expected = bytes.subarray(Math.min(a, b), Math.max(a, b) + 1)
          if (!(await reads[index])?.equals(expected)) throw new Error('other bytes')
        }
        const late = await read(body, 0, undefined)
        if (!(await whole).equals(bytes) || !late.equals(bytes)) throw new Error('not the whole')
        if (!Buffer.concat(sealed).equals(bytes) || body.length !== length)
          throw new Error('slices')
        return sealed.slice(0, -1).every((slice) => slice.byteLength === 10)
      },
    ),
    { numRuns: 300 },
  )
  t.pass()
})

test('a body that breaks off, is too short or too long fails all who read it', async (t) => {
  const breaking = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('abc')
    throw new KairoError('ERR_NO_PROVIDER', 'gone')
  }
  const broken = fill()
  const reading = read(broken.body, 0, undefined)
  reading.catch(() => {})
  await t.rejects(broken.body.run(breaking()), { code: 'ERR_NO_PROVIDER' })
  await t.rejects(reading, { code: 'ERR_NO_PROVIDER' })
  t.equal(broken.body.state, 'failed')
  for (const length of [2, 4]) {
    const other = fill({ length })
    await t.rejects(other.body.run(chunks(Buffer.from('abc'), [3])), { code: 'ERR_PROTOCOL' })
  }
})

test('a reader that gives up leaves the others undisturbed; the last one ends the fetching', async (t) => {
  const { body, aborted } = fill({ goOn: () => false })
  const controller = new AbortController()
  const leaving = body.read(0, undefined, controller.signal)
  const staying = body.read(0, undefined, never)
  const [one, two] = [leaving.next(), staying.next()]
  t.equal(body.readers, 2)
  controller.abort(new KairoError('ERR_STOPPED', 'left'))
  await t.rejects(one, { code: 'ERR_STOPPED' })
  t.same(aborted, [])
  const running = body.run(chunks(Buffer.from('abcdef'), [2]))
  t.equal(String((await two).value), 'ab')
  await staying.return(undefined)
  t.equal(aborted.length, 1)
  await running
})

test('a body is not fetched further ahead of its fastest reader than the limit', async (t) => {
  const piece = Buffer.alloc(1024 * 1024)
  let produced = 0
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    for (; produced < 64; produced += 1) yield piece
  }
  const { body } = fill({ sliceBytes: piece.byteLength, load: async () => piece })
  const reader = body.read(0, undefined, never)
  const first = reader.next()
  const running = body.run(endless())
  await first
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  t.ok(produced <= 7, `${produced} MiB`)
  let read = piece.byteLength
  for await (const bytes of reader) read += bytes.byteLength
  await running
  t.equal(read, 64 * piece.byteLength)
})

test('nobody reads: what is not worth going on with ends', async (t) => {
  const { body, aborted } = fill({ goOn: () => false })
  body.release()
  t.equal(aborted.length, 1)
  const worth = fill()
  worth.body.release()
  await worth.body.run(chunks(Buffer.from('abc'), [1]))
  t.equal(Buffer.concat(worth.body.whole ?? []).toString(), 'abc')
  t.same(worth.aborted, [])
})
