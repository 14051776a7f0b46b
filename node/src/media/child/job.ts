/**
 * What a media child is asked to do. A child is a process of its own, because FFmpeg's code can crash and hang; it does one job
 * in its life and then ends. Jobs and results are plain data, sent over the child's pipe.
 */
import type { AudioRung, VideoRung } from '../ladder/rung.ts'

/** Live: units in, units of each rung out. Output indices count the video rungs first, then the audio rungs. */
export interface TranscodeJob {
  readonly type: 'transcode'
  readonly video: readonly VideoRung[]
  readonly audio: readonly AudioRung[]
  /**
   * Where each output goes on, in the order of the outputs, 1/90000 s: pictures that end before are decoded but not encoded, and the
   * first that is encoded is a keyframe. Undefined begins with the first picture.
   */
  readonly resumeAt: readonly (number | undefined)[]
}

/** Reads a remote source and hands its units out, paced by itself. Outputs: 0 video, 1.. audio tracks. */
export interface PullJob {
  readonly type: 'pull'
  /** `rtsp://`, `rtmp://`, `srt://`, `http(s)://` (HLS). Checked before it gets here. May hold secrets: never logged. */
  readonly url: string
  readonly openTimeoutMs: number
  readonly readTimeoutMs: number
}

/** Takes units and sends them to a remote target. Inputs: 0 video, 1 audio. */
export interface PushJob {
  readonly type: 'push'
  /** `rtmp(s)://`, `srt://`. Checked before it gets here. Holds secrets: never logged. */
  readonly url: string
  readonly openTimeoutMs: number
  readonly writeTimeoutMs: number
}

/** Looks into a file: what tracks it has, how long it is, where its keyframes are. */
export interface ProbeJob {
  readonly type: 'probe'
  readonly path: string
}

/** Encodes a stretch of a file, between two of its keyframes. Outputs as in {@link TranscodeJob}; times count from the file's start. */
export interface ChunkJob {
  readonly type: 'chunk'
  readonly path: string
  /** Index of the stream in the file; undefined leaves that kind out. */
  readonly videoStream: number | undefined
  readonly audioStream: number | undefined
  /** First and one past the last presentation time, 1/90000 s. */
  readonly from: number
  readonly to: number
  readonly video: readonly VideoRung[]
  readonly audio: readonly AudioRung[]
  /** Presentation times of pictures that must be keyframes, 1/90000 s: the segments begin there. */
  readonly keyframes: readonly number[]
}

/** Copies a stretch of a file without encoding: units as they are. Outputs: 0 video, 1 audio. */
export interface CopyJob {
  readonly type: 'copy'
  readonly path: string
  readonly videoStream: number | undefined
  readonly audioStream: number | undefined
  readonly from: number
  readonly to: number
}

/** Makes sprites for scrubbing out of a file: JPEG blobs of `columns` x `rows` pictures each. */
export interface StoryboardJob {
  readonly type: 'storyboard'
  readonly path: string
  readonly videoStream: number
  readonly intervalMs: number
  readonly width: number
  readonly height: number
  readonly columns: number
  readonly rows: number
}

/** Reads the text subtitles of a file: a WebVTT blob a stream. */
export interface SubtitlesJob {
  readonly type: 'subtitles'
  readonly path: string
  readonly streams: readonly number[]
}

/** Live: keyframes in, one small JPEG blob out for each. */
export interface ThumbnailJob {
  readonly type: 'thumbnail'
  readonly width: number
  readonly height: number
}

/** Everything a media child can do. */
export type MediaJob =
  | TranscodeJob
  | PullJob
  | PushJob
  | ProbeJob
  | ChunkJob
  | CopyJob
  | StoryboardJob
  | SubtitlesJob
  | ThumbnailJob

/** How far a job is and what it costs; sent about once a second, which is also the child's sign of life. */
export interface JobProgress {
  /** Units taken in, or read from the file. */
  readonly unitsIn: number
  readonly unitsOut: number
  /** Newest input time, 1/90000 s. */
  readonly position: number
  /** Processor time of the child so far. */
  readonly cpuS: number
  readonly rssBytes: number
  /** Input units dropped as undecodable. */
  readonly damaged: number
}

/** Plain data, as JSON has it. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }
