// Debian's ffmpeg as a publisher, in real time.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'

/** A publishing ffmpeg. */
export interface FfmpegPush {
  readonly child: ChildProcess
  log(): string
  /** Stops it as a user would (it says goodbye to the server). */
  stop(): Promise<void>
}

/** What to push; everything has a default. */
export interface FfmpegPushOptions {
  readonly seconds?: number
  readonly frameRate?: string
  readonly size?: string
  readonly gopFrames?: number
  readonly bFrames?: number
  readonly bitrate?: string
}

/** Pushes a generated picture and tone with H.264 and AAC over RTMP; ends with the test. */
export function ffmpegPush(t: Test, url: string, options: FfmpegPushOptions = {}): FfmpegPush {
  const rate = options.frameRate ?? '30'
  const seconds = String(options.seconds ?? 120)
  const child = spawn(
    'ffmpeg',
    [
      ...['-hide_banner', '-loglevel', 'warning', '-re'],
      ...['-f', 'lavfi', '-i', `testsrc2=size=${options.size ?? '640x360'}:rate=${rate}`],
      ...['-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
      ...['-t', seconds, '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-preset', 'ultrafast'],
      ...[
        '-g',
        String(options.gopFrames ?? 60),
        '-bf',
        String(options.bFrames ?? 0),
        '-sc_threshold',
        '0',
      ],
      ...['-b:v', options.bitrate ?? '800k', '-c:a', 'aac', '-b:a', '96k', '-ac', '2'],
      ...['-f', 'flv', url],
    ],
    { stdio: ['pipe', 'ignore', 'pipe'] },
  )
  let text = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  t.teardown(() => child.kill('SIGKILL'))
  return {
    child,
    log: () => text,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGINT')
      await once(child, 'exit')
    },
  }
}
