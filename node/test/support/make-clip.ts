/** Small media files made by the real ffmpeg: a moving picture and a tone. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What kind of file. */
export interface ClipOptions {
  /** Default 5. */
  readonly seconds?: number
  /** Default 25. */
  readonly frameRate?: number
  /** Arguments between the inputs and the output: codecs, offsets. */
  readonly output?: readonly string[]
  /** Further inputs, which `output` maps. */
  readonly inputs?: readonly string[]
}

/** Video encoder arguments of an ordinary H.264 file: a keyframe every 2 s and two B-frames. */
export const h264Args: readonly string[] = [
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-keyint_min', '50', '-bf', '2'],
  ...['-sc_threshold', '0', '-pix_fmt', 'yuv420p'],
]

/** Makes a file; the container follows from its name. */
export async function makeClip(path: string, options: ClipOptions = {}): Promise<string> {
  const {
    seconds = 5,
    frameRate = 25,
    output = [...h264Args, '-c:a', 'aac'],
    inputs = [],
  } = options
  await run('ffmpeg', [
    ...['-v', 'error', '-y', '-f', 'lavfi', '-i', `testsrc2=s=256x144:r=${frameRate}:d=${seconds}`],
    ...['-f', 'lavfi', '-i', `sine=f=440:r=48000:d=${seconds}`],
    ...inputs,
    ...output,
    ...['-t', String(seconds), path],
  ])
  return path
}

/** What ffprobe says of the first stream of a file: codec, where it starts, how many frames decode. */
export async function probeClip(path: string): Promise<{
  readonly codec: string
  readonly startS: number
  readonly frames: number
  readonly errors: string
}> {
  const { stdout, stderr } = await run('ffprobe', [
    ...['-v', 'error', '-count_frames', '-select_streams', '0', '-of', 'json'],
    ...['-show_entries', 'stream=codec_name,start_time,nb_read_frames', path],
  ])
  const [stream] = (JSON.parse(stdout) as { streams: Record<string, string>[] }).streams
  return {
    ...{ codec: stream?.codec_name ?? '', startS: Number(stream?.start_time) },
    ...{ frames: Number(stream?.nb_read_frames), errors: stderr },
  }
}
