/**
 * The job `thumbnail`: keyframes in, one small JPEG out for each. What stands between keyframes is not decoded, and of keyframes
 * that come faster than they can be made, each is made all the same: whoever sends them chooses.
 */
import { Frame, Packet } from 'node-av/lib'
import type { VideoConfig } from '../../access-unit.ts'
import { videoRangeOf } from '../../codecs/video-signal.ts'
import { openDecoder } from '../av/decoder.ts'
import { FilterChain, type FilterStep } from '../av/filter-chain.ts'
import { pictureSource } from '../av/frame-source.ts'
import { JpegEncoder } from '../av/jpeg-encoder.ts'
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
  readonly #jpeg: JpegEncoder
  readonly #out = new Frame()
  #chain: FilterChain | undefined
  #shape = ''

  constructor(job: ThumbnailJob) {
    this.#job = job
    const { width, height } = job
    this.#jpeg = new JpegEncoder({ width, height, quantiserMin: 4, quantiserMax: 12 })
    this.#out.alloc()
  }

  encode(frame: Frame): Buffer | undefined {
    let file: Buffer | undefined
    this.#chainFor(frame).push(frame, this.#out, (scaled) => {
      file = this.#jpeg.encode(scaled)
    })
    return file
  }

  close(): void {
    this.#chain?.free()
    this.#jpeg.close()
    this.#out.free()
  }

  #chainFor(frame: Frame): FilterChain {
    const source = pictureSource(frame)
    if (this.#chain !== undefined && this.#shape === source[1]) return this.#chain
    this.#chain?.free()
    this.#shape = source[1]
    const { width, height } = this.#job
    this.#chain = new FilterChain(
      source,
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
  const isHdr = videoRangeOf(Number(frame.colorTrc)) !== 'SDR'
  return isHdr ? [['tonemapx', 'tonemap=bt2390:t=bt709:m=bt709:p=bt709:format=yuv420p']] : []
}
