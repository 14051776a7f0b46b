/** Encodes pictures of one size as JPEG files. */
import { AV_PIX_FMT_YUVJ420P, AVCOL_RANGE_JPEG, FF_ENCODER_MJPEG } from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, type Frame, Packet } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { unitTimeBase } from './decoder.ts'

/** How a {@link JpegEncoder} is built. */
export interface JpegEncoderInit {
  /** Pixels. */
  readonly width: number
  readonly height: number
  /** Bounds of the quantiser, 2 (large and good) to 31. */
  readonly quantiserMin: number
  readonly quantiserMax: number
}

/** One open encoder, for any number of pictures in the format `yuvj420p`. */
export class JpegEncoder {
  readonly #context = new CodecContext()
  readonly #packet = new Packet()
  #pictures = 0n

  /** @throws KairoError `ERR_WORKER` when this build of FFmpeg has no JPEG encoder; FFmpeg's error when it refuses the size. */
  constructor(init: JpegEncoderInit) {
    const codec = Codec.findEncoderByName(FF_ENCODER_MJPEG)
    if (codec === null) throw new KairoError('ERR_WORKER', 'FFmpeg has no JPEG encoder here')
    this.#packet.alloc()
    const context = this.#context
    context.allocContext3(codec)
    context.width = init.width
    context.height = init.height
    context.pixelFormat = AV_PIX_FMT_YUVJ420P
    context.colorRange = AVCOL_RANGE_JPEG
    context.timeBase = unitTimeBase
    context.qMin = init.quantiserMin
    context.qMax = init.quantiserMax
    FFmpegError.throwIfError(context.open2Sync(), 'open the JPEG encoder')
  }

  /** The file of a picture, which stays the caller's but for its `pts`: the encoder wants one that grows. */
  encode(picture: Frame): Buffer {
    picture.pts = this.#pictures
    this.#pictures += 1n
    FFmpegError.throwIfError(this.#context.sendFrameSync(picture), 'encode a JPEG')
    FFmpegError.throwIfError(this.#context.receivePacketSync(this.#packet), 'encode a JPEG')
    const file = Buffer.from(this.#packet.data ?? [])
    this.#packet.unref()
    return file
  }

  close(): void {
    this.#packet.free()
    this.#context.freeContext()
  }
}
