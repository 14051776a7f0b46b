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
import { TICKS_PER_MS, TICKS_PER_SECOND } from '../../access-unit.ts'
import { ticksOf } from '../av/packets.ts'
import { ClockRepair } from './clock-repair.ts'

/** Demuxers of the containers that Kairo takes, as FFmpeg names them: mp4 and mov, mkv and webm, ts, flv, and bare audio files. */
const FORMATS = 'mov,matroska,mpegts,flv,mp3,wav,flac,ogg,aac'

/** Containers that people join by appending one to the other, and whose clocks may then begin anew. */
const JOINED_FORMATS = new Set(['mpegts', 'flv'])

const REORDER_TICKS_MAX = mediaFileLimits.clockGapMsMax * TICKS_PER_MS

/** What the streams of a file may be. */
export type StreamKind = 'video' | 'audio' | 'subtitle' | 'other'

/** An open file. */
export class FileInput {
  readonly #context: FormatContext
  readonly #packet = new Packet()
  readonly streams: readonly Stream[]
  #clock: ClockRepair | undefined

  private constructor(context: FormatContext) {
    this.#context = context
    this.streams = context.streams
    this.#clock = JOINED_FORMATS.has(this.format) ? new ClockRepair() : undefined
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
      if (result >= 0) return this.#onTime(this.#packet)
      if (result === AVERROR_EOF) return undefined
    }
    return undefined
  }

  /** How often the file's clock jumped so far. Times in such a file are those of reading it from its start: no place can be sought. */
  get jumps(): number {
    return this.#clock?.jumps ?? 0
  }

  #onTime(packet: Packet): Packet {
    const stream = this.streams[packet.streamIndex]
    if (this.#clock === undefined || stream === undefined) return packet
    const dts = dtsOf(packet, stream)
    if (dts === undefined) return packet
    // No picture waits that long to be shown: its time is damaged, and that of decoding is nearer.
    if (Math.abs((ptsOf(packet, stream) ?? dts) - dts) > REORDER_TICKS_MAX) packet.pts = packet.dts
    const offset = this.#clock.offsetFor(packet.streamIndex, dts)
    if (offset === 0) return packet
    const { num, den } = stream.timeBase
    const shift = BigInt(Math.round((offset * den) / (num * TICKS_PER_SECOND)))
    if (packet.dts !== AV_NOPTS_VALUE) packet.dts += shift
    if (packet.pts !== AV_NOPTS_VALUE) packet.pts += shift
    return packet
  }

  /** Goes to the last keyframe of a stream at or before `ticks` of the file's own time; false when the container cannot. */
  seek(stream: Stream, ticks: number): boolean {
    const { num, den } = stream.timeBase
    // From here on times are the file's own.
    this.#clock = undefined
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
