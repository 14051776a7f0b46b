/** One ladder from one clip, made by Kairo's media child and by the ffmpeg command line with the same settings. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AccessUnit, VideoConfig } from '../../node/src/media/access-unit.ts'
import { encoderOptions } from '../../node/src/media/child/av/encoder-options.ts'
import type { MediaPool } from '../../node/src/media/child/pool.ts'
import { encodeFragment } from '../../node/src/media/cmaf/fragment.ts'
import { VIDEO_TRACK_ID, videoInitSegment } from '../../node/src/media/cmaf/init-segment.ts'
import type { VideoRung } from '../../node/src/media/ladder/rung.ts'
import { runProgram } from './child-program.ts'
import type { DetailClip } from './detail-clip.ts'

/** What making the ladder once cost, and the files it left. */
export interface LadderRun {
  /** Processor seconds of the process that encoded. */
  readonly cpuS: number
  readonly wallS: number
  /** A file a rung. */
  readonly files: readonly string[]
  /** Bits a second of all rungs together. */
  readonly bitrateBps: number
  readonly frames: readonly number[]
}

/** A rung and the threads of its encoder, so that both sides have the same. */
export interface BenchRung {
  readonly rung: VideoRung
  readonly threads: number
}

/** Makes the ladder in a warm child of the pool, as fast as it goes. */
export async function runKairo(
  pool: MediaPool,
  clip: DetailClip,
  rungs: readonly BenchRung[],
  folder: string,
): Promise<LadderRun & { readonly rssBytes: number }> {
  const outputs = rungs.map(() => ({
    config: undefined as VideoConfig | undefined,
    units: [] as AccessUnit[],
  }))
  let cpuS = 0
  let rssBytes = 0
  const startedAtMs = performance.now()
  const job = pool.run(
    {
      type: 'transcode',
      video: rungs.map(({ rung }) => rung),
      audio: [],
      resumeAt: rungs.map(() => undefined),
    },
    {
      onConfig: (index, config) => {
        const output = outputs[index]
        if (output !== undefined && config.kind === 'video') output.config = config
      },
      onUnit: (index, unit) => outputs[index]?.units.push(unit),
      onProgress: (progress) => {
        cpuS = progress.cpuS
        rssBytes = Math.max(
          rssBytes,
          ...[pool.stats().reduce((sum, child) => sum + child.rssBytes, 0)],
        )
      },
    },
  )
  job.configure(0, clip.config)
  for (const unit of clip.units) await job.write(0, unit)
  job.finish()
  await job.done
  const wallS = (performance.now() - startedAtMs) / 1_000
  const files = await Promise.all(
    outputs.map(async ({ config, units }, index) => {
      const path = join(folder, `kairo-${index}.mp4`)
      if (config === undefined) throw new Error(`rung ${index} was not made`)
      await writeFile(path, mp4Of(config, units))
      return path
    }),
  )
  const bytes = outputs
    .flatMap(({ units }) => units)
    .reduce((sum, unit) => sum + unit.data.byteLength, 0)
  return {
    ...{ cpuS, wallS, files, rssBytes },
    bitrateBps: (bytes * 8) / secondsOf(clip),
    frames: outputs.map(({ units }) => units.length),
  }
}

/** Makes the ladder with one ffmpeg command: decoded once, split, scaled and encoded. */
export async function runFfmpeg(
  clip: DetailClip,
  rungs: readonly BenchRung[],
  folder: string,
): Promise<LadderRun> {
  const files = rungs.map((_, index) => join(folder, `ffmpeg-${index}.mp4`))
  const names = rungs.map((_, index) => `[v${index}]`)
  const scales = rungs.map(({ rung }, index) => {
    return `[v${index}]scale=${rung.width}:${rung.height}:flags=bicubic[o${index}]`
  })
  const startedAtMs = performance.now()
  const log = await runProgram('ffmpeg', [
    ...['-hide_banner', '-loglevel', 'info', '-nostats', '-benchmark', '-y', '-i', clip.path],
    ...['-filter_complex', [`[0:v]split=${rungs.length}${names.join('')}`, ...scales].join(';')],
    ...rungs.flatMap(({ rung, threads }, index) => [
      ...['-map', `[o${index}]`, '-c:v', 'libx264', '-preset', rung.preset],
      ...['-b:v', String(rung.bitrateBps), '-maxrate', String(rung.bitrateMaxBps)],
      ...['-bufsize', String((rung.bitrateMaxBps * rung.bufferMs) / 1_000)],
      ...['-bf', String(rung.bFramesMax), '-g', '60', '-keyint_min', '60', '-sc_threshold', '0'],
      ...['-x264-params', lookaheadOf(rung, threads)],
      ...['-threads', String(threads), files[index] as string],
    ]),
  ])
  const [, user, system] = /utime=([\d.]+)s stime=([\d.]+)s/.exec(log) ?? []
  const bytes = [...log.matchAll(/video:(\d+)kB/g)].reduce(
    (sum, [, kB]) => sum + Number(kB) * 1_024,
    0,
  )
  return {
    cpuS: Number(user) + Number(system),
    wallS: (performance.now() - startedAtMs) / 1_000,
    files,
    bitrateBps: (bytes * 8) / secondsOf(clip),
    frames: rungs.map(() => Number(/frame=\s*(\d+)/.exec(log)?.[1])),
  }
}

/** Mean structural similarity of a rung's file and the clip scaled to its size; 1 is equal. */
export async function ssimOf(clip: DetailClip, { rung }: BenchRung, file: string): Promise<number> {
  const log = await runProgram('ffmpeg', [
    ...['-hide_banner', '-loglevel', 'info', '-nostats', '-i', file, '-i', clip.path],
    ...[
      '-lavfi',
      `[0:v]settb=1/90000,setpts=N*3000[a];[1:v]scale=${rung.width}:${rung.height}:flags=bicubic,settb=1/90000,setpts=N*3000[b];[a][b]ssim`,
    ],
    ...['-f', 'null', '-'],
  ])
  return Number(/SSIM .*All:([\d.]+)/.exec(log)?.[1])
}

/** Kairo's own choice, so that both sides look ahead as far. */
function lookaheadOf(rung: VideoRung, threads: number): string {
  const situation = { colour: undefined, tenBit: false, live: true, threads }
  const { options } = encoderOptions(rung, situation)
  const [found] = /rc-lookahead=\d+/.exec(options['x264-params'] ?? '') ?? []
  if (found === undefined) throw new Error('x264 is not told how far to look ahead')
  return found
}

function secondsOf(clip: DetailClip): number {
  return clip.units.length / (clip.config.frameRate ?? 30)
}

/** One fragment a picture: a file that players and ffmpeg take. */
function mp4Of(config: VideoConfig, units: readonly AccessUnit[]): Buffer {
  const base = units[0]?.dts ?? 0
  const fragments = units.map((unit, index) =>
    encodeFragment({
      layout: 'per-sample',
      sequence: index + 1,
      trackId: VIDEO_TRACK_ID,
      baseDecodeTime: unit.dts - base,
      samples: [
        {
          duration: Math.max(1, (units[index + 1]?.dts ?? unit.dts + 3_000) - unit.dts),
          compositionOffset: unit.pts - unit.dts,
          sync: unit.keyframe,
          data: unit.data,
        },
      ],
    }),
  )
  return Buffer.concat([videoInitSegment(config), ...fragments])
}
