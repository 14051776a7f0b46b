/** Kept objects: they stay, over restarts, until they are released; and say so when they cannot. */
import { readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { cidOf } from '../../../src/content/digest.ts'
import { keepersIn } from '../../../src/content/store/keepers.ts'
import type { ContentStore } from '../../../src/content/store/store.ts'
import { type Logger, silentLogger } from '../../../src/logger.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { filesOf, metric, object, storeAt } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

test('a kept object stays on disk whatever comes, and over a restart', async (t) => {
  const directory = t.testdir()
  const registry = new Registry()
  const init = { memoryBytesMax: 2_000, diskBytesMax: 10_000 }
  const first = storeAt(directory, init, { registry })
  await first.start()
  const kept = object(1)
  first.put(kept.digest, kept.bytes, { owner: { tenant: 'ours' } })
  await first.keep(kept.digest, 'operator')
  await first.keep(kept.digest, 'operator')
  for (let seed = 100; seed < 150; seed += 1) first.put(object(seed).digest, object(seed).bytes)
  t.ok(first.has(kept.digest))
  t.equal(
    await metric(registry, 'kairo_content_stored_objects', { tier: 'disk', class: 'kept' }),
    1,
  )
  t.equal(
    await metric(registry, 'kairo_content_stored_bytes', { tier: 'disk', class: 'kept' }),
    1_000,
  )
  await first.stop()
  const second = storeAt(directory, init)
  await second.start()
  t.strictSame([...second.kept.keys()], [kept.digest])
  for (let seed = 200; seed < 250; seed += 1) {
    second.put(object(seed).digest, object(seed).bytes)
    if (seed % 20 === 0) await second.read(kept.digest)
  }
  t.same(await second.read(kept.digest), kept.bytes)
  await second.release(kept.digest, 'operator')
  await second.release(kept.digest, 'operator')
  for (let seed = 300; seed < 340; seed += 1) second.put(object(seed).digest, object(seed).bytes)
  await second.stop()
  const third = storeAt(directory, init)
  await third.start()
  t.equal(third.kept.size, 0)
  t.notOk(third.has(kept.digest))
  await third.stop()
})

test('an object stays until each who keeps it has let it go, over restarts too', async (t) => {
  const directory = t.testdir()
  const { digest, bytes } = object(1)
  const run = async (work: (store: ContentStore) => Promise<void>): Promise<void> => {
    const store = storeAt(directory, { memoryBytesMax: 2_000, diskBytesMax: 10_000 })
    await store.start()
    await work(store)
    for (let seed = 100; seed < 140; seed += 1) store.put(object(seed).digest, object(seed).bytes)
    await store.stop()
  }
  await run(async (store) => {
    store.put(digest, bytes)
    await store.keep(digest, 'operator')
    await store.keep(digest, 'ipfs')
  })
  await run(async (store) => {
    t.strictSame(keepersIn(store.kept.get(digest) ?? 0), ['operator', 'ipfs'])
    await store.release(digest, 'ipfs')
    await store.release(digest, 'ipfs')
    t.strictSame(keepersIn(store.kept.get(digest) ?? 0), ['operator'], 'one word each')
  })
  await run(async (store) => {
    t.same(await store.read(digest), bytes, 'what the operator keeps is not let go by others')
    await store.keep(digest, 'ipfs')
    await store.release(digest, 'operator')
  })
  await run(async (store) => {
    t.strictSame(keepersIn(store.kept.get(digest) ?? 0), ['ipfs'])
    t.same(await store.read(digest), bytes)
    await store.release(digest, 'ipfs')
  })
  await run(async (store) => {
    t.equal(store.kept.size, 0)
    t.notOk(store.has(digest))
  })
})

test('a crash right after a word was given or taken back leaves it so', async (t) => {
  const directory = t.testdir()
  // Stores that are never stopped, as after a crash: nothing is written later than the promises resolve.
  const clock = new ManualClock()
  const { digest, bytes } = object(1)
  const crashing = async (work: (store: ContentStore) => Promise<void>): Promise<string[]> => {
    const store = storeAt(directory, {}, { clock })
    await store.start()
    store.put(digest, bytes)
    await work(store)
    const next = storeAt(directory, {}, { clock })
    await next.start()
    return keepersIn(next.kept.get(digest) ?? 0)
  }
  t.strictSame(await crashing((store) => store.keep(digest, 'ipfs')), ['ipfs'])
  t.strictSame(await crashing((store) => store.keep(digest, 'operator')), ['operator', 'ipfs'])
  t.strictSame(await crashing((store) => store.release(digest, 'ipfs')), ['operator'])
  t.strictSame(await crashing((store) => store.release(digest, 'operator')), [])
})

test('words given and taken back at once take effect in their order', async (t) => {
  const directory = t.testdir()
  const store = storeAt(directory, { diskBytesMax: 10_000 })
  await store.start()
  const { digest, bytes } = object(1)
  store.put(digest, bytes)
  await Promise.all([
    store.keep(digest, 'operator'),
    store.keep(digest, 'ipfs'),
    store.release(digest, 'operator'),
    store.keep(digest, 'operator'),
    store.keep(digest, 'operator'),
    store.release(digest, 'ipfs'),
  ])
  t.strictSame(keepersIn(store.kept.get(digest) ?? 0), ['operator'])
  await store.stop()
  const next = storeAt(directory)
  await next.start()
  t.strictSame(keepersIn(next.kept.get(digest) ?? 0), ['operator'])
  await next.stop()
})

test('a word that cannot be written down is given to nobody who asked for it', async (t) => {
  const directory = t.testdir({})
  const store = storeAt(directory, {}, { clock: new ManualClock() })
  await store.start()
  const { digest, bytes } = object(1)
  store.put(digest, bytes)
  await until(async () => (await filesOf(directory)).some((path) => path.endsWith(cidOf(digest))))
  await rm(directory, { recursive: true })
  const asked = [store.keep(digest, 'ipfs'), store.keep(digest, 'ipfs')]
  const results = await Promise.allSettled([...asked, store.keep(digest, 'operator')])
  t.same(
    results.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
  t.equal(store.kept.size, 0)
  await store.stop()
})

test('what is kept already takes no more room when another keeps it', async (t) => {
  for (const directory of [t.testdir(), undefined]) {
    const bounds = { memoryBytesMax: 10_000, diskBytesMax: 10_000 }
    const store = storeAt(directory, bounds)
    await store.start()
    for (let seed = 0; seed < 9; seed += 1) {
      store.put(object(seed).digest, object(seed).bytes)
      await store.keep(object(seed).digest, 'operator')
    }
    await store.keep(object(0).digest, 'ipfs')
    await store.release(object(0).digest, 'operator')
    store.put(object(9).digest, object(9).bytes)
    await t.rejects(store.keep(object(9).digest, 'ipfs'), { code: 'ERR_STORAGE' })
    t.equal(store.kept.size, 9)
    await store.stop()
  }
})

test('what is not here, or has no room, cannot be kept', async (t) => {
  const store = storeAt(t.testdir(), { memoryBytesMax: 2_000, diskBytesMax: 10_000 })
  await store.start()
  await t.rejects(store.keep(object(1).digest, 'operator'), { code: 'ERR_NOT_FOUND' })
  for (let seed = 0; seed < 9; seed += 1) {
    store.put(object(seed).digest, object(seed).bytes)
    await store.keep(object(seed).digest, 'operator')
  }
  store.put(object(9).digest, object(9).bytes)
  await t.rejects(store.keep(object(9).digest, 'operator'), { code: 'ERR_STORAGE' })
  t.equal(store.kept.size, 9)
  await store.keep(object(8).digest, 'operator')
  await store.release(object(0).digest, 'operator')
  await store.keep(object(9).digest, 'operator')
  const large = object(50, 9_500)
  store.put(large.digest, large.bytes)
  await t.rejects(
    store.keep(large.digest, 'operator'),
    { code: 'ERR_NOT_FOUND' },
    'no tier took it',
  )
  store.delete(object(9).digest)
  t.notOk(store.has(object(9).digest), 'who deletes means it')
  await store.stop()
})

test('bounds that shrank below what is kept are told, and hold', async (t) => {
  const directory = t.testdir()
  const first = storeAt(directory, { diskBytesMax: 10_000 })
  await first.start()
  for (let seed = 0; seed < 6; seed += 1) {
    first.put(object(seed).digest, object(seed).bytes)
    await first.keep(object(seed).digest, 'operator')
  }
  await first.stop()
  const errors: string[] = []
  const logger: Logger = {
    ...silentLogger,
    error: (_, message) => errors.push(message),
    child: () => logger,
  }
  const registry = new Registry()
  const second = storeAt(directory, { diskBytesMax: 3_000 }, { logger, registry })
  await second.start()
  t.equal(second.usage.diskBytes, 3_000)
  t.match(errors, [/kept objects exceed/])
  const labels = { tier: 'disk', class: 'kept', reason: 'room' }
  t.equal(await metric(registry, 'kairo_content_evictions_total', labels), 3)
  await second.stop()
})

test('a kept object that is damaged is thrown away, and kept again when it is back', async (t) => {
  const directory = t.testdir()
  const init = { diskBytesMax: 10_000 }
  const first = storeAt(directory, init)
  await first.start()
  const { digest, bytes } = object(1)
  first.put(digest, bytes)
  await first.keep(digest, 'operator')
  await first.stop()
  const [path = ''] = (await filesOf(directory)).filter((file) => file.endsWith(cidOf(digest)))
  const damaged = await readFile(path)
  damaged.writeUInt8(damaged.readUInt8(500) ^ 1, 500)
  await writeFile(path, damaged)
  const registry = new Registry()
  const second = storeAt(directory, init, { registry })
  await second.start()
  t.equal(await second.read(digest), undefined)
  t.equal(await metric(registry, 'kairo_content_corrupt_total'), 1)
  t.ok(second.kept.has(digest), 'the operator still wants it')
  second.put(digest, bytes)
  t.equal(
    await metric(registry, 'kairo_content_stored_objects', { tier: 'disk', class: 'kept' }),
    1,
  )
  await second.stop()
  await unlink(path)
  const third = storeAt(directory, init)
  await third.start()
  t.equal(third.has(digest), false, 'a file that vanished is noticed at the start')
  t.ok(third.kept.has(digest))
  await third.stop()
})

test('without a disk objects are kept in RAM', async (t) => {
  const store = storeAt(undefined, { memoryBytesMax: 4_000 })
  await store.start()
  const { digest, bytes } = object(1)
  store.put(digest, bytes)
  await store.keep(digest, 'operator')
  for (let seed = 10; seed < 30; seed += 1) store.put(object(seed).digest, object(seed).bytes)
  t.equal(store.peek(digest), bytes)
  await store.keep(object(29).digest, 'operator')
  store.put(object(31).digest, object(31).bytes)
  await store.keep(object(31).digest, 'operator')
  store.put(object(32).digest, object(32).bytes)
  await t.rejects(store.keep(object(32).digest, 'operator'), { code: 'ERR_STORAGE' })
  await store.release(digest, 'operator')
  for (let seed = 40; seed < 60; seed += 1) store.put(object(seed).digest, object(seed).bytes)
  t.equal(store.peek(digest), undefined)
  t.equal(store.kept.size, 2)
  await store.stop()
})

test('an object that lives elsewhere is copied to be kept', async (t) => {
  const directory = t.testdir()
  const store = storeAt(directory)
  await store.start()
  const { digest, bytes } = object(1)
  store.addSource({ has: (wanted) => wanted === digest, read: async () => bytes })
  await store.keep(digest, 'operator')
  await store.stop()
  t.equal((await filesOf(directory)).length, 1)
})

test('ranges are slices of what was verified as a whole', async (t) => {
  const store = storeAt(t.testdir())
  await store.start()
  const { digest, bytes } = object(1)
  store.put(digest, bytes)
  t.same(await store.readRange(digest, 10, 20), bytes.subarray(10, 20))
  t.same(await store.readRange(digest, 990, 5_000), bytes.subarray(990))
  t.equal(await store.readRange(object(2).digest, 0, 1), undefined)
  await store.stop()
})

test('an observer hears of every object that is asked for', async (t) => {
  const store = storeAt(undefined)
  const { digest, bytes } = object(1)
  const asked: string[] = []
  store.observeReads((one) => asked.push(one))
  store.put(digest, bytes)
  store.peek(digest)
  await store.read(digest)
  await store.read(object(2).digest)
  store.peek(object(3).digest)
  t.strictSame(asked, [digest, digest, object(2).digest])
})
