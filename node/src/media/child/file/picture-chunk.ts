/**
 * The pictures of a stretch of a file, decoded once and encoded into every rung. Each segment begins with a keyframe at its
 * time; a stretch without pictures, where the file is damaged or still, repeats the last one there, so that all renditions have all segments.
 */
import assert from 'node:assert/strict'
import { AV_NOPTS_VALUE } from 'node-av/constants'
import { Frame, type Packet, type Stream } from 'node-av/lib'
import { FRAME_RATE_ASSUMED, TICKS_PER_SECOND, type VideoColour } from '../../access-unit.ts'
import { UNSPECIFIED } from '../../codecs/video-signal.ts'
import { ticksOf } from '../av/packets.ts'
import { VideoRungEncoder } from '../av/video-rung.ts'
import type { JobContext } from '../context.ts'
import type { ChunkJob } from '../job.ts'
import { type FileInput, ptsOf } from './file-input.ts'
import { StreamDecoder } from './stream-decoder.ts'
import { TurnedPictures } from './turned-pictures.ts'

/** Where packets have no decoding time, the stretch ends this long after its end: leading pictures come later than they are shown. */
const LATE_TICKS = 2 * TICKS_PER_SECOND
const RANGE_FULL = 2

/** One attempt at a stretch. */
export class PictureChunk {
  readonly #context: JobContext
  readonly #job: ChunkJob
  readonly #input: FileInput
  readonly #stream: Stream
  readonly #decoder: StreamDecoder
  readonly #turned: TurnedPictures
  readonly #last = new Frame()
  #rungs: readonly VideoRungEncoder[] = []
  /** Index of the segment that the next picture may open. */
  #next = 0
  #lastPts = Number.NEGATIVE_INFINITY

  constructor(context: JobContext, job: ChunkJob, input: FileInput, streamIndex: number) {
    const stream = input.streams[streamIndex]
    assert(stream !== undefined, 'the stream is in the file')
    this.#context = context
    this.#job = job
    this.#input = input
    this.#stream = stream
    this.#turned = new TurnedPictures(job.rotation)
    this.#last.alloc()
    this.#decoder = new StreamDecoder({
      ...{ stream, threads: job.threads, origin: job.origin },
      onFrame: (frame, pts) => {
        if (pts >= job.from && pts < job.to && pts > this.#lastPts) {
          this.#turned.push(frame, (picture) => this.#take(picture, pts))
        }
      },
      onDamaged: () => {
        context.counters.damaged += 1
      },
    })
    input.select([streamIndex])
  }

  /**
   * Encodes the stretch, beginning to read `leadTicks` before it, or at the file's start when undefined. False, with nothing handed
   * out, when what can be read from there has no picture of it, or begins behind it.
   */
  async encode(leadTicks: number | undefined): Promise<boolean> {
    const { from, origin } = this.#job
    const isStart = leadTicks === undefined || from - leadTicks <= 0
    if (!isStart && !this.#input.seek(this.#stream, from + origin - leadTicks)) return false
    let started = false
    for (let packet = this.#input.next(); packet !== undefined; packet = this.#input.next()) {
      if (packet.streamIndex !== this.#stream.index) continue
      this.#context.counters.unitsIn += 1
      if (!started) {
        if (!packet.isKeyframe) continue
        // Landed behind the keyframe that the stretch begins with.
        if (!isStart && (ptsOf(packet, this.#stream) ?? 0) - origin > from) return false
        started = true
      }
      if (this.#isBehind(packet)) break
      this.#decoder.decode(packet)
      await this.#context.turn()
    }
    this.#decoder.decode(null)
    if (this.#lastPts === Number.NEGATIVE_INFINITY) return false
    this.#fill(Number.POSITIVE_INFINITY)
    for (const rung of this.#rungs) {
      rung.finish()
      await this.#context.turn()
    }
    return true
  }

  close(): void {
    for (const rung of this.#rungs) rung.close()
    this.#decoder.close()
    this.#turned.close()
    this.#last.free()
  }

  /** True when no picture of the stretch comes at or after this packet. */
  #isBehind(packet: Packet): boolean {
    const { origin, to } = this.#job
    if (packet.dts !== AV_NOPTS_VALUE) {
      return (ticksOf(packet.dts, this.#stream.timeBase) ?? 0) - origin >= to
    }
    return (ptsOf(packet, this.#stream) ?? 0) - origin >= to + LATE_TICKS
  }

  #take(picture: Frame, pts: number): void {
    this.#rungs = this.#rungs.length > 0 ? this.#rungs : this.#open(picture)
    if (this.#lastPts === Number.NEGATIVE_INFINITY) this.#keep(picture)
    this.#fill(pts)
    const isOpening = pts >= (this.#job.keyframes[this.#next] ?? Number.POSITIVE_INFINITY)
    if (isOpening) this.#next += 1
    this.#encode(picture, pts, isOpening)
    this.#keep(picture)
  }

  /** Repeats the last picture at the beginning of every segment that ends before `until` and has none. */
  #fill(until: number): void {
    const { keyframes } = this.#job
    for (;;) {
      const time = keyframes[this.#next]
      const end = keyframes[this.#next + 1]
      if (time === undefined || (end ?? Number.POSITIVE_INFINITY) > until) return
      // The last segment may end with the stretch: it is repeated only when nothing more comes.
      if (end === undefined && until !== Number.POSITIVE_INFINITY) return
      this.#next += 1
      if (time > this.#lastPts) this.#encode(this.#last, time, true)
    }
  }

  #encode(picture: Frame, pts: number, keyframe: boolean): void {
    this.#lastPts = pts
    this.#context.counters.position = pts
    for (const rung of this.#rungs) rung.encode(picture, pts, keyframe)
  }

  #keep(picture: Frame): void {
    this.#last.unref()
    this.#last.ref(picture)
  }

  #open(first: Frame): readonly VideoRungEncoder[] {
    const { video, frameRate, threads, from } = this.#job
    const colour = colourOf(first)
    return video.map(
      (rung, output) =>
        new VideoRungEncoder({
          ...{ rung, colour, frameRate: frameRate || FRAME_RATE_ASSUMED },
          ...{ live: false, threads, resumeAt: from },
          onUnit: (unit, config) => {
            if (config !== undefined) this.#context.config(output, config)
            this.#context.unit(output, unit)
          },
        }),
    )
  }
}

/** Colours as the decoder found them; undefined where the bitstream does not say. */
function colourOf(frame: Frame): VideoColour | undefined {
  const transfer = Number(frame.colorTrc)
  if (transfer === UNSPECIFIED || transfer === 0) return undefined
  return {
    ...{ primaries: Number(frame.colorPrimaries), transfer, matrix: Number(frame.colorSpace) },
    fullRange: Number(frame.colorRange) === RANGE_FULL,
  }
}
