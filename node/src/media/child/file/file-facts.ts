/** What a probe finds out about a file: everything that is needed to plan the making of renditions. Plain data. */
import type { AudioCodec, VideoCodec } from '../../access-unit.ts'
import type { VideoRange } from '../../codecs/video-signal.ts'

/** The pictures of a file. */
export interface FileVideo {
  /** Index of the stream in the file. */
  readonly stream: number
  /** FFmpeg's name of the codec: `h264`, `mpeg2video`. */
  readonly codecName: string
  /** The codec where Kairo can package it as it is. */
  readonly codec: VideoCodec | null
  /** RFC 6381; empty where the codec is none that Kairo packages. */
  readonly codecString: string
  /** Pixels as coded. */
  readonly width: number
  readonly height: number
  /** Width over height of a pixel. */
  readonly pixelAspect: number
  /** Degrees that pictures are to be turned clockwise: 0, 90, 180 or 270. */
  readonly rotation: number
  /** Pictures a second over the whole file; 0 when there is but one. */
  readonly frameRate: number
  readonly videoRange: VideoRange
  /** Mean bits a second. */
  readonly bitrateBps: number
  readonly pictures: number
  /** True when its configuration changes on the way, for example its size: one rendition cannot be a copy of it. */
  readonly changes: boolean
  /** How much later than presented in order a picture is decoded, at most, 1/90000 s; 0 without B-frames. */
  readonly reorder: number
  /** First and one past the last presentation, 1/90000 s after the file's start. */
  readonly from: number
  readonly to: number
  /** Presentation times of pictures that decoding can start from, ascending, 1/90000 s after the file's start. */
  readonly keyframes: readonly number[]
  /** The first presentation in each second, ascending, 1/90000 s after the file's start. */
  readonly seconds: readonly number[]
}

/** One sound track of a file. */
export interface FileAudio {
  readonly stream: number
  readonly codecName: string
  readonly codec: AudioCodec | null
  readonly codecString: string
  readonly channels: number
  readonly sampleRate: number
  /** BCP 47; empty when unknown. */
  readonly language: string
  readonly label: string
  readonly bitrateBps: number
  readonly from: number
  readonly to: number
  /** The longest stretch without sound between two packets, 1/90000 s. */
  readonly gapMax: number
}

/** Text subtitles of a file. */
export interface FileSubtitles {
  readonly stream: number
  readonly codecName: string
  readonly language: string
  readonly label: string
}

/** A file. */
export interface FileFacts {
  /** FFmpeg's name of the container. */
  readonly format: string
  /** Where the file's time starts, 1/90000 s of its own time stamps; all other times count from it. */
  readonly origin: number
  /** 1/90000 s. */
  readonly duration: number
  /** True when the file's clock jumps: its times are those of reading it from the start, and no place of it can be sought. */
  readonly jumps: boolean
  readonly video: FileVideo | null
  /** The main one first. */
  readonly audio: readonly FileAudio[]
  readonly subtitles: readonly FileSubtitles[]
}
