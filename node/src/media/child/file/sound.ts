/**
 * One sound track of a file, from end to end: decoded, resampled, encoded. It is never cut into chunks, since an encoder that begins
 * anew clicks. Holes are filled with silence and overlaps cut away, so that sound stays with the pictures.
 */
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_SAMPLE_FMT_FLT,
  AV_SAMPLE_FMT_FLTP,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  type AVSampleFormat,
  FF_ENCODER_AAC,
  FF_ENCODER_LIBOPUS,
} from 'node-av/constants'
import {
  avChannelLayoutDefault,
  avChannelLayoutDescribe,
  avGetSampleFmtName,
  Codec,
  CodecContext,
  FFmpegError,
  Frame,
  Packet,
  Rational,
} from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import type { AudioRung } from '../../ladder/rung.ts'
import { FilterChain } from '../av/filter-chain.ts'
import { PacketReader } from '../av/packet-reader.ts'
import type { JobContext } from '../context.ts'
import type { ChunkJob } from '../job.ts'
import { FileInput } from './file-input.ts'
import { StreamDecoder } from './stream-decoder.ts'

/** A hole or overlap below this is jitter of time stamps, seconds. */
const JITTER_S = 0.04

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
  readonly #context: JobContext
  readonly #rung: AudioRung
  readonly #output: number
  readonly #scratch = new Frame()
  readonly #out = new Frame()
  readonly #packet = new Packet()
  readonly #encoder: CodecContext
  readonly #reader: PacketReader
  #chain: FilterChain | undefined
  #shape = ''
  /** End of what came out of the chain, samples; another chain begins there. */
  #position = 0
  units = 0

  constructor(context: JobContext, rung: AudioRung, output: number) {
    this.#context = context
    this.#rung = rung
    this.#output = output
    this.#encoder = openEncoder(rung)
    this.#scratch.alloc()
    this.#out.alloc()
    this.#packet.alloc()
    this.#reader = new PacketReader({
      codec: rung.codec,
      extradata: this.#encoder.extraData && Buffer.from(this.#encoder.extraData),
      timeBase: new Rational(1, rung.sampleRate),
    })
  }

  /** Takes decoded sound, which stays the caller's; `pts` is 1/90000 s. */
  push(frame: Frame, pts: number): void {
    this.#scratch.ref(frame)
    this.#scratch.pts = BigInt(pts)
    this.#chainFor(frame).push(this.#scratch, this.#out, (made) => this.#encode(made))
  }

  finish(): void {
    this.#chain?.push(null, this.#out, (made) => this.#encode(made))
    FFmpegError.throwIfError(this.#encoder.sendFrameSync(null), 'finish the sound')
    this.#drain()
  }

  close(): void {
    this.#chain?.free()
    this.#scratch.free()
    this.#out.free()
    this.#packet.free()
    this.#encoder.freeContext()
  }

  #chainFor(frame: Frame): FilterChain {
    const { sampleRate, codec, channels } = this.#rung
    const layout =
      frame.channelLayout.order === 0 ? avChannelLayoutDefault(frame.channels) : frame.channelLayout
    const shape = [
      'time_base=1/90000',
      `sample_rate=${frame.sampleRate}`,
      `sample_fmt=${avGetSampleFmtName(frame.format as AVSampleFormat)}`,
      `channel_layout=${avChannelLayoutDescribe(layout)}`,
    ].join(':')
    if (this.#chain !== undefined && shape === this.#shape) return this.#chain
    // A track that changes its format midway goes on where it was.
    this.#chain?.push(null, this.#out, (made) => this.#encode(made))
    this.#chain?.free()
    this.#shape = shape
    const format = codec === 'aac' ? 'fltp' : 'flt'
    const out = avChannelLayoutDescribe(avChannelLayoutDefault(channels))
    const sync = `async=1:min_hard_comp=${JITTER_S}:first_pts=${this.#position}`
    this.#chain = new FilterChain(
      ['abuffer', shape],
      [
        ['aresample', `out_sample_rate=${sampleRate}:${sync}`],
        ['aformat', `sample_fmts=${format}:sample_rates=${sampleRate}:channel_layouts=${out}`],
        ['asetnsamples', `nb_out_samples=${this.#encoder.frameSize}:pad=1`],
      ],
      1,
    )
    return this.#chain
  }

  #encode(frame: Frame): void {
    frame.pts = BigInt(this.#position)
    this.#position += frame.nbSamples
    FFmpegError.throwIfError(this.#encoder.sendFrameSync(frame), 'encode sound')
    this.#drain()
  }

  #drain(): void {
    for (;;) {
      const result = this.#encoder.receivePacketSync(this.#packet)
      if (result === AVERROR_EAGAIN || result === AVERROR_EOF) return
      FFmpegError.throwIfError(result, 'encode sound')
      const read = this.#reader.read(this.#packet)
      this.#packet.unref()
      if (read === undefined) throw new KairoError('ERR_WORKER', 'the sound encoder made no sense')
      if (read.config !== undefined) this.#context.config(this.#output, read.config)
      // What comes before the start is the encoder's own lead-in.
      if (read.unit.pts < 0) continue
      this.units += 1
      this.#context.unit(this.#output, read.unit)
    }
  }
}

function openEncoder(rung: AudioRung): CodecContext {
  const name = rung.codec === 'aac' ? FF_ENCODER_AAC : FF_ENCODER_LIBOPUS
  const codec = Codec.findEncoderByName(name)
  if (codec === null) throw new KairoError('ERR_WORKER', `this build of FFmpeg has no ${name}`)
  const context = new CodecContext()
  context.allocContext3(codec)
  context.sampleRate = rung.sampleRate
  context.sampleFormat = rung.codec === 'aac' ? AV_SAMPLE_FMT_FLTP : AV_SAMPLE_FMT_FLT
  context.channelLayout = avChannelLayoutDefault(rung.channels)
  context.timeBase = new Rational(1, rung.sampleRate)
  context.bitRate = BigInt(rung.bitrateBps)
  context.threadCount = 1
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER)
  const result = context.open2Sync()
  if (result >= 0) return context
  context.freeContext()
  throw new KairoError('ERR_WORKER', `the encoder ${name} does not open for ${rung.name}`)
}
