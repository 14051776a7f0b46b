/** Downloads against ffmpeg and ffprobe: the same pictures and sound as the clip had, at the same times, from any byte. */
import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { Presentation } from '../../../src/content/archive/presentation.ts'
import { KairoError } from '../../../src/errors.ts'
import { downloadLimits } from '../../../src/limits/upload.ts'
import { silentLogger } from '../../../src/logger.ts'
import { createRegistry } from '../../../src/metrics/registry.ts'
import type { DownloadChoice } from '../../../src/vod/download/download-plan.ts'
import { type DownloadFile, Downloads } from '../../../src/vod/download/downloads.ts'
import { movieHead } from '../../../src/vod/download/movie-header.ts'
import { SampleTable } from '../../../src/vod/download/sample-table.ts'
import { metric } from '../../support/http-exchange.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { MemoryPresentations } from '../../support/memory-presentations.ts'
import { needs } from '../../support/needs.ts'
import {
  encodeFlv,
  libraryOf,
  type PackagedPresentation,
  packagePresentation,
} from '../../support/packaged-presentation.ts'

const best: DownloadChoice = { rendition: undefined, audio: undefined, audioOnly: false }
const others = new MemoryPresentations()
const never = { signal: new AbortController().signal }

async function startDownloads(t: Test, folder: string, made: PackagedPresentation) {
  const registry = createRegistry()
  const directory = join(folder, 'downloads')
  const library = libraryOf(made)
  const downloads = new Downloads(
    { clock: new ManualClock(Date.now()), logger: silentLogger, registry, library, others },
    { directory },
  )
  await downloads.start()
  t.teardown(() => downloads.stop())
  return { downloads, registry, directory, library }
}

async function bytesOf(file: DownloadFile, first = 0, last = file.length - 1): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of file.read(first, last, never)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A track as it is streamed: its init segment and all segments. */
function trackFile({ presentation, objects }: PackagedPresentation, track: number): Buffer {
  const segments = presentation.renditions[track]?.segments ?? []
  const digests = [segments[0]?.initDigest, ...segments.map(({ digest }) => digest)]
  return Buffer.concat(digests.map((digest) => objects.get(String(digest)) ?? Buffer.alloc(0)))
}

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, ['-v', 'error', ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

/** Hashes of all decoded pictures or blocks of sound, with their times where they count. */
function decoded(file: string, stream: string, withTimes: boolean): string[] {
  return run(
    'ffmpeg',
    '-i',
    file,
    '-map',
    `0:${stream}`,
    '-fps_mode',
    'passthrough',
    '-f',
    'framemd5',
    '-',
  )
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .map((cells) => `${withTimes ? `${cells[2]} ` : ''}${cells.at(-1)}`)
}

/** Presentation times of a stream's packets, in order, seconds. */
function packetTimes(file: string, stream: string): number[] {
  return run(
    'ffprobe',
    ...['-show_entries', 'packet=pts_time', '-select_streams', stream, '-of', 'csv=p=0', file],
  )
    .trim()
    .split('\n')
    .map(Number.parseFloat)
    .sort((a, b) => a - b)
}

test('a video as one MP4 file', { skip: needs('ffmpeg', 'ffprobe') }, async (t) => {
  const folder = t.testdir({})
  const flv = encodeFlv(folder, { seconds: 7 })
  const made = packagePresentation(flv)
  const { downloads, registry, directory } = await startDownloads(t, folder, made)
  const file = await downloads.open('clip', best, never)
  const whole = await bytesOf(file)
  const path = join(directory, 'whole.mp4')
  writeFileSync(path, whole)

  t.equal(whole.byteLength, file.length, 'the length is as promised')
  t.equal(whole.indexOf('moov') < whole.indexOf('mdat'), true, 'the tables come first')
  const frames = decoded(path, 'v:0', false)
  t.equal(frames.length, 210)
  t.same(frames, decoded(flv, 'v:0', false), 'every picture of the source')
  const audio = join(directory, 'audio.cmaf')
  writeFileSync(audio, trackFile(made, 1))
  const sounds = decoded(audio, 'a:0', false)
  t.ok(sounds.length >= 328, `${sounds.length} blocks`)
  t.same(decoded(path, 'a:0', false), sounds, 'every block of sound')
  const probe = JSON.parse(
    run('ffprobe', '-show_streams', '-show_format', '-of', 'json', path),
  ) as { streams: Record<string, string>[]; format: Record<string, string> }
  t.match(probe.streams, [
    { codec_name: 'h264', width: 320, height: 180, nb_frames: '210', avg_frame_rate: '30/1' },
    { codec_name: 'aac', sample_rate: '48000' },
  ])
  t.ok(Math.abs(Number(probe.format.duration) - 7) < 0.1, String(probe.format.duration))
  const [video, sound] = probe.streams.map(({ start_time }) => Number(start_time))
  t.ok(
    Math.min(Number(video), Number(sound)) >= 0 && Math.min(Number(video), Number(sound)) < 0.001,
  )
  t.ok(Math.abs(Number(video) - Number(sound)) < 0.1, `${video} ${sound}`)

  t.test('any bytes of it', async (t) => {
    const { headBytes } = { headBytes: whole.indexOf('mdat') + 4 }
    const ranges: [number, number][] = [
      [0, 0],
      [headBytes - 3, headBytes + 3],
      [file.length - 1, file.length - 1],
      [headBytes, file.length - 1],
      ...Array.from({ length: 40 }, (_, index): [number, number] => {
        const first = (index * 7_919) % file.length
        return [first, Math.min(file.length - 1, first + index * 997)]
      }),
    ]
    for (const [first, last] of ranges) {
      t.ok(
        (await bytesOf(file, first, last)).equals(whole.subarray(first, last + 1)),
        `${first}-${last}`,
      )
    }
  })

  t.test('the head is made once, and again when its file is lost', async (t) => {
    const again = await downloads.open('clip', best, never)
    t.equal(again.key, file.key)
    const made = () => metric(registry, 'kairo_vod_download_indexes_total', { outcome: 'made' })
    t.equal(await made(), 1)
    rmSync(join(directory, `${file.key}.head`))
    t.ok((await bytesOf(await downloads.open('clip', best, never))).equals(whole))
    t.equal(await made(), 2)
    writeFileSync(join(directory, `${file.key}.json`), '{"torn')
    t.ok((await bytesOf(await downloads.open('clip', best, never))).equals(whole))
    const [one, two] = await Promise.all([
      downloads.open('clip', { ...best, audio: 'none' }, never),
      downloads.open('clip', { ...best, audio: 'none' }, never),
    ])
    t.equal(one.key, two.key)
    t.equal(await made(), 4, 'two who ask at once wait for the same')
  })

  t.test('sound alone', async (t) => {
    const sound = await downloads.open('clip', { ...best, audioOnly: true }, never)
    t.equal(sound.rendition, undefined)
    const path = join(directory, 'sound.m4a')
    writeFileSync(path, await bytesOf(sound))
    t.same(decoded(path, 'a:0', false), sounds)
  })

  t.test('what is not there', async (t) => {
    const fails = (choice: Partial<DownloadChoice>, id = 'clip') =>
      downloads.open(id, { ...best, ...choice }, never)
    await t.rejects(fails({}, 'other'), { code: 'ERR_NOT_FOUND' })
    await t.rejects(fails({ rendition: '720p' }), { code: 'ERR_NOT_FOUND', message: /source/ })
    await t.rejects(fails({ audio: 'audio-9' }), { code: 'ERR_NOT_FOUND' })
    t.equal((await fails({ rendition: 'source', audio: 'audio' })).key, file.key)
  })
})

test('sound that begins later stays later', { skip: needs('ffmpeg', 'ffprobe') }, async (t) => {
  const folder = t.testdir({})
  const made = packagePresentation(encodeFlv(folder, { seconds: 5 }))
  const [video, audio] = made.presentation.renditions
  if (video === undefined || audio === undefined) throw new Error('two renditions')
  const late = { ...audio, segments: audio.segments.slice(1) }
  const { downloads, directory } = await startDownloads(t, folder, {
    objects: made.objects,
    presentation: { ...made.presentation, renditions: [video, late] },
  })
  const path = join(directory, 'late.mp4')
  writeFileSync(path, await bytesOf(await downloads.open('clip', best, never)))
  const wantedS = (Number(late.segments[0]?.startUs) - Number(video.segments[0]?.startUs)) / 1e6
  const distanceS = (packetTimes(path, 'a:0')[0] ?? 0) - (packetTimes(path, 'v:0')[0] ?? 0)
  // The first picture is shown two frames after it is decoded, because of the B-frames.
  t.ok(Math.abs(distanceS + 2 / 30 - wantedS) < 0.002 && wantedS > 0.9, `${distanceS} ${wantedS}`)
})

test('a recording with a gap and another configuration after it', {
  skip: needs('ffmpeg'),
}, async (t) => {
  const folder = t.testdir({})
  const first = packagePresentation(encodeFlv(folder, { seconds: 3 }))
  const second = packagePresentation(
    encodeFlv(folder, {
      seconds: 2,
      rate: 30,
      encoder: ['-bf', '0', '-g', '15', '-profile:v', 'baseline'],
    }),
  )
  const gapUs = 4_000_000
  const renditions = first.presentation.renditions.map((rendition, index) => ({
    ...rendition,
    segments: [
      ...rendition.segments,
      ...(second.presentation.renditions[index]?.segments ?? []).map((segment, position) => ({
        ...segment,
        msn: segment.msn + 10,
        startUs: segment.startUs + 3_000_000 + gapUs,
        discontinuity: position === 0,
      })),
    ],
  }))
  const presentation: Presentation = { ...first.presentation, renditions }
  const objects = new Map([...first.objects, ...second.objects])
  const { downloads, directory } = await startDownloads(t, folder, { presentation, objects })
  const path = join(directory, 'gap.mp4')
  writeFileSync(path, await bytesOf(await downloads.open('clip', best, never)))
  t.equal(decoded(path, 'v:0', false).length, 150, 'every picture')
  const times = packetTimes(path, 'v:0')
  t.ok(Math.abs((times[90] ?? 0) - (times[0] ?? 0) - 7) < 0.1, `resumes at ${times[90]} s`)
})

test('trouble', { skip: needs('ffmpeg') }, async (t) => {
  const folder = t.testdir({})
  const made = packagePresentation(encodeFlv(folder, { seconds: 3 }))
  const { downloads, library, directory } = await startDownloads(t, folder, made)
  const [rendition] = made.presentation.renditions
  const segment = rendition?.segments[0]
  if (segment === undefined) throw new Error('no segment')

  t.test('a segment that is gone, or damaged', async (t) => {
    const bytes = made.objects.get(segment.digest) as Buffer
    made.objects.delete(segment.digest)
    await t.rejects(downloads.open('clip', best, never), { code: 'ERR_NOT_FOUND' })
    made.objects.set(segment.digest, bytes.subarray(0, 500))
    await t.rejects(downloads.open('clip', best, never), { code: 'ERR_INVALID_INPUT' })
    made.objects.set(segment.digest, bytes)
    const file = await downloads.open('clip', best, never)
    const other = rendition?.segments[1]?.digest
    made.objects.set(segment.digest, made.objects.get(String(other)) as Buffer)
    await t.rejects(bytesOf(file), { code: 'ERR_VERIFICATION' })
    made.objects.set(segment.digest, bytes)
  })

  t.test('a segment that does not come', async (t) => {
    const clock = new ManualClock(Date.now())
    const registry = createRegistry()
    const objects = { ...library.objects, read: () => new Promise<Buffer>(() => {}) }
    const stuck = new Downloads(
      {
        ...{ clock, logger: silentLogger, registry },
        ...{ library: { ...library, objects, peek: () => undefined }, others },
      },
      { directory },
    )
    const file = await stuck.open('clip', best, never)
    const reading = bytesOf(file, file.length - 1)
    await settle()
    clock.advance(downloadLimits.segmentReadMsMax)
    await t.rejects(reading, { code: 'ERR_TIMEOUT' })
    t.equal(await metric(registry, 'kairo_vod_download_cut_total'), 1)
  })

  t.test('a client that leaves, and a peer that stops', async (t) => {
    const file = await downloads.open('clip', best, never)
    const gone = new AbortController()
    gone.abort(new KairoError('ERR_STOPPED', 'left'))
    const reading = async () => {
      for await (const _ of file.read(0, file.length - 1, gone)) t.pass('the head may come')
    }
    await t.rejects(reading(), { code: 'ERR_STOPPED' })
    await downloads.stop()
    await t.rejects(downloads.open('clip', { ...best, audio: 'none' }, never), {
      code: 'ERR_STOPPED',
    })
    t.notOk(readdirSync(directory).some((name) => name.endsWith('.tmp')))
  })

  t.test('a video that still grows', async (t) => {
    const growing = { ...library, get: () => ({ ...made.presentation, complete: false }) }
    const other = new Downloads(
      {
        clock: new ManualClock(),
        logger: silentLogger,
        registry: createRegistry(),
        ...{ library: growing, others },
      },
      { directory: join(directory, 'other') },
    )
    await other.start()
    await t.rejects(other.open('clip', best, never), { code: 'ERR_LOCKED' })
  })

  t.test('old heads go', async (t) => {
    const fresh = await startDownloads(t, join(folder, 'old'), made)
    for (let index = 0; index < downloadLimits.indexFilesMax; index += 1) {
      const name = join(fresh.directory, index.toString(16).padStart(64, '0'))
      writeFileSync(`${name}.json`, '{}')
      writeFileSync(`${name}.head`, 'x')
      utimesSync(`${name}.json`, index + 1, index + 1)
    }
    await fresh.downloads.open('clip', best, never)
    t.equal(readdirSync(fresh.directory).length, 2 * downloadLimits.indexFilesMax)
    t.notOk(readdirSync(fresh.directory).includes(`${'0'.repeat(64)}.json`), 'the oldest')
  })
})

test('files beyond four gigabytes', { skip: needs('ffmpeg') }, async (t) => {
  const made = packagePresentation(encodeFlv(t.testdir({}), { seconds: 3 }))
  const init = made.objects.get(String(made.presentation.renditions[0]?.segments[0]?.initDigest))
  const table = new SampleTable()
  const sample = { offset: 0, bytes: 2 ** 30, duration: 3_000, flags: 0, compositionOffset: 0 }
  const samples = [sample, sample, sample]
  for (let index = 0; index < 2; index += 1) {
    table.add(
      [{ sequence: index, trackId: 1, baseDecodeTime: index * 9_000, samples }],
      1,
      undefined,
    )
  }
  const bytes = 6 * 2 ** 30
  const head = movieHead(
    [{ inits: [init as Buffer], table, chunkOffsets: [0, 3 * 2 ** 30] }],
    bytes,
  )
  const offsets = head.subarray(head.indexOf('co64') + 12)
  t.equal(Number(offsets.readBigUInt64BE(0)), head.byteLength)
  t.equal(Number(offsets.readBigUInt64BE(8)), head.byteLength + 3 * 2 ** 30)
  t.equal(Number(head.readBigUInt64BE(head.byteLength - 8)), bytes + 16, 'a 64-bit mdat')
})

test('negative composition offsets', { skip: needs('ffmpeg') }, async (t) => {
  const made = packagePresentation(encodeFlv(t.testdir({}), { seconds: 3 }))
  const init = made.objects.get(String(made.presentation.renditions[0]?.segments[0]?.initDigest))
  const table = new SampleTable()
  const samples = [0, 6_000, -3_000].map((compositionOffset) => ({
    ...{ offset: 0, bytes: 10, duration: 3_000, flags: 0, compositionOffset },
  }))
  table.add([{ sequence: 1, trackId: 1, baseDecodeTime: 0, samples }], 1, undefined)
  const head = movieHead([{ inits: [init as Buffer], table, chunkOffsets: [0] }], 30)
  const entries = head.subarray(head.indexOf('ctts') + 12)
  // Version 0 has no negative values: all are moved, and the edit list takes it back.
  t.same(
    [0, 1, 2].map((index) => entries.readUInt32BE(index * 8 + 4)),
    [3_000, 9_000, 0],
  )
  const edits = head.subarray(head.indexOf('elst') + 12)
  t.equal(Number(edits.readBigInt64BE(8)), 3_000)
})
