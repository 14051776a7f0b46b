/**
 * A live ladder, 1080p30 to 1080, 720 and 480 with x264 `veryfast`: processor time and quality against the ffmpeg command line at
 * the same settings on the same pictures in turns, and how soon a warm child has the first part's worth of pictures out.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../node/src/clock.ts'
import { silentLogger } from '../node/src/logger.ts'
import { encoderThreads } from '../node/src/media/child/av/threads.ts'
import { MediaPool } from '../node/src/media/child/pool.ts'
import type { VideoRung } from '../node/src/media/ladder/rung.ts'
import { createRegistry } from '../node/src/metrics/registry.ts'
import { type BenchResult, formatTable } from './result.ts'
import { runProgram } from './support/child-program.ts'
import { type DetailClip, loadDetailClip } from './support/detail-clip.ts'
import { kairoVersion } from './support/kairo-process.ts'
import {
  type BenchRung,
  type LadderRun,
  runFfmpeg,
  runKairo,
  ssimOf,
} from './support/ladder-runs.ts'
import { median, round } from './support/statistics.ts'

const RUNS = 3
const FRAME_RATE = 30
/** A part of 200 ms, 1/90000 s. */
const PART_TICKS = 18_000
const TICKS_PER_MS = 90
const targets = { cpuVsFfmpeg: 1.1, warmFirstPartMs: 700 } as const

const rungs: readonly BenchRung[] = [
  rung('1080p', 1_920, 1_080, 5_000_000),
  rung('720p', 1_280, 720, 2_800_000),
  rung('480p', 854, 480, 1_200_000),
]

function rung(name: string, width: number, height: number, bitrateBps: number): BenchRung {
  const video: VideoRung = {
    ...{ name, encoder: 'libx264', codec: 'h264', width, height, frameRate: undefined },
    ...{ bitrateBps, bitrateMaxBps: bitrateBps * 1.2, bufferMs: 1_000 },
    ...{ preset: 'veryfast', bFramesMax: 0, dynamicRange: 'sdr' },
  }
  return { rung: video, threads: encoderThreads(video, FRAME_RATE, availableParallelism()) }
}

/** Measures; about two minutes. */
export async function run(): Promise<BenchResult> {
  const clip = await loadDetailClip()
  const folder = await mkdtemp(join(tmpdir(), 'kairo-bench-'))
  const pool = new MediaPool(
    { clock: systemClock, logger: silentLogger, registry: createRegistry() },
    { warm: 1, childrenMax: 4 },
  )
  pool.start()
  try {
    const ours: (LadderRun & { readonly rssBytes: number })[] = []
    const theirs: LadderRun[] = []
    for (let turn = 0; turn < RUNS; turn += 1) {
      await untilWarm(pool)
      ours.push(await runKairo(pool, clip, rungs, folder))
      theirs.push(await runFfmpeg(clip, rungs, folder))
    }
    const firstParts: number[] = []
    for (let turn = 0; turn < RUNS; turn += 1) {
      await untilWarm(pool)
      firstParts.push(await firstPartMs(pool, clip))
    }
    const quality = { ours: await ssims(clip, ours), theirs: await ssims(clip, theirs) }
    return report({ clip, ours, theirs, firstParts, quality, ffmpeg: await ffmpegVersion() })
  } finally {
    await pool.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** The last run's quality, a figure a rung; the encoder is deterministic enough for one. */
async function ssims(clip: DetailClip, runs: readonly LadderRun[]): Promise<number[]> {
  const files = runs.at(-1)?.files ?? []
  const found: number[] = []
  for (const [index, one] of rungs.entries()) {
    found.push(await ssimOf(clip, one, files[index] as string))
  }
  return found
}

/** Pictures come at the pace of a publisher; the slowest rung's first 200 ms count. */
async function firstPartMs(pool: MediaPool, clip: DetailClip): Promise<number> {
  const waiting = new Set(rungs.keys())
  const from = clip.units[0]?.pts ?? 0
  const startedAtMs = performance.now()
  const { promise, resolve } = Promise.withResolvers<number>()
  const job = pool.run(
    {
      type: 'transcode',
      video: rungs.map((one) => one.rung),
      audio: [],
      resumeAt: rungs.map(() => undefined),
    },
    {
      onUnit: (output, unit) => {
        if (unit.pts + 90_000 / FRAME_RATE - from >= PART_TICKS) waiting.delete(output)
        if (waiting.size === 0) resolve(performance.now() - startedAtMs)
      },
    },
  )
  job.done.catch(() => resolve(Number.NaN))
  job.configure(0, clip.config)
  let next = 0
  const pace = setInterval(() => {
    const nowTicks = (performance.now() - startedAtMs) * TICKS_PER_MS
    for (let unit = clip.units[next]; unit !== undefined && unit.pts - from <= nowTicks; ) {
      void job.write(0, unit)
      next += 1
      unit = clip.units[next]
    }
  }, 5)
  const ms = await promise
  clearInterval(pace)
  job.cancel()
  return ms
}

async function untilWarm(pool: MediaPool): Promise<void> {
  while (!pool.stats().some((child) => child.state === 'warm')) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function ffmpegVersion(): Promise<string> {
  return /version (\S+)/.exec(await runProgram('ffmpeg', ['-version']))?.[1] ?? 'unknown'
}

interface Measured {
  readonly clip: DetailClip
  readonly ours: readonly (LadderRun & { readonly rssBytes: number })[]
  readonly theirs: readonly LadderRun[]
  readonly firstParts: readonly number[]
  readonly quality: { readonly ours: readonly number[]; readonly theirs: readonly number[] }
  readonly ffmpeg: string
}

function report({ clip, ours, theirs, firstParts, quality, ffmpeg }: Measured): BenchResult {
  const cpu = (runs: readonly LadderRun[]): number => median(runs.map((one) => one.cpuS))
  const wall = (runs: readonly LadderRun[]): number => median(runs.map((one) => one.wallS))
  const bits = (runs: readonly LadderRun[]): number => median(runs.map((one) => one.bitrateBps))
  const mean = (figures: readonly number[]): number =>
    figures.reduce((sum, one) => sum + one, 0) / figures.length
  const cpuVsFfmpeg = round(cpu(ours) / cpu(theirs), 3)
  const warmFirstPartMs = round(median(firstParts), 0)
  const values: Record<string, number> = {
    cpuS: round(cpu(ours), 2),
    cpuFfmpegS: round(cpu(theirs), 2),
    wallS: round(wall(ours), 2),
    wallFfmpegS: round(wall(theirs), 2),
    ssim: round(mean(quality.ours), 4),
    ssimFfmpeg: round(mean(quality.theirs), 4),
    bitrateKbps: round(bits(ours) / 1_000, 0),
    bitrateFfmpegKbps: round(bits(theirs) / 1_000, 0),
    warmFirstPartMs,
    poolRssMB: round(Math.max(...ours.map((one) => one.rssBytes)) / 1e6, 0),
  }
  const frames = [...ours, ...theirs].flatMap((one) => one.frames)
  const whole = frames.every((count) => count === clip.units.length)
  if (!whole) console.error(`pictures made: ${frames.join(', ')} of ${clip.units.length}`)
  return {
    ok: whole && cpuVsFfmpeg <= targets.cpuVsFfmpeg && warmFirstPartMs < targets.warmFirstPartMs,
    ratios: { cpuVsFfmpeg, wallVsFfmpeg: round(wall(ours) / wall(theirs), 3) },
    values,
    peers: { kairo: kairoVersion(), ffmpeg },
    table: formatTable([
      ['figure', 'value', 'target'],
      ['cpuVsFfmpeg', String(cpuVsFfmpeg), `at most ${targets.cpuVsFfmpeg}`],
      ...Object.entries(values).map(([name, value]) => [
        name,
        String(value),
        name === 'warmFirstPartMs' ? `below ${targets.warmFirstPartMs}` : '',
      ]),
      ...rungs.map((one, index) => [
        `ssim ${one.rung.name}`,
        `${quality.ours[index]} (ffmpeg ${quality.theirs[index]})`,
        '',
      ]),
    ]),
  }
}
