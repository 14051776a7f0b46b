/**
 * A publisher made of node-av: what Debian's ffmpeg cannot push, Enhanced RTMP with HEVC, AV1, VP9, Opus, FLAC and several
 * tracks. It encodes a moving picture and tones in a child process and writes them to any address or file FFmpeg can write.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { AudioCodec, VideoCodec } from '../../src/media/access-unit.ts'

/** The picture. */
export interface AvPushVideo {
  readonly codec: VideoCodec
  /** Pixels; 320 by 180 unless told otherwise. Multiples of 2. */
  readonly width?: number
  readonly height?: number
  /** Pictures a second; 30. */
  readonly frameRate?: number
  /** Pictures from keyframe to keyframe; 30. */
  readonly gopFrames?: number
  /** B-frames in a row, H.264 and HEVC only; 0. */
  readonly bFrames?: number
  /** HDR10: 10 bits, BT.2020, PQ, a mastering display and light levels (HEVC and AV1). */
  readonly hdr?: boolean
}

/** One sound track: a sine. */
export interface AvPushAudio {
  readonly codec: AudioCodec
  /** Hertz; 440 for the first track, an octave more for each that follows. */
  readonly frequency?: number
  /** ISO 639 code, where the container has a place for it. */
  readonly language?: string
}

/** What is pushed. */
export interface AvPushOptions {
  readonly video?: AvPushVideo
  readonly audio?: readonly AvPushAudio[]
  /** Length of the stream. */
  readonly seconds: number
  /** In real time, as a live encoder does; false sends as fast as the receiver takes it. Default false. */
  readonly live?: boolean
  /** FFmpeg's name of the container; `flv` for RTMP addresses, else by the address. */
  readonly format?: string
}

/** A running pusher. */
export interface AvPush {
  readonly child: ChildProcess
  /** What FFmpeg has said so far. */
  log(): string
  /** Settles with the exit code when everything is sent or the receiver has hung up. */
  readonly done: Promise<number | null>
}

/** What the child is told. */
export interface AvPushJob extends AvPushOptions {
  readonly url: string
}

/** Starts to push; ends with the test. */
export function avPush(t: Test, url: string, options: AvPushOptions): AvPush {
  const job: AvPushJob = { ...options, url }
  const child = fork(fileURLToPath(new URL('av-push-child.ts', import.meta.url)), {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let text = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  child.send(job)
  t.teardown(() => child.kill('SIGKILL'))
  const done = once(child, 'close').then(([code]) => code as number | null)
  return { child, log: () => text, done }
}
