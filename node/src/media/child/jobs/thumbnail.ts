/**
 * The job `thumbnail`: keyframes in, one small JPEG out for each. What stands between keyframes is not decoded, and of keyframes
 * that come faster than they can be made, each is made all the same: whoever sends them chooses.
 */
import assert from 'node:assert/strict'
import {
  AV_PIX_FMT_YUVJ420P,
  AVCOL_RANGE_JPEG,
  AVCOL_TRC_ARIB_STD_B67,
  AVCOL_TRC_SMPTE2084,
  type AVPixelFormat,
  FF_ENCODER_MJPEG,
} from 'node-av/constants'
import { avGetPixFmtName, Codec, CodecContext, FFmpegError, Frame, Packet } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import type { VideoConfig } from '../../access-unit.ts'
import { openDecoder, unitTimeBase } from '../av/decoder.ts'
import { FilterChain, type FilterStep } from '../av/filter-chain.ts'
import { fillPacket } from '../av/packets.ts'
import type { JobContext, RunJob } from '../context.ts'
import type { ThumbnailJob } from '../job.ts'

/** Runs the job. Each blob is about `{ time }`, its presentation in 1/90000 s; the result is the number of pictures. */
export const run: RunJob<ThumbnailJob> = async (context, job) => {
  let config: VideoConfig | undefined
  let made = 0
  const jpeg = new JpegMaker(job)
  try {
    for await (const input of context.input) {
      if (input.type === 'config') {
        if (input.config.kind === 'video') config = input.config
        continue
      }
      const { unit } = input
      context.counters.unitsIn += 1
      context.counters.position = unit.pts
      if (config === undefined || unit.kind !== 'video' || !unit.keyframe) continue
      const bytes = thumbnailOf(config, unit, jpeg, context)
      if (bytes !== undefined) {
        made += 1
        context.blob({ time: unit.pts }, bytes)
      }
      const wait = context.turn()
      if (wait !== undefined) await wait
    }
  } finally {
    jpeg.close()
  }
  return made
}

/** A decoder a keyframe: a picture comes out at once when its decoder is told that it was the last. */
function thumbnailOf(
  config: VideoConfig,
  unit: Parameters<typeof fillPacket>[1],
  jpeg: JpegMaker,
  context: JobContext,
): Buffer | undefined {
  const decoder = openDecoder(config, 1)
  const packet = new Packet()
  const frame = new Frame()
  packet.alloc()
  frame.alloc()
  try {
    fillPacket(packet, unit)
    decoder.sendPacketSync(packet)
    decoder.sendPacketSync(null)
    if (decoder.receiveFrameSync(frame) >= 0) return jpeg.encode(frame)
    context.counters.damaged += 1
    return undefined
  } finally {
    packet.free()
    frame.free()
    decoder.freeContext()
  }
}

/** Scales a picture into the job's size, its shape kept with bars, and encodes it. */
class JpegMaker {
  readonly #job: ThumbnailJob
  readonly #context = new CodecContext()
  readonly #packet = new Packet()
  readonly #out = new Frame()
  #chain: FilterChain | undefined
  #shape = ''

  constructor(job: ThumbnailJob) {
    this.#job = job
    const codec = Codec.findEncoderByName(FF_ENCODER_MJPEG)
    if (codec === null) throw new KairoError('ERR_WORKER', 'FFmpeg has no JPEG encoder here')
    this.#packet.alloc()
    this.#out.alloc()
    const context = this.#context
    context.allocContext3(codec)
    context.width = job.width
    context.height = job.height
    context.pixelFormat = AV_PIX_FMT_YUVJ420P
    context.colorRange = AVCOL_RANGE_JPEG
    context.timeBase = unitTimeBase
    context.qMin = 4
    context.qMax = 12
    FFmpegError.throwIfError(context.open2Sync(), 'open the JPEG encoder')
  }

  encode(frame: Frame): Buffer | undefined {
    let bytes: Buffer | undefined
    this.#chainFor(frame).push(frame, this.#out, (scaled) => {
      FFmpegError.throwIfError(this.#context.sendFrameSync(scaled), 'encode a JPEG')
      FFmpegError.throwIfError(this.#context.receivePacketSync(this.#packet), 'encode a JPEG')
      const { data } = this.#packet
      bytes = data === null ? undefined : Buffer.from(data)
      this.#packet.unref()
    })
    return bytes
  }

  close(): void {
    this.#chain?.free()
    this.#packet.free()
    this.#out.free()
    this.#context.freeContext()
  }

  #chainFor(frame: Frame): FilterChain {
    const name = avGetPixFmtName(frame.format as AVPixelFormat)
    assert(name !== null, 'a decoded picture has a format')
    const aspect = frame.sampleAspectRatio.num > 0 ? frame.sampleAspectRatio : { num: 1, den: 1 }
    const source = `video_size=${frame.width}x${frame.height}:pix_fmt=${name}:time_base=1/90000:pixel_aspect=${aspect.num}/${aspect.den}:colorspace=${frame.colorSpace}:range=${frame.colorRange}`
    if (this.#chain !== undefined && this.#shape === source) return this.#chain
    this.#chain?.free()
    this.#shape = source
    const { width, height } = this.#job
    this.#chain = new FilterChain(
      ['buffer', source],
      [
        [
          'scale',
          `w=${width}:h=${height}:force_original_aspect_ratio=decrease:reset_sar=1:out_range=pc`,
        ],
        ...toneMap(frame),
        ['format', 'pix_fmts=yuvj420p'],
        ['pad', `w=${width}:h=${height}:x=-1:y=-1`],
      ],
      1,
    )
    return this.#chain
  }
}

/** JPEG knows no HDR: PQ and HLG are brought to what every screen shows. */
function toneMap(frame: Frame): FilterStep[] {
  const hdr = [AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67].includes(frame.colorTrc)
  return hdr ? [['tonemapx', 'tonemap=bt2390:t=bt709:m=bt709:p=bt709:format=yuv420p']] : []
}
