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

/**
 * Encodes a stretch of a file: pictures between two of its keyframes, or one sound track. Outputs as in {@link TranscodeJob}. All times
 * are 1/90000 s after `origin`, which is where the file starts by its own time stamps (`FileFacts.origin`).
 */
export interface ChunkJob {
  readonly type: 'chunk'
  readonly path: string
  readonly origin: number
  /** Index of the stream in the file; undefined leaves that kind out. */
  readonly videoStream: number | undefined
  readonly audioStream: number | undefined
  /** First and one past the last presentation time. */
  readonly from: number
  readonly to: number
  readonly video: readonly VideoRung[]
  readonly audio: readonly AudioRung[]
  /** Where segments begin, the first one `from`: each gets a keyframe there, even where the file has no picture. */
  readonly keyframes: readonly number[]
  /** Degrees to turn pictures clockwise: 0, 90, 180, 270. */
  readonly rotation: number
  /** Pictures a second of the file, for rate control. */
  readonly frameRate: number
  /** Threads of each decoder and encoder. */
  readonly threads: number
}

/**
 * Copies tracks of a file without encoding: units as they are, times 1/90000 s after `origin`. Outputs: the streams in their
 * order here. Pictures before the first keyframe and sound before the origin are left out.
 */
export interface CopyJob {
  readonly type: 'copy'
  readonly path: string
  readonly origin: number
  readonly streams: readonly number[]
}

/** Makes sprites for scrubbing out of a file: JPEG blobs of `columns` x `rows` pictures each, in order. */
export interface StoryboardJob {
  readonly type: 'storyboard'
  readonly path: string
  readonly origin: number
  readonly videoStream: number
  readonly intervalMs: number
  /** Pictures in all. */
  readonly count: number
  readonly width: number
  readonly height: number
  readonly columns: number
  readonly rows: number
  readonly rotation: number
}

/** Reads the text subtitles of a file: a WebVTT blob a stream, about which says `{"stream": n}`. */
export interface SubtitlesJob {
  readonly type: 'subtitles'
  readonly path: string
  readonly origin: number
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
