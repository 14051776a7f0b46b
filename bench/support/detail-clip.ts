/** The clip that ladders are made from: 1080p with much detail and motion, made once by ffmpeg and kept. */
import { existsSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { AccessUnit, VideoConfig } from '../../node/src/media/access-unit.ts'
import { h264VideoConfig } from '../../node/src/media/codecs/h264.ts'
import { cacheFolder } from './cache-folder.ts'
import { runProgram } from './child-program.ts'
import { readFlv } from './clip.ts'

const FRAME_RATE = 30
const SECONDS = 8
const GROUP_S = 2
const TICKS_PER_MS = 90
const VIDEO_TAG = 9
const TAG_BODY_OFFSET = 5

/** A clip as a file for ffmpeg and as units for Kairo. */
export interface DetailClip {
  readonly path: string
  readonly config: VideoConfig
  readonly units: readonly AccessUnit[]
}

/** The clip: 1920x1080 at 30 pictures a second, no B-frames, a keyframe every 2 s, no sound. */
export async function loadDetailClip(): Promise<DetailClip> {
  const path = join(cacheFolder(), `grain-1080p${FRAME_RATE}-${SECONDS}s.flv`)
  if (!existsSync(path)) await makeClip(path)
  const tags = readFlv(await readFile(path)).filter((tag) => tag.type === VIDEO_TAG)
  const header = tags.find((tag) => tag.data[1] === 0)
  if (header === undefined) throw new Error(`${path} has no H.264 header`)
  const units = tags
    .filter((tag) => tag.isFrame)
    .map((tag): AccessUnit => {
      const dts = tag.timestampMs * TICKS_PER_MS
      const keyframe = (tag.data[0] ?? 0) >> 4 === 1
      return { kind: 'video', dts, pts: dts, keyframe, data: tag.data.subarray(TAG_BODY_OFFSET) }
    })
  const config = h264VideoConfig(header.data.subarray(TAG_BODY_OFFSET))
  return { path, config: { ...config, frameRate: FRAME_RATE }, units }
}

/** A zoom into the Mandelbrot set under moving noise: edges, gradients and grain, none of it still. */
async function makeClip(path: string): Promise<void> {
  const partial = `${path}.partial`
  const picture = `mandelbrot=size=1920x1080:rate=${FRAME_RATE}:maxiter=200:end_scale=0.05:end_pts=${SECONDS * FRAME_RATE}`
  await runProgram('ffmpeg', [
    ...['-hide_banner', '-loglevel', 'error', '-y'],
    ...['-f', 'lavfi', '-i', `${picture},noise=alls=4:allf=t`],
    ...['-t', String(SECONDS), '-pix_fmt', 'yuv420p'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-profile:v', 'high', '-bf', '0'],
    ...['-g', String(GROUP_S * FRAME_RATE), '-keyint_min', String(GROUP_S * FRAME_RATE)],
    ...['-sc_threshold', '0', '-b:v', '12M', '-maxrate', '14M', '-bufsize', '14M'],
    ...['-f', 'flv', '-flvflags', 'no_duration_filesize', partial],
  ])
  await rename(partial, path)
}
