/**
 * A file becomes a video: how long Kairo's library takes for a ladder of 1080, 720 and 480 lines and sound, by chunks side by side,
 * against one ffmpeg command that makes the same ladder, in turns, and the quality of both.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../node/src/clock.ts'
import { ContentStore } from '../node/src/content/store/store.ts'
import { makeVideoId } from '../node/src/content/videos/video-id.ts'
import { mediaChildLimits } from '../node/src/limits/media-child.ts'
import { silentLogger } from '../node/src/logger.ts'
import { MediaPool } from '../node/src/media/child/pool.ts'
import type { VideoRung } from '../node/src/media/ladder/rung.ts'
import { createRegistry } from '../node/src/metrics/registry.ts'
import { VodLibrary } from '../node/src/vod/library.ts'
import { VodPipeline } from '../node/src/vod/pipeline.ts'
import { type BenchResult, formatTable } from './result.ts'
import { cacheFolder } from './support/cache-folder.ts'
import { runProgram } from './support/child-program.ts'
import { loadDetailClip } from './support/detail-clip.ts'
import { kairoVersion } from './support/kairo-process.ts'
import { median, round } from './support/statistics.ts'

const RUNS = 3
/** Times that the clip of 8 s is repeated. */
const REPEATS = 8
/** Quality is measured on the beginning: comparing pictures takes as long as making them. */
const SSIM_S = 8
const SOUND_BPS = 160_000
const targets = { wallVsFfmpeg: 1 } as const

const rungs: readonly VideoRung[] = [
  rung('1080p', 1_920, 1_080, 5_000_000),
  rung('720p', 1_280, 720, 2_800_000),
  rung('480p', 854, 480, 1_200_000),
]

interface LadderRun {
  readonly wallS: number
  /** Processor seconds of all that worked on it: tells the work apart from the share of a busy machine. */
  readonly cpuS: number
  readonly files: readonly string[]
}

function rung(name: string, width: number, height: number, bitrateBps: number): VideoRung {
  return {
    ...{ name, encoder: 'libx264', codec: 'h264', width, height, frameRate: undefined },
    ...{ bitrateBps, bitrateMaxBps: bitrateBps * 1.5, bufferMs: 2_000 },
    ...{ preset: 'veryfast', bFramesMax: 2, dynamicRange: 'sdr' },
  }
}

/** Measures; about twelve minutes on two cores. */
export async function run(): Promise<BenchResult> {
  const source = await loadSource()
  const folder = await mkdtemp(join(tmpdir(), 'kairo-bench-vod-'))
  try {
    const ours: LadderRun[] = []
    const theirs: LadderRun[] = []
    for (let turn = 0; turn < RUNS; turn += 1) {
      ours.push(await runKairo(source, join(folder, `kairo-${turn}`), folder))
      theirs.push(await runFfmpeg(source, folder))
    }
    const quality = { ours: await qualityOf(source, ours), theirs: await qualityOf(source, theirs) }
    return await report(ours, theirs, quality)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The detailed clip several times over, with sound. */
async function loadSource(): Promise<string> {
  const clip = await loadDetailClip()
  const path = join(cacheFolder(), `vod-1080p30-${REPEATS}x.mp4`)
  if (existsSync(path)) return path
  await runProgram('ffmpeg', [
    ...['-hide_banner', '-loglevel', 'error', '-y', '-stream_loop', String(REPEATS - 1)],
    ...['-i', clip.path, '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
    ...['-map', '0:v', '-map', '1:a', '-shortest', '-c:v', 'copy', '-c:a', 'aac', '-ac', '2'],
    ...['-f', 'mp4', `${path}.partial`],
  ])
  await rename(`${path}.partial`, path)
  return path
}

/** From a file to a video that plays; the pictures for scrubbing are left out, since the other side makes none. */
async function runKairo(source: string, directory: string, folder: string): Promise<LadderRun> {
  const parallel = availableParallelism()
  const common = { clock: systemClock, logger: silentLogger, registry: createRegistry() }
  const media = new MediaPool(common, { warm: parallel, childrenMax: parallel + 2 })
  media.start()
  while (media.stats().filter(({ state }) => state === 'warm').length < parallel) await tick()
  const store = new ContentStore(common, { memoryBytesMax: 64 * 2 ** 20, diskBytesMax: 0 })
  const library = new VodLibrary(
    { ...common, store },
    { directory, bytesMax: 10 * 2 ** 30, newId: () => makeVideoId('bench', randomBytes) },
  )
  await library.start()
  const pipeline = new VodPipeline(
    {
      ...{ ...common, library, media, canStart: () => true },
      ladder: () => ({
        ...{ video: rungs, dropped: [], limitedByBitrate: false },
        audio: [
          {
            name: 'audio-aac',
            codec: 'aac',
            bitrateBps: SOUND_BPS,
            channels: 2,
            sampleRate: 48_000,
          },
        ],
      }),
    },
    { parallel, copySource: false, storyboard: false },
  )
  pipeline.start()
  const startedAtMs = performance.now()
  const { id } = await library.addFile({ path: source, title: 'bench', mode: 'copy' })
  const video = await new Promise<NonNullable<ReturnType<VodLibrary['status']>>>((resolve) => {
    library.events.on('vod:changed', () => {
      const status = library.status(id)
      if (status?.state === 'ready' || status?.state === 'failed') resolve(status)
    })
  })
  const wallS = (performance.now() - startedAtMs) / 1_000
  if (video.error !== undefined) throw new Error(video.error.message)
  const files: string[] = []
  for (const { info, segments } of library.get(id)?.renditions ?? []) {
    if (info.kind !== 'video') continue
    const { signal } = new AbortController()
    const [first] = segments
    const digests = [first?.initDigest ?? '', ...segments.map(({ digest }) => digest)]
    const parts = await Promise.all(digests.map((digest) => library.read(digest, { signal })))
    files.push(join(folder, `kairo-${info.name}.mp4`))
    await writeFile(files.at(-1) ?? '', Buffer.concat(parts))
  }
  await pipeline.stop()
  await library.stop()
  await media.stop()
  const used = await common.registry.getSingleMetric('kairo_media_cpu_seconds_total')?.get()
  const cpuS = (used?.values ?? []).reduce((sum, { value }) => sum + value, 0)
  return { wallS, cpuS, files }
}

/** The same ladder by one command: decoded once, split, scaled, encoded with all the threads that each encoder likes. */
async function runFfmpeg(source: string, folder: string): Promise<LadderRun> {
  const names = rungs.map((_, index) => `[v${index}]`).join('')
  const scales = rungs.map(
    ({ width, height }, index) => `[v${index}]scale=${width}:${height}:flags=bicubic[o${index}]`,
  )
  const files = rungs.map(({ name }) => join(folder, `ffmpeg-${name}.mp4`))
  const startedAtMs = performance.now()
  // Kairo's children step back behind other work of the machine; so does this one.
  const log = await runProgram('nice', [
    ...['-n', String(mediaChildLimits.backgroundNiceness)],
    ...['ffmpeg', '-hide_banner', '-nostats', '-benchmark', '-y', '-i', source],
    ...['-filter_complex', [`[0:v]split=${rungs.length}${names}`, ...scales].join(';')],
    ...rungs.flatMap((one, index) => [
      ...['-map', `[o${index}]`, '-c:v', 'libx264', '-preset', one.preset],
      ...['-b:v', String(one.bitrateBps), '-maxrate', String(one.bitrateMaxBps)],
      ...['-bufsize', String((one.bitrateMaxBps * one.bufferMs) / 1_000)],
      ...['-bf', String(one.bFramesMax), '-g', '120', '-keyint_min', '120', '-sc_threshold', '0'],
      files[index] as string,
    ]),
    ...['-map', '0:a', '-c:a', 'aac', '-b:a', String(SOUND_BPS), join(folder, 'ffmpeg-audio.mp4')],
  ])
  const wallS = (performance.now() - startedAtMs) / 1_000
  const [, user, system] = /utime=([\d.]+)s stime=([\d.]+)s/.exec(log) ?? []
  return { wallS, cpuS: Number(user) + Number(system), files }
}

/** Mean structural similarity over the rungs of the last run, and their bits together. */
async function qualityOf(source: string, runs: readonly LadderRun[]): Promise<readonly number[]> {
  const ssims: number[] = []
  for (const [index, file] of (runs.at(-1)?.files ?? []).entries()) {
    const { width, height } = rungs[index] as VideoRung
    const log = await runProgram('ffmpeg', [
      ...['-hide_banner', '-loglevel', 'info', '-nostats'],
      ...['-t', String(SSIM_S), '-i', file, '-t', String(SSIM_S), '-i', source],
      ...[
        '-lavfi',
        `[0:v]settb=1/90000,setpts=N*3000[a];[1:v]scale=${width}:${height}:flags=bicubic,settb=1/90000,setpts=N*3000[b];[a][b]ssim`,
      ],
      ...['-f', 'null', '-'],
    ])
    ssims.push(Number(/SSIM .*All:([\d.]+)/.exec(log)?.[1]))
  }
  return ssims
}

async function report(
  ours: readonly LadderRun[],
  theirs: readonly LadderRun[],
  quality: { readonly ours: readonly number[]; readonly theirs: readonly number[] },
): Promise<BenchResult> {
  const mean = (values: readonly number[]): number =>
    round(values.reduce((sum, one) => sum + one, 0) / values.length, 4)
  const wall = (runs: readonly LadderRun[]): number => median(runs.map(({ wallS }) => wallS))
  const cpu = (runs: readonly LadderRun[]): number => round(median(runs.map(({ cpuS }) => cpuS)))
  const wallVsFfmpeg = round(wall(ours) / wall(theirs), 3)
  const values = {
    ...{ wallS: round(wall(ours)), wallFfmpegS: round(wall(theirs)) },
    ...{ cpuS: cpu(ours), cpuFfmpegS: cpu(theirs) },
    ...{ ssim: mean(quality.ours), ssimFfmpeg: mean(quality.theirs) },
  }
  const version = await runProgram('ffmpeg', ['-version'])
  const rows = [
    ['ladder of 1080, 720, 480 and sound', 'kairo', 'ffmpeg'],
    ['wall seconds, median', String(values.wallS), String(values.wallFfmpegS)],
    ['processor seconds, median', String(values.cpuS), String(values.cpuFfmpegS)],
    ...rungs.map(({ name }, index) => [
      `SSIM ${name}`,
      String(quality.ours[index]),
      String(quality.theirs[index]),
    ]),
  ]
  return {
    ok: wallVsFfmpeg < targets.wallVsFfmpeg && values.ssim > values.ssimFfmpeg - 0.005,
    ratios: { wallVsFfmpeg },
    values,
    peers: { kairo: kairoVersion(), ffmpeg: /ffmpeg version (\S+)/.exec(version)?.[1] ?? '' },
    table: formatTable(rows),
  }
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20))
}
