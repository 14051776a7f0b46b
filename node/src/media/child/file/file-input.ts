/**
 * A media file that somebody gave us, opened with care: only the containers that Kairo takes, and nothing but the file itself. Without
 * that, a playlist that calls itself a video could make FFmpeg read any file of this machine or any address of its network.
 */
import {
  AV_NOPTS_VALUE,
  AV_TIME_BASE,
  AVDISCARD_ALL,
  AVERROR_EOF,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_SUBTITLE,
  AVMEDIA_TYPE_VIDEO,
  AVSEEK_FLAG_BACKWARD,
} from 'node-av/constants'
import { FFmpegError, FormatContext, Packet, type Stream } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { mediaFileLimits } from '../../../limits/vod.ts'
import { TICKS_PER_SECOND } from '../../access-unit.ts'
import { ticksOf } from '../av/packets.ts'

/** Demuxers of the containers that Kairo takes, as FFmpeg names them: mp4 and mov, mkv and webm, ts, flv, and bare audio files. */
const FORMATS = 'mov,matroska,mpegts,flv,mp3,wav,flac,ogg,aac'

/** What the streams of a file may be. */
export type StreamKind = 'video' | 'audio' | 'subtitle' | 'other'

/** An open file. */
export class FileInput {
  readonly #context: FormatContext
  readonly #packet = new Packet()
  readonly streams: readonly Stream[]

  private constructor(context: FormatContext) {
    this.#context = context
    this.streams = context.streams
    this.#packet.alloc()
  }

  /**
   * Opens a file and reads as much of it as is needed to know its streams.
   * @throws KairoError `ERR_MEDIA` when it is no media file or too damaged.
   */
  static open(path: string): FileInput {
    const context = new FormatContext()
    context.allocContext()
    try {
      FFmpegError.throwIfError(context.setOption('format_whitelist', FORMATS), 'formats')
      FFmpegError.throwIfError(context.setOption('protocol_whitelist', 'file'), 'protocols')
      context.maxStreams = mediaFileLimits.streamsMax
      FFmpegError.throwIfError(context.openInputSync(`file:${path}`), 'open')
      FFmpegError.throwIfError(context.findStreamInfoSync(), 'look into')
      return new FileInput(context)
    } catch (cause) {
      context.closeInputSync()
      throw new KairoError(
        'ERR_MEDIA',
        `this is no media file that Kairo can read (${reason(cause)}); it takes mp4, mov, mkv, webm, ts and flv`,
        { cause },
      )
    }
  }

  /** FFmpeg's name of the container. */
  get format(): string {
    return this.#context.iformat?.name ?? ''
  }

  /** Duration that the container declares, 1/90000 s; undefined when it does not. */
  get declaredDuration(): number | undefined {
    const { duration } = this.#context
    return duration === AV_NOPTS_VALUE || duration <= 0n
      ? undefined
      : (Number(duration) * TICKS_PER_SECOND) / AV_TIME_BASE
  }

  /** Reads only these streams from here on. */
  select(indices: readonly number[]): void {
    for (const stream of this.streams) {
      if (!indices.includes(stream.index)) stream.discard = AVDISCARD_ALL
    }
  }

  /**
   * The next packet of the selected streams, which is good until the next call; undefined at the end. A file that is cut off or
   * damaged ends where it cannot be read any further.
   */
  next(): Packet | undefined {
    this.#packet.unref()
    for (let tries = 0; tries < mediaFileLimits.readErrorsMax; tries++) {
      const result = this.#context.readFrameSync(this.#packet)
      if (result >= 0) return this.#packet
      if (result === AVERROR_EOF) return undefined
    }
    return undefined
  }

  /** Goes to the last keyframe of a stream at or before `ticks` of the file's own time; false when the container cannot. */
  seek(stream: Stream, ticks: number): boolean {
    const { num, den } = stream.timeBase
    const time = BigInt(Math.floor((ticks * den) / (num * TICKS_PER_SECOND)))
    return this.#context.seekFrameSync(stream.index, time, AVSEEK_FLAG_BACKWARD) >= 0
  }

  /** Lets go of everything. */
  close(): void {
    this.#packet.free()
    this.#context.closeInputSync()
  }
}

/** What a stream holds. */
export function kindOf(stream: Stream): StreamKind {
  const { codecType } = stream.codecpar
  if (codecType === AVMEDIA_TYPE_VIDEO) return 'video'
  if (codecType === AVMEDIA_TYPE_AUDIO) return 'audio'
  return codecType === AVMEDIA_TYPE_SUBTITLE ? 'subtitle' : 'other'
}

/** Presentation time of a packet in 1/90000 s of the file's own time; undefined when it has none. */
export function ptsOf(packet: Packet, stream: Stream): number | undefined {
  return ticksOf(packet.pts, stream.timeBase) ?? ticksOf(packet.dts, stream.timeBase)
}

/** Decoding time, likewise. */
export function dtsOf(packet: Packet, stream: Stream): number | undefined {
  return ticksOf(packet.dts, stream.timeBase) ?? ticksOf(packet.pts, stream.timeBase)
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
