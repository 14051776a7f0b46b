/** The catalog's file: what goes in comes out, what is torn is not believed, and a failed write is made good. */
import { appendFile, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { Catalog } from '../../../src/content/store/catalog.ts'
import {
  BATCH_HEAD_BYTES,
  CATALOG_MAGIC,
  CatalogEncoder,
  type CatalogedObject,
  CatalogImage,
  type CatalogObject,
  isWhole,
  readBatchHead,
} from '../../../src/content/store/catalog-codec.ts'
import { storeLimits } from '../../../src/limits/store.ts'
import { contentLimits } from '../../../src/limits.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { until } from '../../support/until.ts'

const digest = (seed: number): string => digestOf(Buffer.from(`object ${seed}`))

function anObject(seed: number, changes: Partial<CatalogObject> = {}): CatalogObject {
  return {
    digest: digest(seed),
    bytes: 1_000 + seed,
    owner: { tenant: `tenant ${seed % 3}`, stream: `stream ${seed % 7}` },
    isMain: seed % 2 === 0,
    uses: seed % 4,
    ...changes,
  }
}

const asRead = (object: CatalogObject): CatalogedObject => ({ ...object, isFound: false })

/** What the batches say, as a reader of the file takes them. */
function imageOf(batches: readonly Buffer[]): CatalogImage {
  const image = new CatalogImage()
  for (const batch of batches) {
    const head = readBatchHead(batch)
    const records = batch.subarray(BATCH_HEAD_BYTES)
    if (head === undefined || !isWhole(records, head.checksum) || !image.apply(records)) break
  }
  return image
}

test('what is encoded is decoded, with owners', async (t) => {
  const owner = fc.option(
    fc.record(
      { tenant: fc.string({ minLength: 1 }), stream: fc.string({ minLength: 1 }) },
      { requiredKeys: ['tenant'], noNullPrototype: true },
    ),
    { nil: undefined },
  )
  const object = fc.record(
    {
      digest: fc.integer({ min: 0, max: 30 }).map(digest),
      bytes: fc.integer({ min: 1, max: contentLimits.objectBytesMax }),
      owner,
      isMain: fc.boolean(),
      uses: fc.integer({ min: 0, max: 3 }),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.array(object, { maxLength: 50 }), (objects) => {
      const encoder = new CatalogEncoder()
      const expected = new Map<string, CatalogObject>()
      for (const one of objects) {
        const isThere = expected.delete(one.digest)
        if (isThere && one.isMain) encoder.gone(one.digest)
        else {
          expected.set(one.digest, one)
          encoder.object(one)
        }
      }
      t.strictSame(
        [...imageOf(encoder.take()).objects.values()],
        [...expected.values()].map(asRead),
      )
      t.equal(encoder.bytes, 0)
    }),
    { numRuns: 100 },
  )
})

test('kept digests come and go', async (t) => {
  const encoder = new CatalogEncoder()
  encoder.kept(digest(1), 1)
  encoder.kept(digest(2), 1)
  encoder.kept(digest(3), 3)
  encoder.kept(digest(1), 0)
  encoder.kept(digest(2), 3)
  encoder.kept(digest(3), 2)
  const image = imageOf(encoder.take())
  t.strictSame(
    [...image.kept],
    [
      [digest(2), 3],
      [digest(3), 2],
    ],
  )
  t.equal(image.records, 6)
})

test('many records make several batches, each within its bound', async (t) => {
  const encoder = new CatalogEncoder()
  for (let seed = 0; seed < 5_000; seed += 1) encoder.object(anObject(seed))
  const batches = encoder.take()
  t.ok(batches.length > 2)
  for (const batch of batches) t.ok(batch.byteLength <= storeLimits.catalogBatchBytesMax)
  t.equal(imageOf(batches).objects.size, 5_000)
})

test('records that make no sense end the reading', async (t) => {
  const bytes = Buffer.alloc(42)
  bytes.writeUInt8(2, 0)
  t.equal(new CatalogImage().apply(bytes), false, 'an object of no bytes')
  bytes.writeUInt32BE(contentLimits.objectBytesMax + 1, 5)
  t.equal(new CatalogImage().apply(bytes), false, 'one that is too large')
  bytes.writeUInt32BE(7, 1)
  bytes.writeUInt32BE(100, 5)
  t.equal(new CatalogImage().apply(bytes), false, 'an owner nobody named')
  t.equal(new CatalogImage().apply(Buffer.from([9])), false)
  t.equal(new CatalogImage().apply(Buffer.alloc(33, 9)), false)
  t.equal(new CatalogImage().apply(Buffer.from([1, 0, 0])), false)
  t.equal(new CatalogImage().apply(Buffer.from([1, 0, 0, 0, 1, 0, 9, 0, 0])), false)
  t.equal(readBatchHead(Buffer.alloc(7)), undefined)
  t.equal(readBatchHead(Buffer.alloc(8)), undefined)
  t.equal(readBatchHead(Buffer.alloc(8, 0xff)), undefined)
})

/** A catalog over objects in a map, with a clock that stands still. */
function catalogAt(directory: string) {
  const objects = new Map<string, CatalogObject>()
  const kept = new Map<string, number>()
  const failures: (string | undefined)[] = []
  const clock = new ManualClock()
  let rewrites = 0
  const catalog = new Catalog({
    directory,
    clock,
    source: {
      get size() {
        return objects.size
      },
      digests: () => [...objects.keys()],
      object: (name) => objects.get(name),
      kept,
    },
    onFailure: (error) => failures.push(error.code),
    onRewrite: () => {
      rewrites += 1
    },
  })
  const add = (seed: number): void => {
    objects.set(digest(seed), anObject(seed))
    catalog.added(anObject(seed))
  }
  return { catalog, objects, kept, failures, clock, add, rewrites: () => rewrites }
}

test('a change is on disk a second later, and the next run reads it', async (t) => {
  const directory = t.testdir({})
  const first = catalogAt(directory)
  t.equal((await first.catalog.load()).objects.size, 0)
  first.add(1)
  t.equal(first.clock.timers, 1)
  first.clock.advance(storeLimits.catalogFlushMs)
  await until(() => first.rewrites() === 1)
  await first.catalog.flush()
  first.add(2)
  first.add(3)
  first.objects.delete(digest(2))
  first.catalog.removed(digest(2))
  t.equal(first.clock.timers, 1)
  await first.catalog.flush()
  t.equal(first.rewrites(), 1, 'appended')
  const { objects } = await catalogAt(directory).catalog.load()
  t.strictSame([...objects.values()], [anObject(1), anObject(3)].map(asRead))
})

test('a torn end is not believed, and is written over', async (t) => {
  const directory = t.testdir({})
  const path = join(directory, 'catalog')
  const first = catalogAt(directory)
  await first.catalog.load()
  first.add(1)
  await first.catalog.flush()
  first.add(2)
  await first.catalog.flush()
  const whole = (await readFile(path)).byteLength
  await truncate(path, whole - 5)
  const second = catalogAt(directory)
  t.strictSame([...(await second.catalog.load()).objects.keys()], [digest(1)])
  second.objects.set(digest(1), anObject(1))
  second.add(3)
  await second.catalog.flush()
  t.equal(second.rewrites(), 1)
  const third = catalogAt(directory)
  t.strictSame([...(await third.catalog.load()).objects.keys()], [digest(1), digest(3)])
  await appendFile(path, 'garbage that is no batch')
  t.equal((await catalogAt(directory).catalog.load()).objects.size, 2)
  const flipped = await readFile(path)
  flipped.writeUInt8(flipped.readUInt8(30) ^ 1, 30)
  await writeFile(path, flipped)
  t.equal((await catalogAt(directory).catalog.load()).objects.size, 0)
  await writeFile(path, 'something else')
  t.equal((await catalogAt(directory).catalog.load()).objects.size, 0)
})

test('a catalog that cannot be read is not taken for an empty one', async (t) => {
  const directory = t.testdir({ catalog: {} })
  await t.rejects(catalogAt(directory).catalog.load(), { code: 'EISDIR' })
})

test('a failed write is told, and the next one makes it good', async (t) => {
  const directory = t.testdir({})
  const hidden = join(directory, 'not-there')
  const { catalog, add, kept, failures } = catalogAt(hidden)
  await catalog.load()
  add(1)
  t.match(await catalog.flush(), { code: 'ENOENT' })
  kept.set(digest(1), 2)
  await t.rejects(catalog.setKept(digest(1), 2), { code: 'ENOENT' })
  t.strictSame(failures, ['ENOENT', 'ENOENT'])
  await mkdir(hidden)
  await catalog.flush()
  const image = await catalogAt(hidden).catalog.load()
  t.strictSame([...image.objects.values()], [anObject(1)].map(asRead))
  t.strictSame([...image.kept], [[digest(1), 2]])
})

test('after an append that failed the whole is written, since nobody knows how much of it is there', async (t) => {
  const directory = t.testdir({})
  const path = join(directory, 'catalog')
  const { catalog, add, failures, rewrites } = catalogAt(directory)
  await catalog.load()
  add(1)
  await catalog.flush()
  await rm(path)
  await mkdir(path)
  add(2)
  await catalog.flush()
  t.strictSame(failures, ['EISDIR'])
  await rm(path, { recursive: true })
  add(3)
  await catalog.flush()
  t.equal(rewrites(), 2)
  t.equal((await catalogAt(directory).catalog.load()).objects.size, 3)
})

test('a long journal is written anew, and what changes meanwhile is not lost', async (t) => {
  const directory = t.testdir({})
  const { catalog, add, objects, rewrites } = catalogAt(directory)
  await catalog.load()
  for (let seed = 0; seed < 3_000; seed += 1) add(seed)
  await catalog.flush()
  t.equal(rewrites(), 1)
  for (let round = 0; round < storeLimits.catalogSlackRecords + 4_000; round += 1) {
    catalog.added(anObject(round % 3_000))
  }
  const flushed = catalog.flush()
  objects.delete(digest(5))
  catalog.removed(digest(5))
  add(9_000)
  await flushed
  t.equal(rewrites(), 2)
  await catalog.flush()
  const image = await catalogAt(directory).catalog.load()
  t.equal(image.objects.size, 3_000)
  t.notOk(image.objects.has(digest(5)))
  t.ok(image.objects.has(digest(9_000)))
  t.ok(image.records < 2 * 3_000)
})

test('what waits for a slow disk is bounded: the next write takes everything', async (t) => {
  const directory = t.testdir({})
  const { catalog, add, objects, rewrites } = catalogAt(directory)
  await catalog.load()
  await catalog.rewrite()
  const count = Math.ceil(storeLimits.catalogPendingBytesMax / 42) + 100
  for (let index = 0; index < count; index += 1) catalog.removed(digest(0))
  add(1)
  await catalog.flush()
  t.equal(rewrites(), 2)
  t.equal((await catalogAt(directory).catalog.load()).objects.size, objects.size)
  await catalog.close()
  add(2)
  t.equal((await readFile(join(directory, 'catalog'))).subarray(0, 8).equals(CATALOG_MAGIC), true)
})
