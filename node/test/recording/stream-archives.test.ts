/** DVR windows and recordings of one stream, over restarts, gaps, splits, a lack of room and disks that refuse. */
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { SegmentLog } from '../../src/content/archive/segment-log.ts'
import { digestOf } from '../../src/content/digest.ts'
import { recordingLimits } from '../../src/limits/recording.ts'
import { ArchiveStage, type ArchiveStageInit, notice } from '../support/archived-stream.ts'
import { metricOf } from '../support/registry-value.ts'
import { needsSmallDisk, smallDisk } from '../support/small-disk.ts'

const { signal } = new AbortController()

async function staged(t: Test, init: Partial<ArchiveStageInit> = {}): Promise<ArchiveStage> {
  const stage = new ArchiveStage({ ...init, home: init.home ?? t.testdir({}) })
  await stage.start()
  stage.begin()
  return stage
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

test('DVR window', async (t) => {
  await t.test('grows, and moves on by whole files', async (t) => {
    const stage = await staged(t)
    await stage.segments(10, 30, ['source', 'audio', 'captions-en'])
    t.same(stage.window(), range(10, 30))
    await stage.segments(31, 60, ['source', 'audio', 'captions-en'])
    // 30 segments are the window; files of 4 make it up to 3 more.
    for (const name of ['source', 'audio', 'captions-en']) {
      const window = stage.window(name)
      t.equal(window.at(-1), 60)
      t.ok(window.length >= 30 && window.length <= 33, `${name}: ${window.length}`)
      t.same(window, range(window[0] ?? 0, 60))
    }
    const { archives } = stage
    for (const segment of archives.segments('k51test', 'source')) {
      const bytes = await archives.objects.read(segment.digest)
      t.equal(digestOf(bytes ?? Buffer.alloc(0)), segment.digest)
      t.ok(archives.objects.has(segment.initDigest))
    }
    t.notOk(archives.objects.has(digestOf(Buffer.concat(notice('source', 12).parts))))
    t.ok((await metricOf(stage.registry, 'kairo_recording_dvr_bytes')) > 1_000)
    t.same(stage.window('none'), [])
    await stage.stop()
  })

  await t.test('begins anew behind a gap', async (t) => {
    const stage = await staged(t)
    await stage.segments(0, 9)
    await stage.segments(12, 14)
    t.same(stage.window(), [12, 13, 14])
    t.equal(await metricOf(stage.registry, 'kairo_recording_dvr_restarts_total'), 1)
    // A numbering that begins again, as after the loss of the state folder.
    await stage.segments(3, 4)
    t.same(stage.window(), [3, 4])
    await stage.stop()
  })

  await t.test('is there after a restart, and joins what comes next', async (t) => {
    const stage = await staged(t)
    await stage.segments(5, 40, ['source', 'captions-en'])
    const before = stage.window()
    await stage.stop()
    const again = await staged(t, { home: t.testdirName })
    t.same(again.window(), before)
    t.same(again.window('captions-en'), stage.window('captions-en'))
    await again.segments(41, 43)
    t.same(again.window().at(-1), 43)
    t.same(again.window(), range(again.window()[0] ?? 0, 43))
    await again.stop()
    const jumped = await staged(t, { home: t.testdirName })
    await jumped.segment(100)
    t.same(jumped.window(), [100], 'numbers jump after a crash: what lies before is dropped')
    await jumped.stop()
  })

  await t.test('is deleted when the stream does not come back', async (t) => {
    const stage = await staged(t)
    await stage.segments(0, 20)
    await stage.end()
    t.equal(stage.window().length, 21, 'who watches may still go back')
    stage.clock.advance(61_000)
    await stage.settled()
    t.same(stage.window(), [])
    t.same(await readdir(join(t.testdirName, 'dvr', 'k51test')), [])
    await stage.segments(21, 22)
    t.same(stage.window(), [21, 22])
    await stage.stop()
    const again = await staged(t, { home: t.testdirName })
    again.clock.advance(61_000)
    await again.settled()
    t.same(again.window(), [])
    await again.stop()
  })

  await t.test(
    'of a rendition that is no longer made is deleted while the stream goes on',
    async (t) => {
      const stage = await staged(t)
      await stage.segments(0, 3, ['source', '720p'])
      for (let msn = 4; msn < 40; msn += 1) {
        stage.clock.advance(2_000)
        await stage.segment(msn)
      }
      t.same(stage.window('720p'), [])
      t.ok(stage.window().length >= 30)
      await stage.stop()
    },
  )

  await t.test('follows its option, and is off at 0', async (t) => {
    const stage = await staged(t)
    await stage.segments(0, 9)
    stage.options = { record: false, dvrWindowS: 0 }
    t.same(stage.window(), [])
    stage.archives.optionsChanged('main')
    await stage.settled()
    t.same(await readdir(join(t.testdirName, 'dvr', 'k51test')), [])
    await stage.segments(10, 12)
    t.same(await readdir(join(t.testdirName, 'dvr', 'k51test')), [])
    stage.options = { record: false, dvrWindowS: 20 }
    await stage.segments(13, 14)
    t.same(stage.window(), [13, 14])
    await stage.stop()
  })

  await t.test('is deleted with the stream, and what no stream owns at the start', async (t) => {
    const stage = await staged(t)
    await stage.segments(0, 3)
    await stage.archives.forget('k51test')
    t.same(await readdir(join(t.testdirName, 'dvr')), ['recordings'])
    t.same(stage.window(), [])
    await stage.stop()
    const other = join(t.testdirName, 'dvr', 'k51other')
    await SegmentLog.open({ registry: stage.registry }, { directory: other, name: 'source' })
    const again = await staged(t, { home: t.testdirName })
    await t.rejects(stat(other), { code: 'ENOENT' })
    await again.stop()
  })

  await t.test('that is damaged on disk is begun anew', async (t) => {
    const stage = await staged(t)
    await stage.segments(0, 3)
    await stage.stop()
    const index = join(t.testdirName, 'dvr', 'k51test', 'source.index')
    await rm(index)
    await writeFile(`${index}`, Buffer.alloc(0))
    await truncate(join(t.testdirName, 'dvr', 'k51test', 'source.mp4'), 3)
    const again = await staged(t, { home: t.testdirName })
    t.same(again.window(), [])
    await again.segments(4, 5)
    t.same(again.window(), [4, 5])
    await again.stop()
  })

  await t.test('becomes shorter where there is no room for it', async (t) => {
    const stage = await staged(t, { bytesMax: 40_000, options: { record: false, dvrWindowS: 600 } })
    for (let msn = 0; msn < 100; msn += 1) await stage.segment(msn, ['source'], 1_000)
    t.ok(stage.window().length > 5, `${stage.window().length}`)
    t.ok(stage.window().length < 40)
    t.equal(stage.window().at(-1), 99)
    t.ok(stage.archives.usedBytes() < 40_000)
    t.ok((await metricOf(stage.registry, 'kairo_recording_dvr_shortened_total')) > 0)
    t.equal(await metricOf(stage.registry, 'kairo_recording_skipped_segments_total'), 0)
    await stage.stop()
  })
})

test('recording', async (t) => {
  const record = { record: true, dvrWindowS: 60 }

  await t.test('is a video while it runs and when it ended, under one name', async (t) => {
    const stage = await staged(t, { options: record })
    const names = ['source', 'audio', 'captions-en']
    await stage.segments(7, 60, names)
    const [running] = stage.archives.recordings()
    t.match(running, { stream: 'main', durationUs: 54 * 2_000_000 })
    const id = running?.id ?? ''
    const growing = stage.archives.get(id)
    t.match(growing, { complete: false, title: /^Main, 2023-11-14/ })
    t.same(
      growing?.renditions.map(({ segments }) => segments.length),
      [54, 54, 54],
    )
    t.same(
      stage.archives.list().map((one) => one.id),
      [id],
    )
    const first = growing?.renditions.find(({ info }) => info.name === 'source')?.segments[0]
    t.notOk(stage.window().includes(7), 'the window has moved on')
    const bytes = await stage.archives.read(first?.digest ?? '', { signal })
    t.ok(bytes.equals(Buffer.concat(notice('source', 7).parts)))
    t.equal(stage.archives.usedBytes() < 20_000, true)
    await stage.end()
    t.same(stage.archives.recordings(), [])
    const done = stage.archives.get(id)
    t.match(done, { complete: true, durationUs: 54 * 2_000_000 })
    t.same(done?.renditions.map(({ info, segments }) => [info.name, segments.length]).sort(), [
      ['audio', 54],
      ['captions-en', 54],
      ['source', 54],
    ])
    for (const { segments } of done?.renditions ?? []) {
      for (const { digest } of segments) {
        t.equal(digestOf(await stage.archives.read(digest, { signal })), digest)
      }
    }
    t.same(await readdir(join(t.testdirName, 'dvr', 'recordings')), [])
    t.notOk((await readdir(join(t.testdirName, 'vod', id))).includes('reserve'))
    t.same(stage.events, ['started', 'finished: ended'])
    t.ok(stage.window().length >= 30, 'the window stays')
    await stage.stop()
    const again = await staged(t, { home: t.testdirName })
    t.equal(again.archives.get(id)?.renditions.length, 3)
    await again.stop()
  })

  await t.test('writes nothing twice', async (t) => {
    const stage = await staged(t, { options: record })
    await stage.segments(0, 3)
    const [recording] = await readdir(join(t.testdirName, 'dvr', 'recordings'))
    const folder = join(t.testdirName, 'dvr', 'recordings', recording ?? '')
    const one = await stat(join(folder, 'source.0.mp4').replace('.0.', '.'))
    const other = await stat(join(t.testdirName, 'dvr', 'k51test', 'source.mp4'))
    t.equal(one.ino, other.ino)
    await stage.stop()
  })

  await t.test('without a window, and without a trace of one', async (t) => {
    const stage = await staged(t, { options: { record: true, dvrWindowS: 0 } })
    await stage.segments(0, 70)
    t.same(stage.window(), [])
    await stage.end()
    t.equal(stage.archives.list()[0]?.renditions[0]?.segments.length, 71)
    await stage.stop()
  })

  await t.test('begins and ends when it is told to', async (t) => {
    const stage = await staged(t)
    t.throws(() => stage.archives.want('other', true), { code: 'ERR_NOT_FOUND' })
    await stage.segments(0, 4, ['source', 'audio'])
    stage.archives.want('main', true)
    stage.archives.want('main', true)
    await stage.segments(5, 9, ['source', 'audio'])
    stage.archives.want('main', false)
    await stage.segments(10, 12, ['source', 'audio'])
    const [video] = stage.archives.list()
    t.same(
      video?.renditions.map(({ segments }) => segments.map(({ msn }) => msn)),
      [range(5, 9), range(5, 9)],
    )
    t.same(stage.window(), range(0, 12), 'the window does not notice')
    for (const { digest } of stage.archives.segments('k51test', 'source')) {
      t.ok(await stage.archives.objects.read(digest))
    }
    stage.options = { record: true, dvrWindowS: 60 }
    stage.archives.optionsChanged('main')
    await stage.segment(13)
    t.same(stage.archives.recordings(), [], 'what the operator said holds until the stream ends')
    await stage.end()
    t.throws(() => stage.archives.want('main', true), { code: 'ERR_NOT_FOUND' })
    await stage.segment(14)
    t.equal(stage.archives.recordings().length, 1)
    await stage.stop()
    t.same(stage.events, ['started', 'finished: stopped', 'started', 'finished: peer stopped'])
  })

  await t.test('keeps the small pictures that are made meanwhile as its storyboard', async (t) => {
    const stage = await staged(t, { options: record })
    stage.archives.picture('k51test', { msn: 0, jpeg: Buffer.from('before') })
    for (let msn = 1; msn <= 20; msn += 1) {
      await stage.segment(msn)
      const jpeg = Buffer.from(`picture of ${msn}`)
      if (msn % 5 === 1) stage.archives.picture('k51test', { msn, jpeg })
    }
    await stage.end()
    const [video] = stage.archives.list()
    const sprites = [1, 6, 11, 16].map((msn) => digestOf(Buffer.from(`picture of ${msn}`)))
    t.match(video?.storyboard, { intervalMs: 10_000, count: 4, columns: 1, rows: 1, sprites })
    for (const digest of sprites) {
      t.equal(digestOf(await stage.archives.read(digest, { signal })), digest)
    }
    const files = await readdir(join(t.testdirName, 'vod', video?.id ?? ''))
    t.notOk(files.some((name) => name.startsWith('picture-')))
    await stage.stop()
  })

  await t.test('goes on in another video behind a gap', async (t) => {
    const stage = await staged(t, { options: record })
    await stage.segments(0, 9, ['audio', 'source', '720p'])
    await stage.segments(11, 15, ['audio', 'source', '720p'])
    await stage.end()
    const counts = stage.archives
      .list()
      .map(({ renditions }) => renditions.map(({ segments }) => segments.length).join())
    t.same(counts.sort(), ['10,10,10', '5,5,5'])
    await stage.stop()
  })

  await t.test('leaves out what was not there all the time', async (t) => {
    const stage = await staged(t, { options: record })
    await stage.segments(0, 1, ['source'])
    await stage.segments(2, 9, ['source', '720p', '480p', '360p'])
    await stage.segments(10, 11, ['source', '720p'])
    await stage.segments(12, 20, ['source', '720p', '360p'])
    const growing = stage.archives.list()[0]
    t.same(growing?.renditions.find(({ info }) => info.name === '360p')?.segments.length, 8)
    await stage.end()
    const names = stage.archives.list()[0]?.renditions.map(({ info }) => info.name)
    t.same(names, ['720p', 'source'])
    t.equal(await metricOf(stage.registry, 'kairo_recording_left_out_renditions_total'), 2)
    await stage.stop()
  })

  await t.test('is a video after a crash, cut to what was whole', async (t) => {
    const stage = await staged(t, { options: record })
    await stage.segments(0, 45)
    const id = stage.archives.recordings()[0]?.id ?? ''
    // What a killed process leaves: the files as they are, with half a segment at the end.
    const folder = join(t.testdirName, 'dvr', 'recordings', id)
    const path = join(folder, 'source.11.mp4')
    const media = await readFile(path)
    await writeFile(path, media.subarray(0, media.byteLength - 5))
    const again = await staged(t, { home: t.testdirName })
    t.match(again.archives.get(id), { complete: true, title: /^Main/ })
    t.equal(again.archives.get(id)?.renditions[0]?.segments.length, 45)
    t.same(again.events, ['finished: crash'])
    await again.stop()
  })

  await t.test('of nothing is no video', async (t) => {
    const home = t.testdir({
      dvr: { recordings: { abcdefghijklmnopqrst: { 'recording.json': 'no json', reserve: '' } } },
    })
    const stage = await staged(t, { home })
    t.same(stage.archives.list(), [])
    t.same(await readdir(join(home, 'dvr', 'recordings')), [])
    t.same(stage.events, ['failed: ERR_MEDIA'])
    await stage.stop()
  })

  await t.test(
    'ends with what it has when its room is used up, and the window goes on',
    async (t) => {
      const stage = await staged(t, { bytesMax: 20_000, options: record })
      for (let msn = 0; msn < 40; msn += 1) await stage.segment(msn, ['source'], 1_000)
      await stage.settled()
      const [video] = stage.archives.list()
      t.equal(video?.complete, true)
      t.ok((video?.renditions[0]?.segments.length ?? 0) > 8)
      t.ok(stage.events.includes('failed: ERR_STORAGE'), stage.events.join())
      t.ok(stage.events.includes('finished: storage'))
      t.equal(
        stage.events.filter((event) => event === 'started').length,
        1,
        'it does not begin again',
      )
      await stage.stop()
    },
  )
})

test('a full disk', { skip: needsSmallDisk() }, async (t) => {
  const disk = smallDisk(1_000_000)
  t.teardown(() => disk.remove())
  const stage = await staged(t, { home: disk.directory, options: { record: true, dvrWindowS: 60 } })
  for (let msn = 0; msn < 40; msn += 1) await stage.segment(msn, ['source'], 30_000)
  const [video] = stage.archives.list()
  t.equal(video?.complete, true, 'the recording is a video although nothing more fits on the disk')
  const count = video?.renditions[0]?.segments.length ?? 0
  t.ok(count > 20 && count < 34, `${count}`)
  for (const { digest } of video?.renditions[0]?.segments ?? []) {
    t.equal(digestOf(await stage.archives.read(digest, { signal })), digest)
  }
  t.ok(stage.events.includes('failed: ERR_STORAGE'))
  t.ok(stage.events.includes('dvr failed: ERR_STORAGE'))
  t.same(await readdir(join(disk.directory, 'dvr', 'recordings')), [])
  t.equal(
    await metricOf(stage.registry, 'kairo_recording_failures_total', { what: 'recording' }),
    1,
  )
  await stage.library.remove(video?.id ?? '')
  await stage.segments(40, 45, ['source'], 30_000)
  t.equal(stage.window().at(-1), 45, 'the window is there again by itself')
  t.ok(stage.events.includes('dvr resumed'))
  await stage.stop()
})

test('a disk that is too slow', async (t) => {
  const stage = await staged(t, { options: { record: true, dvrWindowS: 60 } })
  const calls = range(0, recordingLimits.pendingSegmentsMax + 2).map((msn) => stage.segment(msn))
  await Promise.all(calls)
  t.ok(stage.events.includes('dvr failed: ERR_LIMIT'))
  t.ok((await metricOf(stage.registry, 'kairo_recording_skipped_segments_total')) > 0)
  await stage.segments(20, 21)
  t.same(stage.window(), [20, 21])
  await stage.stop()
})
