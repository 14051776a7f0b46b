/** What can happen to a disk: SIGKILL at any instant, no room, no permission to write, files gone and damaged. */
import { execFileSync, spawn } from 'node:child_process'
import { readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { cidOf, digestOf, digestOfCid } from '../../../src/content/digest.ts'
import { keepersIn } from '../../../src/content/store/keepers.ts'
import { storeLimits } from '../../../src/limits/store.ts'
import { contentLimits } from '../../../src/limits.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { needsSmallDisk, smallDisk } from '../../support/small-disk.ts'
import { filesOf, metric, object, storeAt } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

const MiB = 1024 * 1024

/** Lets a writer run until it has kept some objects, then kills it; the digests that it said were kept. */
async function writeAndKill(directory: string, round: number): Promise<string[]> {
  const writer = new URL('./crashing-writer.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [writer, directory, `${round}`])
  let errors = ''
  let said = ''
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString()
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      said += data.toString()
      // Another instant each round: after the third kept object, the fourth, ...
      if (said.split('\n').length > 3 + (round % 4)) resolve()
    })
    child.once('exit', () => resolve())
  })
  child.kill('SIGKILL')
  await exited
  if (errors !== '') throw new Error(errors)
  return said.split('\n').slice(0, -1)
}

test('SIGKILL in the middle of writes loses at most what was being written', async (t) => {
  const directory = t.testdir()
  const kept: string[] = []
  for (let round = 0; round < 5; round += 1) {
    kept.push(...(await writeAndKill(directory, round)))
    const registry = new Registry()
    const store = storeAt(directory, { diskBytesMax: 256 * MiB }, { registry })
    await store.start()
    t.equal(store.health().status, 'ok')
    const files = await filesOf(join(directory, 'objects'))
    const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
    const sum = sizes.reduce((total, size) => total + size, 0)
    t.equal(store.usage.diskBytes, sum, 'the account is that of the files')
    const damaged: string[] = []
    for (const file of files) {
      const digest = digestOfCid(file.split('/').at(-1) ?? '') ?? ''
      if ((await store.read(digest)) === undefined) damaged.push(digest)
    }
    t.strictSame(damaged, [], 'every object that has its name is whole')
    const lost = kept.filter((digest) => !store.has(digest))
    t.strictSame(lost, [], 'what was kept is still here')
    const keepers = new Set(kept.flatMap((digest) => keepersIn(store.kept.get(digest) ?? 0)))
    t.strictSame([...keepers], ['operator'], 'and kept by whom it was said')
    const { bytes } = store.usageOf('tenant', `round ${round}`)
    t.ok(bytes >= 20_000, 'what was kept is known to be its own')
    t.same(await readdir(join(directory, 'temporary')), [])
    t.equal(await metric(registry, 'kairo_content_corrupt_total'), 0)
    await store.stop()
  }
})

test('a crash before the catalog was written costs the owners, not the objects', async (t) => {
  const directory = t.testdir()
  // A clock that stands still never writes the catalog.
  const crashed = storeAt(directory, {}, { clock: new ManualClock() })
  await crashed.start()
  for (let seed = 0; seed < 10; seed += 1) {
    const { digest, bytes } = object(seed)
    crashed.put(digest, bytes, { owner: { tenant: 'ours' } })
  }
  await until(async () => (await filesOf(join(directory, 'objects'))).length === 10)
  const rewrites = (registry: Registry): Promise<number> =>
    metric(registry, 'kairo_content_catalog_rewrites_total')
  const registry = new Registry()
  const next = storeAt(directory, {}, { registry, clock: new ManualClock() })
  await next.start()
  t.equal(next.usage.diskBytes, 10_000)
  t.match(next.usageOf('tenant', 'ours'), { bytes: 0 })
  t.equal(await rewrites(registry), 1, 'what was adopted is in the catalog')
  const afterNext = new Registry()
  const third = storeAt(directory, {}, { registry: afterNext })
  await third.start()
  t.equal(third.usage.diskBytes, 10_000)
  t.equal(await rewrites(afterNext), 0, 'and is known from then on')
  await third.stop()
})

test('the catalog is on disk a second after the objects', async (t) => {
  const directory = t.testdir()
  const clock = new ManualClock()
  const crashed = storeAt(directory, {}, { clock })
  await crashed.start()
  const { digest, bytes } = object(1)
  crashed.put(digest, bytes, { owner: { tenant: 'ours' } })
  await until(() => clock.timers > 0, 'a change to be written')
  clock.advance(storeLimits.catalogFlushMs)
  await until(async () => (await readFile(join(directory, 'catalog'))).includes('ours'))
  const next = storeAt(directory)
  await next.start()
  t.match(next.usageOf('tenant', 'ours'), { bytes: 1_000 })
  await next.stop()
})

test('a file that vanished or changed is noticed, counted, and had again', async (t) => {
  const directory = t.testdir()
  const registry = new Registry()
  const store = storeAt(directory, { memoryBytesMax: 1_000 }, { registry })
  await store.start()
  const objects = [1, 2, 3].map((seed) => object(seed))
  for (const { digest, bytes } of objects) {
    store.put(digest, bytes)
    await store.keep(digest, 'operator')
    await store.release(digest, 'operator')
  }
  const paths = await filesOf(join(directory, 'objects'))
  const pathOf = (digest: string): string =>
    paths.find((path) => path.endsWith(cidOf(digest))) ?? ''
  const [vanished = object(0), flipped = object(0)] = objects
  await unlink(pathOf(vanished.digest))
  const damaged = await readFile(pathOf(flipped.digest))
  damaged.writeUInt8(damaged.readUInt8(9) ^ 1, 9)
  await writeFile(pathOf(flipped.digest), damaged)
  for (const { digest, bytes } of [vanished, flipped]) {
    t.equal(await store.read(digest), undefined)
    t.notOk(store.has(digest))
    store.put(digest, bytes)
    t.ok(store.has(digest))
  }
  t.equal(await metric(registry, 'kairo_content_corrupt_total'), 2)
  await store.stop()
  t.equal((await filesOf(join(directory, 'objects'))).length, 3)
})

test('a large object is verified too', async (t) => {
  const directory = t.testdir()
  const store = storeAt(directory, { memoryBytesMax: 1_000 })
  await store.start()
  const { digest, bytes } = object(1, storeLimits.hashInlineBytesMax + 1)
  store.put(digest, bytes)
  t.ok(bytes.equals((await store.read(digest)) ?? Buffer.alloc(0)))
  const [path = ''] = await filesOf(join(directory, 'objects'))
  const damaged = Buffer.from(bytes)
  damaged.writeUInt8(2, bytes.byteLength - 1)
  await writeFile(path, damaged)
  t.not(digestOf(damaged), digest)
  t.equal(await store.read(digest), undefined)
  await store.stop()
})

test('when this process may open no more files, none is taken for damaged', async (t) => {
  const reader = new URL('./starved-reader.ts', import.meta.url).pathname
  // Hard and soft limit: Node raises the soft one by itself.
  const command = `ulimit -n 128 && exec "${process.execPath}" "${reader}" "${t.testdir()}"`
  const said = JSON.parse(execFileSync('sh', ['-c', command], { encoding: 'utf8' }))
  t.strictSame(said, { starved: 'undefined', corrupt: 0, fed: 'whole', short: 1 })
})

const skip = needsSmallDisk()

test('a disk that may only be read is read', { skip }, async (t) => {
  const disk = smallDisk(MiB)
  t.teardown(() => disk.remove())
  const first = storeAt(disk.directory)
  await first.start()
  const { digest, bytes } = object(1)
  first.put(digest, bytes, { owner: { tenant: 'ours' } })
  await first.stop()
  execFileSync('mount', ['-o', 'remount,ro', disk.directory])
  const clock = new ManualClock()
  const second = storeAt(disk.directory, {}, { clock })
  await second.start()
  t.match(second.health(), { status: 'degraded', reason: /EROFS/ })
  t.same(await second.read(digest), bytes, 'what is there is served')
  t.match(second.usageOf('tenant', 'ours'), { bytes: 1_000 })
  const late = object(2)
  second.put(late.digest, late.bytes)
  t.ok(second.peek(late.digest), 'what comes is in RAM')
  await t.rejects(second.keep(late.digest, 'operator'), { code: 'ERR_STORAGE' })
  execFileSync('mount', ['-o', 'remount,rw', disk.directory])
  await until(async () => {
    clock.advance(contentLimits.diskRetryMs)
    await settle()
    return second.health().status === 'ok'
  })
  second.put(object(3).digest, object(3).bytes)
  await second.stop()
  t.equal((await filesOf(disk.directory)).length, 2)
})

test('a full disk loses no owner and no kept object of before', { skip }, async (t) => {
  const disk = smallDisk(MiB)
  t.teardown(() => disk.remove())
  const first = storeAt(disk.directory)
  await first.start()
  const kept = object(1, 20_000)
  first.put(kept.digest, kept.bytes, { owner: { tenant: 'ours' } })
  await first.keep(kept.digest, 'operator')
  await writeFile(join(disk.directory, 'hog'), Buffer.alloc(MiB)).catch(() => undefined)
  const refused = object(2, 20_000)
  first.put(refused.digest, refused.bytes)
  await t.rejects(first.keep(refused.digest, 'operator'), { code: 'ERR_STORAGE' })
  t.notOk(first.kept.has(refused.digest))
  t.equal(first.health().status, 'degraded')
  await first.stop()
  const second = storeAt(disk.directory)
  await second.start()
  t.same(await second.read(kept.digest), kept.bytes)
  t.ok(second.kept.has(kept.digest))
  t.notOk(second.kept.has(refused.digest))
  t.match(second.usageOf('tenant', 'ours'), { bytes: 20_000 })
  await unlink(join(disk.directory, 'hog'))
  await second.stop()
  t.equal((await filesOf(disk.directory)).length, 1)
})
