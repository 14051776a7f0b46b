/** Segment logs: what goes in comes out, after crashes at any byte, on a disk that refuses, and with old segments dropped. */
import { mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import { test } from 'tap'
import {
  SegmentLog,
  type SegmentLogInit,
  segmentLogNames,
} from '../../../src/content/archive/segment-log.ts'
import { digestOf } from '../../../src/content/digest.ts'
import { archiveLimits } from '../../../src/limits/vod.ts'
import { segmentWrite, videoInfo } from '../../support/archive-segments.ts'
import { needsSmallDisk, smallDisk } from '../../support/small-disk.ts'

async function countOf(registry: Registry, name: string): Promise<number> {
  const values = (await registry.getSingleMetric(name)?.get())?.values ?? []
  return values.reduce((sum, { value }) => sum + value, 0)
}

function openAt(
  directory: string,
  options: Partial<SegmentLogInit> = {},
  registry = new Registry(),
): Promise<SegmentLog> {
  return SegmentLog.open({ registry }, { directory, name: '720p', ...options })
}

async function filled(directory: string, count: number, options: Partial<SegmentLogInit> = {}) {
  const log = await openAt(directory, options)
  await log.describe(videoInfo)
  for (let msn = 0; msn < count; msn++) await log.append(segmentWrite(msn, Math.floor(msn / 4)))
  return log
}

test('segment log', async (t) => {
  await t.test('gives back what it was given, also after it was opened again', async (t) => {
    const directory = join(t.testdir(), 'new')
    const log = await filled(directory, 6, { durable: true })
    await log.close()
    for (const writable of [true, false]) {
      const again = await openAt(directory, { writable })
      t.same(again.info, videoInfo)
      t.same(
        again.segments,
        Array.from({ length: 6 }, (_, msn) => segmentWrite(msn, Math.floor(msn / 4)).segment),
      )
      for (const segment of again.segments) {
        t.equal(digestOf(await again.read(segment.digest)), segment.digest)
        t.equal(digestOf(await again.read(segment.initDigest)), segment.initDigest)
        t.ok(again.has(segment.digest))
      }
      t.equal([...again.digests()].length, 8)
      t.equal(
        again.bytes,
        (await stat(join(directory, '720p.mp4'))).size +
          (await stat(join(directory, '720p.index'))).size,
      )
      await t.rejects(again.read('00'), { code: 'ERR_NOT_FOUND' })
      await again.close()
    }
    t.same(await segmentLogNames(directory), ['720p'])
  })

  await t.test('the media file is the init segments and segments in order', async (t) => {
    const directory = t.testdir()
    const log = await filled(directory, 5)
    await log.close()
    const writes = Array.from({ length: 5 }, (_, msn) => segmentWrite(msn, Math.floor(msn / 4)))
    const expected = writes.flatMap((write, msn) => [
      ...(msn % 4 === 0 ? [write.init] : []),
      ...write.parts,
    ])
    t.ok((await readFile(join(directory, '720p.mp4'))).equals(Buffer.concat(expected)))
  })

  await t.test(
    'works off overlapping calls in order and refuses what the disk cannot follow',
    async (t) => {
      const registry = new Registry()
      const log = await openAt(t.testdir(), {}, registry)
      const large = Math.ceil(archiveLimits.queueBytesMax * 0.4)
      const pending = [0, 1].map((msn) => log.append(segmentWrite(msn, 0, large)))
      t.ok(log.queuedBytes > large)
      await t.rejects(log.append(segmentWrite(2, 0, large)), { code: 'ERR_LIMIT' })
      t.equal(await countOf(registry, 'kairo_archive_queue_full_total'), 1)
      await Promise.all(pending)
      await log.append(segmentWrite(2))
      t.same(
        log.segments.map(({ msn }) => msn),
        [0, 1, 2],
      )
      t.equal(log.queuedBytes, 0)
      await log.close()
      await t.rejects(log.append(segmentWrite(3)), { code: 'ERR_STOPPED' })
      await t.rejects(log.describe(videoInfo), { code: 'ERR_STOPPED' })
    },
  )

  await t.test('drops old segments by whole files, and goes on with the numbers', async (t) => {
    const directory = t.testdir()
    const log = await filled(directory, 10, { segmentsPerFileMax: 3 })
    t.same((await readdir(directory)).length, 8)
    const [first] = log.segments
    await log.dropBefore(7)
    t.same(
      log.segments.map(({ msn }) => msn),
      [6, 7, 8, 9],
      'segment 6 shares a file with 7',
    )
    t.notOk(log.has(first?.digest ?? ''))
    t.same((await readdir(directory)).sort(), [
      '720p.2.index',
      '720p.2.mp4',
      '720p.3.index',
      '720p.3.mp4',
    ])
    for (const segment of log.segments) await log.read(segment.initDigest)
    await log.append(segmentWrite(10))
    await log.close()
    const again = await openAt(directory, { segmentsPerFileMax: 3 })
    t.same(
      again.segments.map(({ msn }) => msn),
      [6, 7, 8, 9, 10],
    )
    t.same(again.info, videoInfo, 'each file knows the rendition')
    await again.dropBefore(1_000)
    t.same(
      again.segments.map(({ msn }) => msn),
      [9, 10],
      'the newest file stays',
    )
    await again.close()
  })

  await t.test('says what it cannot do', async (t) => {
    const directory = t.testdir({ file: 'x' })
    await t.rejects(openAt(join(directory, 'file')), { code: 'ERR_STORAGE' })
    await t.rejects(openAt(join(directory, 'none'), { writable: false }), { code: 'ERR_STORAGE' })
    const damaged = join(directory, 'damaged')
    const log = await filled(damaged, 2)
    await log.close()
    const bytes = await readFile(join(damaged, '720p.mp4'))
    const registry = new Registry()
    const again = await openAt(damaged, { writable: false }, registry)
    const flipped = Buffer.from(bytes)
    flipped[30] = (bytes[30] ?? 0) ^ 1
    await writeFile(join(damaged, '720p.mp4'), flipped)
    await t.rejects(again.read(again.segments[0]?.digest ?? ''), { code: 'ERR_VERIFICATION' })
    t.equal(await countOf(registry, 'kairo_archive_corrupt_total'), 1)
    await writeFile(join(damaged, '720p.mp4'), bytes)
    await mkdir(join(directory, 'twice'))
    for (const [from, to] of [
      ['720p', '720p'],
      ['720p', '720p.4'],
    ]) {
      for (const end of ['mp4', 'index']) {
        await writeFile(
          join(directory, 'twice', `${to}.${end}`),
          await readFile(join(damaged, `${from}.${end}`)),
        )
      }
    }
    await t.rejects(
      openAt(join(directory, 'twice')),
      { code: 'ERR_STORAGE' },
      'numbers must grow over files',
    )
  })

  await t.test('a file of a later version is left alone', async (t) => {
    const directory = t.testdir()
    const log = await filled(directory, 1)
    await log.close()
    // Header record: length 4, field 1 of 2 bytes, version.
    const index = await readFile(join(directory, '720p.index'))
    const { encodeCheckedRecord } = await import('../../../src/content/archive/checked-record.ts')
    const header = encodeCheckedRecord(Buffer.from([0x0a, 0x02, 0x08, 0x02]))
    await writeFile(
      join(directory, '720p.index'),
      Buffer.concat([header, index.subarray(header.byteLength)]),
    )
    await t.rejects(openAt(directory), { code: 'ERR_STORAGE', message: /version 2/ })
    t.equal((await readFile(join(directory, '720p.index'))).byteLength, index.byteLength)
  })
})

test('segment log after a crash', async (t) => {
  const directory = t.testdir()
  const log = await filled(join(directory, 'whole'), 5)
  await log.close()
  const media = await readFile(join(directory, 'whole', '720p.mp4'))
  const index = await readFile(join(directory, 'whole', '720p.index'))
  const digests = log.segments.map(({ digest }) => digest)

  /** Opens damaged files, checks that a prefix is there and readable, and that writing goes on. */
  async function recovers(name: string, mediaBytes: Buffer, indexBytes: Buffer): Promise<number> {
    const folder = join(directory, name)
    await mkdir(folder)
    await writeFile(join(folder, '720p.mp4'), mediaBytes)
    await writeFile(join(folder, '720p.index'), indexBytes)
    const again = await openAt(folder)
    const found = again.segments.map(({ digest }) => digest)
    const readable = await Promise.allSettled(found.map((digest) => again.read(digest)))
    const next = found.length
    await again.append(segmentWrite(next, Math.floor(next / 4)))
    await again.close()
    const third = await openAt(folder)
    const same = JSON.stringify(found) === JSON.stringify(digests.slice(0, next))
    const grown = third.segments.length === next + 1
    await third.read(third.segments.at(-1)?.digest ?? '')
    await third.close()
    t.ok(same && grown, name)
    return readable.filter(({ status }) => status === 'fulfilled').length
  }

  await t.test('the index ends at any byte', async (t) => {
    let best = 0
    for (let end = 0; end <= index.byteLength; end += 1) {
      best = Math.max(best, await recovers(`i${end}`, media, index.subarray(0, end)))
    }
    t.equal(best, 5)
  })

  await t.test('the media end at any byte', async () => {
    for (let end = 0; end <= media.byteLength; end += 3) {
      await recovers(`m${end}`, media.subarray(0, end), index)
    }
  })

  await t.test('any bit is flipped, in either file, at the end or in the middle', async () => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.nat(),
        fc.nat(7),
        fc.nat(),
        async (inIndex, at, bit, cut) => {
          run += 1
          const bytes = Buffer.from(inIndex ? index : media)
          bytes[at % bytes.byteLength] = (bytes[at % bytes.byteLength] ?? 0) ^ (1 << bit)
          const cutMedia = media.subarray(0, media.byteLength - (cut % 8))
          await recovers(`f${run}`, inIndex ? cutMedia : bytes, inIndex ? bytes : index)
        },
      ),
      { numRuns: 150 },
    )
  })

  await t.test('leftovers of a write that was refused half way are written over', async (t) => {
    const folder = join(directory, 'leftover')
    const first = await filled(folder, 2)
    await first.close()
    const { size } = await stat(join(folder, '720p.mp4'))
    await truncate(join(folder, '720p.mp4'), size + 17)
    const again = await openAt(folder)
    t.equal((await stat(join(folder, '720p.mp4'))).size, size)
    t.equal(again.segments.length, 2)
    await again.close()
  })
})

test('segment log on a full disk', { skip: needsSmallDisk() }, async (t) => {
  const disk = smallDisk(1024 * 1024)
  t.teardown(() => disk.remove())
  const registry = new Registry()
  const log = await openAt(disk.directory, { durable: true }, registry)
  const write = (msn: number) => log.append(segmentWrite(msn, 0, 100_000))
  let msn = 0
  for (;;) {
    const error = await write(msn).then(
      () => undefined,
      (reason: unknown) => reason as { code: string },
    )
    if (error === undefined) {
      msn += 1
      continue
    }
    t.equal(error.code, 'ERR_STORAGE')
    break
  }
  t.equal(msn, 10)
  t.equal(await countOf(registry, 'kairo_archive_write_failures_total'), 1)
  await t.rejects(write(msn), { code: 'ERR_STORAGE' }, 'and it stays full')
  // A smaller one still fits behind the ten.
  await log.append(segmentWrite(msn, 0, 100))
  await log.close()
  const again = await openAt(disk.directory)
  t.equal(again.segments.length, 11)
  for (const segment of again.segments)
    t.equal(digestOf(await again.read(segment.digest)), segment.digest)
  await again.close()
})
