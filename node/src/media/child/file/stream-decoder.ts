/** Decodes a stream of a file, whatever its codec, and goes on where it is damaged. */
import { AV_NOPTS_VALUE, FF_THREAD_FRAME, FF_THREAD_SLICE } from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, Frame, type Packet, type Stream } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { mediaFileLimits } from '../../../limits/vod.ts'
import { ticksOf } from '../av/packets.ts'

/** How a {@link StreamDecoder} is built. */
export interface StreamDecoderInit {
  readonly stream: Stream
  readonly threads: number
  /** Where the file's time starts, 1/90000 s. */
  readonly origin: number
  /** Takes each picture or piece of sound; the frame is reused afterwards. `pts` is 1/90000 s after the origin. */
  readonly onFrame: (frame: Frame, pts: number) => void
  /** A packet could not be decoded. */
  readonly onDamaged: () => void
}

/** An open decoder. */
export class StreamDecoder {
  readonly #init: StreamDecoderInit
  readonly #context = new CodecContext()
  readonly #frame = new Frame()

  /** @throws KairoError `ERR_UNSUPPORTED_CODEC`, `ERR_MEDIA`. */
  constructor(init: StreamDecoderInit) {
    this.#init = init
    const { codecpar, timeBase } = init.stream
    const codec = Codec.findDecoder(codecpar.codecId)
    if (codec === null) {
      throw new KairoError(
        'ERR_UNSUPPORTED_CODEC',
        `there is no decoder for stream ${init.stream.index}`,
      )
    }
    this.#frame.alloc()
    this.#context.allocContext3(codec)
    try {
      FFmpegError.throwIfError(codecpar.toContext(this.#context), 'parameters')
      // What a header of the codec claims later on is not what the container said.
      FFmpegError.throwIfError(
        this.#context.setOption('max_pixels', String(mediaFileLimits.picturePixelsMax)),
        'pixels',
      )
      this.#context.pktTimebase = timeBase
      this.#context.threadCount = init.threads
      this.#context.threadType = init.threads > 1 ? FF_THREAD_FRAME : FF_THREAD_SLICE
      FFmpegError.throwIfError(this.#context.open2Sync(), 'open')
    } catch (cause) {
      this.close()
      throw new KairoError('ERR_MEDIA', `the decoder ${codec.name} refuses the track`, { cause })
    }
  }

  /** Decodes a packet; null asks for what is still inside, after which nothing more is taken until {@link StreamDecoder.reset}. */
  decode(packet: Packet | null): void {
    if (this.#context.sendPacketSync(packet) < 0 && packet !== null) this.#init.onDamaged()
    while (this.#context.receiveFrameSync(this.#frame) >= 0) {
      const { pts, bestEffortTimestamp } = this.#frame
      const time = bestEffortTimestamp === AV_NOPTS_VALUE ? pts : bestEffortTimestamp
      const ticks = ticksOf(time, this.#init.stream.timeBase)
      if (ticks !== undefined) this.#init.onFrame(this.#frame, ticks - this.#init.origin)
      this.#frame.unref()
    }
  }

  /** Forgets what came before, to go on at another place. */
  reset(): void {
    this.#context.flushBuffers()
  }

  close(): void {
    this.#frame.free()
    this.#context.freeContext()
  }
}
