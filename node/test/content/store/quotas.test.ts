/** Owners on disk: an owner over its bound gives up its own, and only its own; owners outlive restarts and crashes. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { test } from 'tap'
import type { ContentStore } from '../../../src/content/store/store.ts'
import { storeLimits } from '../../../src/limits/store.ts'
import { filesOf, metric, object, storeAt } from '../../support/stores.ts'

const ours = { owner: { tenant: 'ours', stream: 'main' } }
const theirs = { owner: { tenant: 'theirs' } }

/** Puts objects numbered from `first`, and waits until the disk has taken them. */
async function fill(
  store: ContentStore,
  first: number,
  count: number,
  options: { owner?: { tenant: string; stream?: string }; isLive?: boolean } = {},
): Promise<void> {
  for (let seed = first; seed < first + count; seed += 1) {
    const { digest, bytes } = object(seed)
    store.put(digest, bytes, options)
    if (seed % 50 === 49) await written(store)
  }
  await written(store)
}

/** Reads past RAM are in the lanes behind the writes. */
async function written(store: ContentStore): Promise<void> {
  const { digest, bytes } = object(1_000_000)
  store.put(digest, bytes)
  await store.keep(digest, 'operator')
  await store.release(digest, 'operator')
}

test('an owner over its bound gives up its own objects, and nobody else any', async (t) => {
  const directory = t.testdir()
  const registry = new Registry()
  const store = storeAt(directory, { tenantBytesMax: 10_000, memoryBytesMax: 2_000 }, { registry })
  await store.start()
  await fill(store, 0, 8, theirs)
  await fill(store, 100, 60, ours)
  t.match(store.usageOf('tenant', 'ours'), { bytes: 10_000, objects: 10, bytesMax: 10_000 })
  t.match(store.usageOf('stream', 'main'), { bytes: 10_000, objects: 10, bytesMax: 0 })
  t.match(store.usageOf('tenant', 'theirs'), { bytes: 8_000, objects: 8 })
  for (let seed = 0; seed < 8; seed += 1) t.ok(store.has(object(seed).digest))
  t.ok(store.has(object(159).digest), 'the newest is there')
  t.equal(
    await metric(registry, 'kairo_content_evictions_total', { tier: 'disk', reason: 'tenant' }),
    50,
  )
  t.equal(
    await metric(registry, 'kairo_content_evictions_total', { tier: 'disk', reason: 'room' }),
    0,
  )
  t.equal(await metric(registry, 'kairo_content_owners'), 3)
  await store.stop()
})

test('of its own it gives up first what was not asked for', async (t) => {
  const store = storeAt(t.testdir(), { streamBytesMax: 5_000, memoryBytesMax: 1_000 })
  await store.start()
  await fill(store, 0, 5, ours)
  await store.read(object(0).digest)
  await store.read(object(2).digest)
  await fill(store, 10, 3, ours)
  t.strictSame(
    [0, 1, 2, 3, 4].filter((seed) => store.has(object(seed).digest)),
    [0, 2],
  )
  await store.stop()
})

test('parts of its live window go after its other objects, kept ones not at all', async (t) => {
  const registry = new Registry()
  const store = storeAt(t.testdir(), { streamBytesMax: 4_000, memoryBytesMax: 1_000 }, { registry })
  await store.start()
  store.pin(object(0).digest)
  await fill(store, 0, 4, ours)
  await store.keep(object(1).digest, 'operator')
  await fill(store, 10, 3, ours)
  const there = [0, 1, 2, 3, 10, 11, 12].filter((seed) => store.has(object(seed).digest))
  t.strictSame(there, [0, 1, 11, 12])
  await store.keep(object(11).digest, 'operator')
  await store.keep(object(12).digest, 'operator')
  await fill(store, 20, 1, { ...ours, isLive: true })
  t.notOk(store.has(object(0).digest), 'the live part goes when nothing else may')
  await store.keep(object(20).digest, 'operator')
  await fill(store, 30, 1, ours)
  t.match(store.usageOf('stream', 'main'), { objects: 4 })
  t.equal(
    await metric(registry, 'kairo_content_disk_skipped_total', { reason: 'quota' }),
    1,
    'with kept ones only, the next stays in RAM',
  )
  await store.stop()
})

test('an object larger than its owner may have sends nothing away', async (t) => {
  const store = storeAt(t.testdir(), { streamBytesMax: 4_000 })
  await store.start()
  await fill(store, 0, 3, ours)
  const large = object(50, 5_000)
  store.put(large.digest, large.bytes, ours)
  t.match(store.usageOf('stream', 'main'), { objects: 3 })
  t.ok(store.peek(large.digest), 'it is in RAM')
  await store.stop()
})

test('a tenant has a bound of its own, at once', async (t) => {
  const store = storeAt(t.testdir(), { tenantBytesMax: 10_000 })
  await store.start()
  await fill(store, 0, 10, ours)
  await fill(store, 20, 10, theirs)
  await store.setTenantMax('ours', 3_000)
  t.match(store.usageOf('tenant', 'ours'), { bytes: 3_000, bytesMax: 3_000 })
  t.match(store.usageOf('tenant', 'theirs'), { bytes: 10_000 })
  await store.setTenantMax('ours', 0)
  await fill(store, 40, 20, ours)
  t.match(store.usageOf('tenant', 'ours'), { bytes: 23_000, bytesMax: 0 })
  await store.setTenantMax('ours', undefined)
  t.match(store.usageOf('tenant', 'ours'), { bytes: 10_000, bytesMax: 10_000 })
  await store.stop()
  const inMemory = storeAt(undefined)
  await inMemory.setTenantMax('ours', 1)
  t.strictSame(inMemory.usageOf('tenant', 'ours'), { bytes: 0, objects: 0, bytesMax: 0 })
})

test('owners are known after a restart, and a smaller bound holds from the start', async (t) => {
  const directory = t.testdir()
  const first = storeAt(directory)
  await first.start()
  await fill(first, 0, 20, ours)
  await fill(first, 50, 5, theirs)
  await first.stop()
  const second = storeAt(directory, { streamBytesMax: 6_000 })
  await second.start()
  t.match(second.usageOf('stream', 'main'), { bytes: 6_000, objects: 6 })
  t.match(second.usageOf('tenant', 'theirs'), { bytes: 5_000, objects: 5 })
  await second.stop()
  await rm(join(directory, 'catalog'))
  const third = storeAt(directory)
  await third.start()
  t.equal(third.usage.diskBytes, 12_000, 'without the catalog the objects are there')
  t.match(third.usageOf('stream', 'main'), { bytes: 0 }, 'and nobody knows whose they are')
  await third.stop()
})

test('the number of files is bounded like their bytes', async (t) => {
  const directory = t.testdir()
  const store = storeAt(directory, { diskFilesMax: 10, memoryBytesMax: 1_000 })
  await store.start()
  await fill(store, 0, 60)
  await store.stop()
  t.equal((await filesOf(directory)).length, 10)
  const fewer = storeAt(directory, { diskFilesMax: 4 })
  await fewer.start()
  t.equal(fewer.usage.diskBytes, 4_000)
  await fewer.stop()
  t.equal((await filesOf(directory)).length, 4)
  t.ok(storeLimits.diskFilesMax >= 1_000)
})
