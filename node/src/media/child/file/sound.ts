/**
 * One sound track of a file, from end to end: decoded, resampled, encoded. It is never cut into chunks, since an encoder that begins
 * anew clicks. Holes are filled with silence and overlaps cut away, so that sound stays with the pictures.
 */
import { AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_FLTP } from 'node-av/constants'
import { avChannelLayoutDefault, avChannelLayoutDescribe, FFmpegError, Frame } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { TICKS_PER_SECOND } from '../../access-unit.ts'
import type { AudioRung } from '../../ladder/rung.ts'
import { AudioEncoder } from '../av/audio-encoder.ts'
import { FilterChain } from '../av/filter-chain.ts'
import { soundSource } from '../av/frame-source.ts'
import type { JobContext } from '../context.ts'
import type { ChunkJob } from '../job.ts'
import { FileInput, ptsOf } from './file-input.ts'
import { StreamDecoder } from './stream-decoder.ts'

/** A hole or overlap below this is jitter of time stamps, seconds. */
const JITTER_S = 0.04
/** A longer hole is filled step by step, seconds. */
const HOLE_S = 2
const FILL_S = 1

/** Encodes a sound track into every audio rung; outputs count on from the video rungs. */
export async function encodeSound(
  context: JobContext,
  job: ChunkJob,
  streamIndex: number,
): Promise<void> {
  const input = FileInput.open(job.path)
  const stream = input.streams[streamIndex]
  if (stream === undefined) {
    input.close()
    throw new KairoError('ERR_MEDIA', `the file has no stream ${streamIndex}`)
  }
  const encoders = job.audio.map(
    (rung, index) => new SoundEncoder(context, rung, job.video.length + index),
  )
  input.select([streamIndex])
  const decoder = new StreamDecoder({
    ...{ stream, threads: 1, origin: job.origin },
    onFrame: (frame, pts) => {
      if (pts >= job.to) return
      context.counters.position = Math.max(context.counters.position, pts)
      for (const encoder of encoders) encoder.push(frame, pts)
    },
    onDamaged: () => {
      context.counters.damaged += 1
    },
  })
  try {
    for (let packet = input.next(); packet !== undefined; packet = input.next()) {
      if (packet.streamIndex !== streamIndex) continue
      context.counters.unitsIn += 1
      const pts = Math.min(job.to, (ptsOf(packet, stream) ?? 0) - job.origin)
      for (const encoder of encoders) {
        while (encoder.fill(pts)) await context.turn()
      }
      decoder.decode(packet)
      await context.turn()
    }
    decoder.decode(null)
    for (const encoder of encoders) encoder.finish()
    if (encoders.some(({ units }) => units === 0)) {
      throw new KairoError('ERR_MEDIA', 'nothing of a sound track can be decoded')
    }
  } finally {
    decoder.close()
    for (const encoder of encoders) encoder.close()
    input.close()
  }
}

/** One audio rung. */
class SoundEncoder {
  readonly #rung: AudioRung
  readonly #encoder: AudioEncoder
  readonly #scratch = new Frame()
  readonly #out = new Frame()
  #chain: FilterChain | undefined
  #shape = ''
  /** End of what came out of the chain, samples; another chain begins there. */
  #position = 0
  units = 0

  constructor(context: JobContext, rung: AudioRung, output: number) {
    this.#rung = rung
    this.#encoder = new AudioEncoder({
      ...{ rung, language: undefined },
      onUnit: (unit, config) => {
        if (config !== undefined) context.config(output, config)
        // What comes before the start is the encoder's own lead-in.
        if (unit.pts < 0) return
        this.units += 1
        context.unit(output, unit)
      },
    })
    this.#scratch.alloc()
    this.#out.alloc()
  }

  /** Takes decoded sound, which stays the caller's; `pts` is 1/90000 s. */
  push(frame: Frame, pts: number): void {
    FFmpegError.throwIfError(this.#scratch.ref(frame), 'reference sound')
    this.#scratch.pts = BigInt(pts)
    this.#chainFor(frame).push(this.#scratch, this.#out, (made) => this.#encode(made))
  }

  /**
   * Makes a step of silence where what follows begins at `pts`, long after what came so far; false when there is no such hole. In steps,
   * since the resampler would make all of a hole at once, and hours of silence take gigabytes.
   */
  fill(pts: number): boolean {
    const { sampleRate } = this.#rung
    const hole = (pts * sampleRate) / TICKS_PER_SECOND - this.#position
    if (hole < sampleRate * HOLE_S) return false
    this.#endChain()
    const silence = this.#silentBlock()
    for (let made = 0; made < sampleRate * FILL_S; made += silence.nbSamples) this.#encode(silence)
    silence.free()
    return true
  }

  finish(): void {
    this.#chain?.push(null, this.#out, (made) => this.#encode(made))
    this.#encoder.finish()
  }

  close(): void {
    this.#chain?.free()
    this.#scratch.free()
    this.#out.free()
    this.#encoder.close()
  }

  #chainFor(frame: Frame): FilterChain {
    const source = soundSource(frame)
    if (this.#chain !== undefined && source[1] === this.#shape) return this.#chain
    // A track that changes its format midway goes on where it was.
    this.#endChain()
    this.#shape = source[1]
    const { sampleRate, channels } = this.#rung
    const { sampleFormat, frameSamples } = this.#encoder
    const layout = avChannelLayoutDescribe(avChannelLayoutDefault(channels))
    const sync = `async=1:min_hard_comp=${JITTER_S}:first_pts=${this.#position}`
    this.#chain = new FilterChain(
      source,
      [
        ['aresample', `out_sample_rate=${sampleRate}:${sync}`],
        [
          'aformat',
          `sample_fmts=${sampleFormat}:sample_rates=${sampleRate}:channel_layouts=${layout}`,
        ],
        ['asetnsamples', `nb_out_samples=${frameSamples}:pad=1`],
      ],
      1,
    )
    return this.#chain
  }

  /** Takes what is left in the chain; the next one begins behind it. */
  #endChain(): void {
    this.#chain?.push(null, this.#out, (made) => this.#encode(made))
    this.#chain?.free()
    this.#chain = undefined
    this.#shape = ''
  }

  #silentBlock(): Frame {
    const { sampleRate, channels } = this.#rung
    const block = new Frame()
    block.alloc()
    block.format = this.#encoder.sampleFormat === 'fltp' ? AV_SAMPLE_FMT_FLTP : AV_SAMPLE_FMT_FLT
    block.nbSamples = this.#encoder.frameSamples
    block.sampleRate = sampleRate
    block.channelLayout = avChannelLayoutDefault(channels)
    FFmpegError.throwIfError(block.getBuffer(), 'silence')
    for (const plane of block.data ?? []) plane.fill(0)
    return block
  }

  #encode(block: Frame): void {
    block.pts = BigInt(this.#position)
    this.#position += block.nbSamples
    this.#encoder.encode(block)
  }
}
