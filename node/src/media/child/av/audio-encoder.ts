/** One open audio encoder: blocks of samples in, units and configurations out, each at the time that it sounds. */
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_SAMPLE_FMT_FLT,
  AV_SAMPLE_FMT_FLTP,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  FF_ENCODER_AAC,
  FF_ENCODER_LIBOPUS,
} from 'node-av/constants'
import {
  avChannelLayoutDefault,
  Codec,
  CodecContext,
  CodecParameters,
  FFmpegError,
  type Frame,
  Packet,
  Rational,
} from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import type { AccessUnit, TrackConfig } from '../../access-unit.ts'
import type { AudioRung } from '../../ladder/rung.ts'
import { PacketReader } from './packet-reader.ts'

/** How an {@link AudioEncoder} is built. */
export interface AudioEncoderInit {
  readonly rung: AudioRung
  /** BCP 47 language of the source. */
  readonly language: string | undefined
  /** Takes what is made; `config` is there with the first unit. */
  readonly onUnit: (unit: AccessUnit, config: TrackConfig | undefined) => void
}

/** Encodes sound of the rung's rate and channels. */
export class AudioEncoder {
  /** FFmpeg's sample format of the blocks. */
  readonly sampleFormat: 'fltp' | 'flt'
  /** Samples of a block. */
  readonly frameSamples: number
  /** Samples that the encoder puts in front of the first: a unit sounds that much earlier than the block that made it. */
  readonly paddingSamples: number
  readonly #init: AudioEncoderInit
  readonly #context = new CodecContext()
  readonly #packet = new Packet()
  readonly #reader: PacketReader

  /** @throws KairoError `ERR_WORKER` naming the encoder, when it is missing or refuses. */
  constructor(init: AudioEncoderInit) {
    this.#init = init
    const { rung } = init
    const aac = rung.codec === 'aac'
    const codec = Codec.findEncoderByName(aac ? FF_ENCODER_AAC : FF_ENCODER_LIBOPUS)
    if (codec === null) throw this.#failure('it is not part of this build of FFmpeg')
    this.sampleFormat = aac ? 'fltp' : 'flt'
    this.#packet.alloc()
    const context = this.#context
    context.allocContext3(codec)
    try {
      const timeBase = new Rational(1, rung.sampleRate)
      context.sampleRate = rung.sampleRate
      context.sampleFormat = aac ? AV_SAMPLE_FMT_FLTP : AV_SAMPLE_FMT_FLT
      context.channelLayout = avChannelLayoutDefault(rung.channels)
      context.timeBase = timeBase
      context.bitRate = BigInt(rung.bitrateBps)
      context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER)
      FFmpegError.throwIfError(context.open2Sync(), 'open')
      this.frameSamples = context.frameSize
      this.paddingSamples = paddingOf(context)
      this.#reader = new PacketReader({
        codec: rung.codec,
        extradata: context.extraData && Buffer.from(context.extraData),
        timeBase,
        ...(init.language !== undefined && { language: init.language }),
      })
    } catch (cause) {
      this.close()
      throw this.#failure('it does not open', cause)
    }
  }

  /** Encodes one block whose `pts` counts in samples. @throws KairoError `ERR_WORKER` naming the encoder. */
  encode(block: Frame): void {
    this.#check(this.#context.sendFrameSync(block))
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

  #drain(): void {
    for (;;) {
      const result = this.#context.receivePacketSync(this.#packet)
      if (result === AVERROR_EAGAIN || result === AVERROR_EOF) return
      this.#check(result)
      const read = this.#reader.read(this.#packet)
      this.#packet.unref()
      if (read === undefined) throw this.#failure('it made a packet that cannot be read')
      this.#init.onUnit(read.unit, read.config)
    }
  }

  #check(result: number): void {
    if (result >= 0) return
    throw this.#failure('it fails', FFmpegError.fromCode(result) ?? undefined)
  }

  #failure(what: string, cause?: unknown): KairoError {
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    const { codec, name } = this.#init.rung
    return new KairoError('ERR_WORKER', `the ${codec} encoder of ${name}: ${what}${why}`, { cause })
  }
}

/** Only the parameters tell it. */
function paddingOf(context: CodecContext): number {
  const parameters = new CodecParameters()
  parameters.alloc()
  FFmpegError.throwIfError(parameters.fromContext(context), 'parameters')
  const { initialPadding } = parameters
  parameters.free()
  return initialPadding
}
