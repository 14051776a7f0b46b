/** One track of a pulled source on its way: as it is where players take its codec, else, for sound, as AAC. */
import { AVMEDIA_TYPE_AUDIO } from 'node-av/constants'
import { Codec, type Packet, type Stream } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { pullLimits as limits } from '../../../limits/pull.ts'
import type { AccessUnit, TrackConfig } from '../../access-unit.ts'
import { languageTag } from '../../language-tag.ts'
import { AudioRungEncoder } from '../av/audio-rung.ts'
import { codecOf } from '../av/codecs.ts'
import { PacketReader } from '../av/packet-reader.ts'
import type { JobContext } from '../context.ts'
import { StreamDecoder } from '../file/stream-decoder.ts'

/** Takes the packets of one stream. */
export interface PulledTrack {
  take(packet: Packet): void
  /** Hands out what is still inside. */
  finish(): void
}

/**
 * The way of a stream to an output.
 * @throws KairoError `ERR_UNSUPPORTED_CODEC` naming the codec and those that are taken.
 */
export function pulledTrack(context: JobContext, stream: Stream, output: number): PulledTrack {
  const { codecId, codecType, extradata } = stream.codecpar
  const codec = codecOf(codecId)
  const track = output > 1 ? output - 1 : undefined
  const language = languageTag(stream.metadata?.get('language'))
  const exit = new TrackExit(context, output, track)
  if (codec === undefined) {
    if (codecType === AVMEDIA_TYPE_AUDIO) return new EncodedTrack(exit, stream, language)
    const name = Codec.findDecoder(codecId)?.name ?? 'unknown'
    throw new KairoError(
      'ERR_UNSUPPORTED_CODEC',
      `the source sends ${name} pictures; Kairo takes H.264, HEVC, AV1 and VP9`,
    )
  }
  const { num, den } = stream.avgFrameRate
  const headless = codec === 'opus' && (extradata === null || extradata.byteLength === 0)
  const reader = new PacketReader({
    codec,
    // RTP says of Opus only how many channels there are.
    extradata: headless ? opusHead(stream.codecpar.channels) : extradata,
    timeBase: stream.timeBase,
    ...(track !== undefined && { track }),
    ...(language !== undefined && { language }),
    frameRate: num > 0 && den > 0 ? num / den : undefined,
  })
  return new CopiedTrack(exit, reader)
}

/** The identification header of plain mono or stereo (RFC 7845 5.1). */
function opusHead(channels: number): Buffer {
  const head = Buffer.alloc(19)
  head.write('OpusHead', 0, 'latin1')
  head[8] = 1
  head[9] = Math.min(Math.max(channels, 1), 2)
  head.writeUInt32LE(48_000, 12)
  return head
}

/** Keeps decoding times of one output in order. */
class TrackExit {
  readonly context: JobContext
  readonly track: number | undefined
  readonly #output: number
  #lastDts = Number.NEGATIVE_INFINITY

  constructor(context: JobContext, output: number, track: number | undefined) {
    this.context = context
    this.#output = output
    this.track = track
  }

  hand(unit: AccessUnit, config: TrackConfig | undefined): void {
    const { context } = this
    if (config !== undefined) context.config(this.#output, config)
    const back = this.#lastDts - unit.dts
    if (back >= 0 && back < limits.backwardTicksMax) {
      context.counters.damaged += 1
      return
    }
    this.#lastDts = unit.dts
    context.counters.position = unit.dts
    context.unit(this.#output, unit)
  }
}

class CopiedTrack implements PulledTrack {
  readonly #exit: TrackExit
  readonly #reader: PacketReader

  constructor(exit: TrackExit, reader: PacketReader) {
    this.#exit = exit
    this.#reader = reader
  }

  take(packet: Packet): void {
    const read = this.#reader.read(packet)
    if (read === undefined) this.#exit.context.counters.damaged += 1
    else this.#exit.hand(read.unit, read.config)
  }

  finish(): void {
    // Nothing waits where nothing is decoded.
  }
}

/** G.711, G.722, MP2, AC-3: what cameras and contribution encoders send and browsers do not play. */
class EncodedTrack implements PulledTrack {
  readonly #decoder: StreamDecoder
  readonly #encoder: AudioRungEncoder

  constructor(exit: TrackExit, stream: Stream, language: string | undefined) {
    const { sampleRate, channels: given } = stream.codecpar
    const rung = {
      ...({ name: 'pulled', codec: 'aac', bitrateBps: limits.aacBitrateBps } as const),
      channels: Math.min(Math.max(given, 1), 2),
      sampleRate: sampleRate === 44_100 ? 44_100 : 48_000,
    }
    const tracked = exit.track === undefined ? {} : { track: exit.track }
    this.#encoder = new AudioRungEncoder({
      ...{ rung, language, resumeAt: undefined },
      onUnit: (unit, config) => {
        exit.hand({ ...unit, ...tracked }, config && { ...config, ...tracked })
      },
    })
    this.#decoder = new StreamDecoder({
      ...{ stream, threads: 1, origin: 0 },
      onFrame: (frame, pts) => this.#encoder.encode(frame, pts),
      onDamaged: () => {
        exit.context.counters.damaged += 1
      },
    })
  }

  take(packet: Packet): void {
    this.#decoder.decode(packet)
  }

  finish(): void {
    this.#decoder.decode(null)
    this.#encoder.finish()
    this.#decoder.close()
    this.#encoder.close()
  }
}
