/** One open video encoder: pictures in, units and configurations out. */
import {
  AV_CODEC_FLAG_CLOSED_GOP,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_PICTURE_TYPE_I,
  AV_PICTURE_TYPE_NONE,
  AVCOL_RANGE_MPEG,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  type FFEncoderCodec,
} from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, type Frame, Packet, Rational } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import type { AccessUnit, TrackConfig, VideoColour } from '../../access-unit.ts'
import { BT709 } from '../../codecs/video-signal.ts'
import type { VideoRung } from '../../ladder/rung.ts'
import { unitTimeBase } from './decoder.ts'
import type { EncoderOptions } from './encoder-options.ts'
import { PacketReader } from './packet-reader.ts'
import { rateOf } from './parameters.ts'

/** How a {@link VideoEncoder} is built. */
export interface VideoEncoderInit {
  readonly rung: VideoRung
  readonly encoderOptions: EncoderOptions
  /** Colours of its pictures. */
  readonly colour: VideoColour | undefined
  /** Pictures a second, for rate control. */
  readonly frameRate: number
  readonly threads: number
  /** Takes what is made; `config` is there with the first unit and where it changes. */
  readonly onUnit: (unit: AccessUnit, config: TrackConfig | undefined) => void
}

/** Groups of pictures end at forced keyframes; this is for a source that has none for so many seconds. */
const GROUP_S_MAX = 10
/** Pixels that differ from square by less than this came from rounding to even sizes. */
const SQUARE_TOLERANCE = 0.02

/** Encodes pictures of one size and format. */
export class VideoEncoder {
  readonly #init: VideoEncoderInit
  readonly #context = new CodecContext()
  readonly #packet = new Packet()
  readonly #reader: PacketReader

  /**
   * Opens the encoder for pictures like `first`, which it does not take yet.
   * @throws KairoError `ERR_WORKER` naming the encoder, when it is missing or refuses.
   */
  constructor(init: VideoEncoderInit, first: Frame) {
    this.#init = init
    const { rung } = init
    const codec = Codec.findEncoderByName(rung.encoder as FFEncoderCodec)
    if (codec === null) throw this.#failure('it is not part of this build of FFmpeg')
    this.#packet.alloc()
    this.#context.allocContext3(codec)
    try {
      this.#setUp(first)
      for (const [name, value] of Object.entries(init.encoderOptions.options)) {
        FFmpegError.throwIfError(this.#context.setOption(name, value), `option ${name}`)
      }
      FFmpegError.throwIfError(this.#context.open2Sync(), 'open')
      this.#reader = new PacketReader({
        codec: rung.codec,
        extradata: this.#context.extraData && Buffer.from(this.#context.extraData),
        timeBase: unitTimeBase,
        frameRate: init.frameRate,
      })
    } catch (cause) {
      this.close()
      throw this.#failure('it does not open', cause)
    }
  }

  /** Encodes a picture whose `pts` counts in 1/90000 s. @throws KairoError `ERR_WORKER` naming the encoder. */
  encode(frame: Frame, keyframe: boolean): void {
    // The source's own picture types must not decide the encoder's.
    frame.pictType = keyframe ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
    this.#check(this.#context.sendFrameSync(frame))
    this.#drain()
  }

  /** Hands out what the encoder still holds. */
  finish(): void {
    this.#check(this.#context.sendFrameSync(null))
    this.#drain()
  }

  close(): void {
    this.#packet.free()
    this.#context.freeContext()
  }

  #setUp(first: Frame): void {
    const context = this.#context
    const { rung, frameRate, threads } = this.#init
    const colour = this.#init.colour ?? BT709
    context.width = first.width
    context.height = first.height
    context.pixelFormat = first.format as CodecContext['pixelFormat']
    context.sampleAspectRatio = squareIfNearly(first.sampleAspectRatio)
    context.timeBase = unitTimeBase
    context.framerate = rateOf(frameRate)
    context.bitRate = BigInt(rung.bitrateBps)
    context.rcMaxRate = BigInt(rung.bitrateMaxBps)
    context.rcBufferSize = Math.round((rung.bitrateMaxBps * rung.bufferMs) / 1_000)
    context.gopSize = Math.round(frameRate * GROUP_S_MAX)
    context.maxBFrames = rung.bFramesMax
    context.threadCount = threads
    context.colorPrimaries = colour.primaries as CodecContext['colorPrimaries']
    context.colorTrc = colour.transfer as CodecContext['colorTrc']
    context.colorSpace = colour.matrix as CodecContext['colorSpace']
    context.colorRange = AVCOL_RANGE_MPEG
    context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER, AV_CODEC_FLAG_CLOSED_GOP)
    const frames = first.hwFramesCtx
    if (frames !== null) context.hwFramesCtx = frames
  }

  #drain(): void {
    for (;;) {
      const result = this.#context.receivePacketSync(this.#packet)
      if (result === AVERROR_EAGAIN || result === AVERROR_EOF) return
      this.#check(result)
      const read = this.#reader.read(this.#packet)
      this.#packet.unref()
      if (read === undefined) throw this.#failure('it made a packet that cannot be read')
      this.#init.onUnit(read.unit, read.config && this.#withLevels(read.config))
    }
  }

  /** Light levels travel in the pictures, not in the encoder's header; players want them before the first. */
  #withLevels(config: TrackConfig): TrackConfig {
    const { masteringDisplay, contentLight } = this.#init.colour ?? {}
    if (config.kind !== 'video' || config.colour === undefined) return config
    return {
      ...config,
      colour: {
        ...config.colour,
        ...(masteringDisplay !== undefined && { masteringDisplay }),
        ...(contentLight !== undefined && { contentLight }),
      },
    }
  }

  #check(result: number): void {
    if (result >= 0) return
    throw this.#failure('it fails', FFmpegError.fromCode(result) ?? undefined)
  }

  #failure(what: string, cause?: unknown): KairoError {
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    const { encoder, name } = this.#init.rung
    return new KairoError('ERR_WORKER', `the encoder ${encoder} of ${name}: ${what}${why}`, {
      cause,
    })
  }
}

function squareIfNearly(ratio: Rational): Rational {
  const square = new Rational(1, 1)
  if (ratio.num <= 0 || ratio.den <= 0) return square
  return Math.abs(ratio.num / ratio.den - 1) < SQUARE_TOLERANCE ? square : ratio
}
