/** The library: files in, videos out, over restarts and crashes, within its room, and nothing left behind. */
import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { SegmentLog } from '../../src/content/archive/segment-log.ts'
import { digestOf } from '../../src/content/digest.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { KairoError } from '../../src/errors.ts'
import { silentLogger } from '../../src/logger.ts'
import { VodLibrary, type VodLibraryInit } from '../../src/vod/library.ts'
import { segmentWrite, videoInfo } from '../support/archive-segments.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { newVideoId } from '../support/video-ids.ts'

const { signal } = new AbortController()

async function openLibrary(directory: string, init: Partial<VodLibraryInit> = {}) {
  const registry = new Registry()
  const clock = new ManualClock()
  const common = { clock, logger: silentLogger, registry }
  const store = new ContentStore(common, { memoryBytesMax: 2 ** 20, diskBytesMax: 0 })
  const library = new VodLibrary(
    { ...common, store },
    { directory, bytesMax: 10_000, newId: newVideoId, ...init },
  )
  await library.start()
  return { library, store, registry, clock }
}

/** A folder of segment logs, as a recorder leaves it. */
async function recording(directory: string, count = 3): Promise<string> {
  const log = await SegmentLog.open({ registry: new Registry() }, { directory, name: '720p' })
  await log.describe(videoInfo)
  for (let msn = 5; msn < 5 + count; msn++) await log.append(segmentWrite(msn))
  await log.close()
  return directory
}

test('a file in the library', async (t) => {
  const home = t.testdir({ in: { 'My film.MP4': 'film', empty: '' } })
  const directory = join(home, 'vod')
  const { library, clock } = await openLibrary(directory)
  const path = join(home, 'in', 'My film.MP4')
  const changes: string[] = []
  library.events.on('vod:changed', (id) => changes.push(id))

  await t.test('is copied or moved, and waits', async (t) => {
    const copied = await library.addFile({ path, title: '', mode: 'copy' })
    t.match(copied, { title: 'My film', state: 'queued', origin: 'upload', share: 0 })
    t.match(copied.id, /^[a-z2-7]{32}$/)
    t.ok(copied.bytes > 4)
    t.equal(await readFile(path, 'utf8'), 'film')
    const moved = await library.addFile({ path, title: 'Two\u202e\n\n lines ', mode: 'move' })
    t.equal(moved.title, 'Two lines')
    await t.rejects(stat(path), { code: 'ENOENT' })
    t.equal(await readFile(join(directory, moved.id, 'original.mp4'), 'utf8'), 'film')
    t.same(changes, [copied.id, moved.id])
    t.equal(library.get(moved.id), undefined, 'nothing is served before it is ready')
    t.same(library.list(), [])
    t.equal(library.queued()[0]?.manifest.id, copied.id, 'the oldest first')
    t.equal(library.statuses().length, 2)
  })

  await t.test('is refused with a reason', async (t) => {
    const add = (name: string) =>
      library.addFile({ path: join(home, 'in', name), title: '', mode: 'copy' })
    await t.rejects(add('none'), { code: 'ERR_NOT_FOUND' })
    await t.rejects(add('empty'), { code: 'ERR_MEDIA' })
    await t.rejects(library.addFile({ path: home, title: '', mode: 'copy' }), { code: 'ERR_MEDIA' })
    await writeFile(join(home, 'in', 'large'), Buffer.alloc(20_000))
    await t.rejects(add('large'), { code: 'ERR_STORAGE' })
    t.equal((await readdir(directory)).length, 2, 'nothing is left of them')
  })

  await t.test('fails for good, or may be tried again', async (t) => {
    const [first, second] = library.queued()
    if (first === undefined || second === undefined) throw new Error('two wait')
    await library.fail(first, new KairoError('ERR_MEDIA', 'it is broken'))
    t.match(library.status(first.manifest.id), { state: 'failed', error: { code: 'ERR_MEDIA' } })
    t.notOk((await readdir(first.directory)).some((file) => file.startsWith('original')))
    await t.rejects(library.retry(first.manifest.id), { code: 'ERR_INVALID_INPUT' })
    await library.fail(second, new KairoError('ERR_WORKER', 'it crashed'))
    t.equal((await library.retry(second.manifest.id)).state, 'queued')
  })

  await t.test('is renamed and removed', async (t) => {
    const [{ id } = { id: '' }] = library.statuses()
    t.equal((await library.rename(id, ' New ')).title, 'New')
    await t.rejects(library.rename(id, '\n'), { code: 'ERR_INVALID_INPUT' })
    await library.remove(id)
    await t.rejects(library.remove(id), { code: 'ERR_NOT_FOUND' })
    t.equal((await readdir(directory)).length, 1)
  })

  await t.test('survives a restart, and leftovers of a crash do not', async (t) => {
    const [{ id } = { id: '' }] = library.statuses()
    await mkdir(join(directory, 'a'.repeat(20)))
    await mkdir(join(directory, `${'b'.repeat(20)}.removed`))
    await mkdir(join(directory, 'someone-elses'))
    await mkdir(join(directory, 'c'.repeat(20)))
    await writeFile(join(directory, 'c'.repeat(20), 'manifest'), 'damaged')
    const again = await openLibrary(directory)
    t.equal(again.library.statuses().length, 1)
    t.ok(again.library.status(id))
    t.same((await readdir(directory)).sort(), [id, 'c'.repeat(20), 'someone-elses'].sort())
    t.ok(clock.now() >= 0)
  })
})

test('a recording becomes a video', async (t) => {
  const home = t.testdir()
  const directory = join(home, 'vod')
  const { library, store, registry } = await openLibrary(directory)
  const from = await recording(join(home, 'recording'))
  const { id } = await library.adopt({ directory: from, title: 'Live', createdAtMs: 7 })
  await t.rejects(stat(from), { code: 'ENOENT' }, 'moved, not copied')

  await t.test('with all its segments, through the store', async (t) => {
    const presentation = library.get(id)
    t.match(presentation, {
      id,
      title: 'Live',
      createdAtMs: 7,
      durationUs: 6_000_000,
      complete: true,
    })
    t.same(presentation?.renditions[0]?.info, videoInfo)
    t.equal(presentation?.renditions[0]?.targetDurationS, 2)
    t.same(
      presentation?.renditions[0]?.segments.map(({ msn }) => msn),
      [5, 6, 7],
    )
    for (const { digest, initDigest } of presentation?.renditions[0]?.segments ?? []) {
      t.equal(library.peek(digest), undefined)
      t.ok(store.has(digest))
      t.equal(digestOf(await library.read(digest, { signal })), digest)
      t.ok(library.peek(digest), 'in RAM from then on')
      t.equal(digestOf(await library.read(initDigest, { signal })), initDigest)
    }
    await t.rejects(library.read('00', { signal }), { code: 'ERR_NOT_FOUND' })
    t.equal(library.peek('00'), undefined)
    t.match(library.usage(), { bytesMax: 10_000 })
    t.ok(library.usage().bytesFree < 10_000)
    t.match(await registry.metrics(), /kairo_vod_assets\{state="ready"\} 1/)
  })

  await t.test('captions are checked and replaced by language and label', async (t) => {
    const vtt = 'WEBVTT\r\n\r\n00:01.000 --> 00:02.000\r\nHello\r\n'
    await library.addCaptions(id, 'en', 'English', Buffer.from(`\uFEFF${vtt}`))
    await library.addCaptions(id, 'en', 'English', Buffer.from(vtt.replace('Hello', 'Hi')))
    const { captions } = library.get(id) ?? {}
    t.match(captions, [{ name: 'captions-en-2', language: 'en', label: 'English' }])
    const text = (await library.read(captions?.[0]?.digest ?? '', { signal })).toString()
    t.match(text, /^WEBVTT\n[^\r]*Hi/)
    // Several at once neither take one name nor forget each other.
    const labels = ['one', 'two', 'three']
    await Promise.all(
      labels.map((label) =>
        library.addCaptions(id, 'fr', label, Buffer.from(vtt.replace('Hello', label))),
      ),
    )
    const french = library.get(id)?.captions.filter(({ language }) => language === 'fr') ?? []
    t.same(
      french.map(({ label }) => label),
      labels,
    )
    for (const { label, digest } of french) {
      t.match((await library.read(digest, { signal })).toString(), label)
    }
    await t.rejects(library.addCaptions(id, 'e n', '', Buffer.from(vtt)), {
      code: 'ERR_INVALID_INPUT',
    })
    await t.rejects(library.addCaptions(id, 'en', 'x'.repeat(65), Buffer.from(vtt)), {
      code: 'ERR_INVALID_INPUT',
    })
    const refused = async (file: Buffer, code: string) =>
      await t.rejects(library.addCaptions(id, 'en', '', file), { code })
    await refused(Buffer.from('no captions'), 'ERR_INVALID_INPUT')
    await refused(Buffer.from(vtt.replace('Hello', 'Gr\xfc\xdfe'), 'latin1'), 'ERR_INVALID_INPUT')
    await refused(Buffer.from(`WEBVTT\n${'x'.repeat(5e6)}`), 'ERR_LIMIT')
  })

  await t.test('two videos may share objects', async (t) => {
    const twin = await library.adopt({
      ...{ directory: await recording(join(home, 'twin')), title: '', createdAtMs: 8 },
    })
    const digest = segmentWrite(5).segment.digest
    await library.remove(twin.id)
    t.ok(store.has(digest))
    t.equal(library.statuses().length, 1)
  })

  await t.test('is there after a restart; one that lost segments says so', async (t) => {
    const again = await openLibrary(directory)
    t.equal(again.library.get(id)?.captions.length, 4)
    await again.library.stop()
    const index = join(directory, id, '720p.index')
    await truncate(index, (await stat(index)).size - 3)
    const third = await openLibrary(directory)
    t.match(third.library.status(id), { state: 'failed', error: { code: 'ERR_STORAGE' } })
    t.equal(third.library.get(id), undefined)
  })

  await t.test('a damaged object is not handed out', async (t) => {
    const { library: other } = await openLibrary(join(home, 'other'))
    const { id: damaged } = await other.adopt({
      ...{ directory: await recording(join(home, 'damaged')), title: '', createdAtMs: 9 },
    })
    const path = join(home, 'other', damaged, '720p.mp4')
    await writeFile(path, Buffer.alloc((await stat(path)).size))
    await t.rejects(other.read(segmentWrite(5).segment.digest, { signal }), {
      code: 'ERR_VERIFICATION',
    })
    await other.remove(damaged)
    await t.rejects(other.read(segmentWrite(5).segment.digest, { signal }), {
      code: 'ERR_NOT_FOUND',
    })
  })

  await t.test('one without segments is no video', async (t) => {
    await mkdir(join(home, 'nothing'))
    await t.rejects(
      library.adopt({ directory: join(home, 'nothing'), title: '', createdAtMs: 0 }),
      { code: 'ERR_MEDIA' },
    )
    await rm(join(home, 'nothing'), { recursive: true })
  })
})
