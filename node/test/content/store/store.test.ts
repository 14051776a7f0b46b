/** The content store on a real disk: restart, bounds, damage, a full disk. */
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { cidOf, digestOf } from '../../../src/content/digest.ts'
import { contentLimits } from '../../../src/limits.ts'
import { type Logger, silentLogger } from '../../../src/logger.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { filesOf, metric, object, storeAt } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

test('store', async (t) => {
  await t.test('keeps objects over a restart and says where they come from', async (t) => {
    const directory = t.testdir()
    const first = storeAt(directory)
    await first.start()
    const objects = Array.from({ length: 20 }, (_, index) => object(index))
    for (const { digest, bytes } of objects) first.put(digest, bytes)
    t.equal(first.peek(objects[0]?.digest ?? ''), objects[0]?.bytes)
    await first.stop()
    const registry = new Registry()
    const second = storeAt(directory, {}, { registry })
    await second.start()
    for (const { digest, bytes } of objects) {
      t.ok(second.has(digest))
      t.equal(second.peek(digest), undefined, 'not in RAM yet')
      t.same(await second.read(digest), bytes)
      t.ok(second.peek(digest), 'in RAM now')
    }
    t.equal(await metric(registry, 'kairo_content_reads_total', { tier: 'disk' }), 20)
    t.equal(await second.read(object(999).digest), undefined)
    t.equal(second.usage.diskBytes, 20_000)
    second.delete(objects[0]?.digest ?? '')
    t.equal(second.has(objects[0]?.digest ?? ''), false)
    await second.stop()
    t.equal((await filesOf(directory)).length, 19)
    t.same(second.health(), { status: 'ok', reason: '' })
  })

  await t.test('many readers of one file cause one read', async (t) => {
    const directory = t.testdir()
    const first = storeAt(directory)
    await first.start()
    const { digest, bytes } = object(1)
    first.put(digest, bytes)
    await first.stop()
    const registry = new Registry()
    const second = storeAt(directory, {}, { registry })
    await second.start()
    const read = await Promise.all([1, 2, 3, 4].map(() => second.read(digest)))
    t.equal(new Set(read).size, 1)
    t.equal(await metric(registry, 'kairo_content_reads_total', { tier: 'disk' }), 1)
    await t.rejects(second.read(object(2).digest, { signal: AbortSignal.abort() }), {
      code: 'ERR_TIMEOUT',
    })
    await second.stop()
  })

  await t.test(
    'takes stock at start: removes what it did not make and what is too much',
    async (t) => {
      const directory = t.testdir()
      const store = storeAt(directory)
      await store.start()
      for (let index = 0; index < 10; index += 1) {
        const { digest, bytes } = object(index)
        store.put(digest, bytes)
      }
      await store.stop()
      await writeFile(join(directory, 'temporary', '1-1'), 'left by a crash')
      const { digest } = object(100)
      await mkdir(join(directory, 'objects', digest.slice(0, 2)), { recursive: true })
      await writeFile(join(directory, 'objects', digest.slice(0, 2), 'not-a-digest'), 'x')
      await writeFile(join(directory, 'objects', digest.slice(0, 2), cidOf(digest)), '')
      await mkdir(join(directory, 'objects', 'foreign'))
      await writeFile(join(directory, 'objects', 'foreign', 'file'), 'not ours, not touched')
      const smaller = storeAt(directory, { diskBytesMax: 4_500 })
      await smaller.start()
      t.equal(smaller.usage.diskBytes, 4_000)
      t.equal(smaller.has(digest), false)
      await smaller.stop()
      const files = await filesOf(directory)
      t.equal(files.length, 5)
      t.equal(files.filter((file) => file.includes('foreign')).length, 1)
    },
  )

  await t.test('a flipped byte on disk is found, counted and deleted', async (t) => {
    const directory = t.testdir()
    const store = storeAt(directory)
    await store.start()
    const { digest, bytes } = object(7)
    const gone = object(8)
    store.put(digest, bytes)
    store.put(gone.digest, gone.bytes)
    await store.stop()
    const [path = ''] = (await filesOf(directory)).filter((file) => file.endsWith(cidOf(digest)))
    const damaged = await readFile(path)
    damaged.writeUInt8(damaged.readUInt8(500) ^ 1, 500)
    await writeFile(path, damaged)
    const registry = new Registry()
    const warnings: string[] = []
    const logger: Logger = {
      ...silentLogger,
      warn: (_, message) => warnings.push(message),
      child: () => logger,
    }
    const again = storeAt(directory, {}, { registry, logger })
    await again.start()
    t.equal(await again.read(digest), undefined)
    t.equal(again.has(digest), false)
    t.equal(await metric(registry, 'kairo_content_corrupt_total'), 1)
    t.equal(warnings.length, 1)
    again.put(digest, bytes)
    await again.stop()
    t.same(await readFile(path), bytes, 'written anew')
  })

  await t.test('both tiers are bounded by bytes, live windows last', async (t) => {
    const directory = t.testdir()
    const registry = new Registry()
    const store = storeAt(directory, { memoryBytesMax: 5_000, diskBytesMax: 10_000 }, { registry })
    await store.start()
    const objects = Array.from({ length: 50 }, (_, index) => object(index))
    const pinned = objects[0]?.digest ?? ''
    const pinnedBefore = object(1_000)
    store.pin(pinned)
    store.pin(pinned)
    store.pin(pinnedBefore.digest)
    store.put(pinnedBefore.digest, pinnedBefore.bytes)
    for (const { digest, bytes } of objects) {
      store.put(digest, bytes)
      t.ok(store.usage.memoryBytes <= 5_000 && store.usage.diskBytes <= 10_000)
      if (digest !== pinned) t.ok(store.peek(digest), 'the newest is there')
    }
    t.ok(store.peek(pinned))
    t.ok(store.peek(pinnedBefore.digest))
    store.unpin(pinned)
    store.put(object(60).digest, object(60).bytes)
    t.ok(store.peek(pinned), 'still pinned once')
    store.unpin(pinned)
    for (let index = 70; index < 76; index += 1) {
      store.put(object(index).digest, object(index).bytes)
    }
    t.equal(store.peek(pinned), undefined, 'its uses in the window do not count any more')
    t.ok(store.peek(pinnedBefore.digest))
    store.put(object(80, 6_000).digest, object(80, 6_000).bytes)
    t.equal(store.peek(object(80, 6_000).digest), undefined, 'larger than the whole tier')
    await store.stop()
    t.ok((await filesOf(directory)).length <= 10)
    t.ok((await metric(registry, 'kairo_content_evictions_total', { tier: 'memory' })) > 40)
    t.ok((await metric(registry, 'kairo_content_evictions_total', { tier: 'disk' })) > 0)
  })

  await t.test('when everything is pinned the bound still holds', async (t) => {
    const store = storeAt(undefined, { memoryBytesMax: 3_000 })
    for (let index = 0; index < 10; index += 1) {
      const { digest, bytes } = object(index)
      store.pin(digest)
      store.put(digest, bytes)
      t.ok(store.usage.memoryBytes <= 3_000)
      t.equal(store.peek(digest), bytes)
    }
    store.unpin('never pinned')
    await store.stop()
  })

  await t.test('the queue of writes is bounded', async (t) => {
    const registry = new Registry()
    const directory = t.testdir()
    const store = storeAt(directory, {}, { registry })
    await store.start()
    const count = contentLimits.diskWritesMax + 10
    for (let index = 0; index < count; index += 1) {
      const { digest, bytes } = object(index)
      store.put(digest, bytes)
      t.ok(store.peek(digest))
    }
    t.equal(await metric(registry, 'kairo_content_disk_skipped_total', { reason: 'queue' }), 10)
    await store.stop()
    t.equal((await filesOf(directory)).length, contentLimits.diskWritesMax)
  })

  await t.test('a folder that cannot be used leaves a store in RAM, until it can', async (t) => {
    const directory = join(t.testdir({ blocked: 'a file' }), 'blocked')
    const clock = new ManualClock()
    const registry = new Registry()
    const store = storeAt(directory, {}, { clock, registry })
    await store.start()
    t.equal(store.health().status, 'degraded')
    t.match(store.health().reason, /ENOTDIR|EEXIST/)
    const { digest, bytes } = object(3)
    store.put(digest, bytes)
    t.equal(store.peek(digest), bytes)
    t.equal(await metric(registry, 'kairo_content_disk_skipped_total', { reason: 'outage' }), 1)
    clock.advance(contentLimits.diskRetryMs)
    await until(
      async () => (await metric(registry, 'kairo_content_disk_errors_total')) >= 2,
      'a second attempt',
    )
    await rm(directory)
    await until(async () => {
      clock.advance(contentLimits.diskRetryMs)
      await settle()
      return store.health().status === 'ok'
    }, 'recovery')
    const other = object(4)
    store.put(other.digest, other.bytes)
    const stopping = store.stop()
    await stopping
    t.equal((await filesOf(directory)).length, 1)
  })

  const directory = await mkdtemp(join(tmpdir(), 'kairo-full-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', directory])
  const skip = mounted.status === 0 ? false : 'a full disk needs root, to mount a small tmpfs'
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  await t.test('a full disk', { skip }, async (t) => {
    const clock = new ManualClock()
    const registry = new Registry()
    const errors: string[] = []
    const infos: string[] = []
    const logger: Logger = {
      ...silentLogger,
      error: (_, message) => errors.push(message),
      info: (_, message) => infos.push(message),
      child: () => logger,
    }
    const store = storeAt(directory, {}, { clock, registry, logger })
    await store.start()
    const objects = Array.from({ length: 20 }, (_, index) => object(index, 100_000))
    for (const { digest, bytes } of objects) store.put(digest, bytes)
    await until(() => store.health().status === 'degraded', 'the outage')
    t.match(store.health().reason, /ENOSPC/)
    for (const { digest, bytes } of objects) t.equal(store.peek(digest), bytes, 'served from RAM')
    const late = object(50, 100_000)
    store.put(late.digest, late.bytes)
    t.equal(errors.length, 1, 'one line an outage')
    t.ok((await metric(registry, 'kairo_content_disk_errors_total', { code: 'ENOSPC' })) >= 1)
    t.equal(await metric(registry, 'kairo_content_disk_degraded'), 1)
    // Room is made; the store notices by itself.
    for (const { digest } of objects) store.delete(digest)
    await until(async () => {
      clock.advance(contentLimits.diskRetryMs)
      await settle()
      return store.health().status === 'ok'
    }, 'recovery')
    t.equal(infos.length, 1)
    t.equal(await metric(registry, 'kairo_content_disk_degraded'), 0)
    const after = object(51, 100_000)
    store.put(after.digest, after.bytes)
    await store.stop()
    t.ok((await filesOf(directory)).some((file) => file.endsWith(cidOf(after.digest))))
    t.equal((await readdir(join(directory, 'temporary'))).length, 0, 'nothing half-written stays')
    spawnSync('umount', ['-l', directory])
  })
})

test('objects that are kept elsewhere are found, kept in RAM and not written to disk again', async (t) => {
  const directory = t.testdir({})
  const registry = new Registry()
  const store = storeAt(directory, {}, { registry })
  await store.start()
  t.teardown(() => store.stop())
  const kept = object(7)
  let reads = 0
  store.addSource({
    has: (digest) => digest === kept.digest,
    read: async () => {
      reads += 1
      return kept.bytes
    },
  })
  t.ok(store.has(kept.digest))
  t.equal(store.peek(kept.digest), undefined)
  t.strictSame(await store.read(kept.digest), kept.bytes)
  t.strictSame(await store.read(kept.digest), kept.bytes)
  t.equal(reads, 1, 'the second read is served from RAM')
  t.equal(await metric(registry, 'kairo_content_reads_total', { tier: 'archive' }), 1)
  t.strictSame(await filesOf(directory), [])
  t.equal(await store.read(object(8).digest), undefined)
})

test('a source that has lost its object after all is a miss', async (t) => {
  const registry = new Registry()
  const store = storeAt(undefined, {}, { registry })
  store.addSource({ has: () => true, read: async () => undefined })
  t.equal(await store.read(object(9).digest), undefined)
  t.equal(await metric(registry, 'kairo_content_reads_total', { tier: 'none' }), 1)
})

test('the object of no bytes is always there, and takes no room', async (t) => {
  const directory = t.testdir()
  const store = storeAt(directory)
  await store.start()
  const empty = Buffer.alloc(0)
  const digest = digestOf(empty)
  t.same(store.peek(digest), empty)
  store.put(digest, empty)
  t.ok(store.has(digest))
  t.same(await store.read(digest), empty)
  await store.keep(digest, 'operator')
  await store.release(digest, 'operator')
  t.strictSame(store.usage, { memoryBytes: 0, diskBytes: 0 })
  await store.stop()
  t.strictSame(await filesOf(directory), [])
})
