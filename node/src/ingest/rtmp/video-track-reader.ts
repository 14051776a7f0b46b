/**
 * One video track of a publisher: its sequence headers become configurations, its coded frames access units.
 */
import { KairoError } from '../../errors.ts'
import { rtmpLimits } from '../../limits.ts'
import type { AccessUnit, VideoColour, VideoConfig } from '../../media/access-unit.ts'
import { openVideoBitstream, type VideoBitstream } from '../../media/codecs/video-bitstream.ts'
import { UNSPECIFIED } from '../../media/codecs/video-signal.ts'
import type { FlvVideoTrackPacket } from '../../media/flv/video-tag.ts'
import { requireVideoCodec } from './codec-support.ts'
import type { ColourInfo } from './colour-info.ts'
import type { RtmpDropReason } from './metrics.ts'

/** How a track reader tells what it found. */
export interface VideoTrackEvents {
  configure(config: VideoConfig): void
  write(unit: AccessUnit): Promise<void> | undefined
  drop(reason: RtmpDropReason): undefined
  /** The publisher begins groups of pictures without an IDR. */
  startedAtRecoveryPoint(): void
}

/** Times and flags that the message around a track's packet gives. */
export interface FrameTimes {
  /** Decoding time in 1/90000 s. */
  readonly dts: number
  readonly compositionTicks: number
  /** The publisher calls the picture seekable. */
  readonly keyframe: boolean
}

const UNKNOWN_COLOUR: VideoColour = {
  primaries: UNSPECIFIED,
  transfer: UNSPECIFIED,
  matrix: UNSPECIFIED,
  fullRange: false,
}

/**
 * Reads one track. A damaged frame is dropped and counted, since it heals at the next keyframe;
 * `rtmpLimits.damagedFramesMax` of them in a row mean that the publisher sends something else altogether, and throw.
 */
export class VideoTrackReader {
  readonly #track: number
  readonly #events: VideoTrackEvents
  /** The last header and its FourCC, to tell a repeated one from a changed one. */
  #record: Uint8Array | undefined
  #codec: string | undefined
  #bitstream: VideoBitstream | undefined
  /** What the bitstream says, and what the sink was told. */
  #found: VideoConfig | undefined
  #told: VideoConfig | undefined
  #colour: ColourInfo | undefined
  #damagedInRow = 0
  #frameRate: number | undefined

  constructor(track: number, events: VideoTrackEvents) {
    this.#track = track
    this.#events = events
  }

  /** Pictures a second as the publisher declares them; counts where the bitstream says nothing. */
  set declaredFrameRate(frameRate: number | undefined) {
    this.#frameRate = frameRate
  }

  /**
   * Takes a sequence header.
   * @throws KairoError `ERR_UNSUPPORTED_CODEC`, `ERR_PROTOCOL`, `ERR_LIMIT`.
   */
  configure({ codec, data }: FlvVideoTrackPacket): void {
    const name = requireVideoCodec(codec)
    if (data.byteLength === 0) return
    if (codec === this.#codec && equalBytes(data, this.#record)) return
    const bitstream = openVideoBitstream(name, data, this.#frameRate)
    this.#codec = codec
    this.#record = data
    this.#bitstream = bitstream
    this.#found = bitstream.config
    this.#tell()
  }

  /** What follows is a new sequence even under the same header. */
  endSequence(): void {
    this.#record = undefined
    this.#bitstream = undefined
    this.#found = undefined
    this.#told = undefined
  }

  /** Takes what a metadata packet says of the colours. */
  setColour(colour: ColourInfo): void {
    this.#colour = colour
    this.#tell()
  }

  /**
   * Takes a coded frame.
   * @throws KairoError `ERR_UNSUPPORTED_CODEC`, `ERR_PROTOCOL`, `ERR_LIMIT`.
   */
  frame({ codec, data }: FlvVideoTrackPacket, times: FrameTimes): Promise<void> | undefined {
    requireVideoCodec(codec)
    if (this.#bitstream === undefined || codec !== this.#codec) {
      return this.#events.drop('unconfigured')
    }
    const sample = this.#bitstream.read(data)
    if (sample === undefined) return this.#damaged()
    this.#damagedInRow = 0
    if (sample.config !== undefined) {
      this.#found = sample.config
      this.#tell()
    }
    // Until a keyframe has completed the configuration, nothing can be decoded.
    if (this.#found === undefined) return this.#events.drop('unconfigured')
    const startsAtRecovery = !sample.keyframe && times.keyframe && sample.recoveryPoint
    if (startsAtRecovery) this.#events.startedAtRecoveryPoint()
    return this.#events.write({
      kind: 'video',
      ...trackField(this.#track),
      dts: times.dts,
      pts: times.dts + times.compositionTicks,
      keyframe: sample.keyframe || startsAtRecovery,
      data: sample.data,
    })
  }

  /** Tells the sink the configuration as it is known now, unless it knows that. */
  #tell(): void {
    const found = this.#found
    if (found === undefined) return
    const config: VideoConfig = {
      ...found,
      ...trackField(this.#track),
      frameRate: found.frameRate ?? this.#frameRate,
      ...(this.#colour === undefined
        ? {}
        : { colour: { ...UNKNOWN_COLOUR, ...found.colour, ...this.#colour } }),
    }
    if (this.#told !== undefined && sameConfig(config, this.#told)) return
    this.#told = config
    this.#events.configure(config)
  }

  #damaged(): undefined {
    this.#damagedInRow += 1
    if (this.#damagedInRow > rtmpLimits.damagedFramesMax) {
      throw new KairoError(
        'ERR_PROTOCOL',
        `${this.#damagedInRow} video frames in a row are not what their header says: broken NAL lengths, OBUs or frames`,
      )
    }
    return this.#events.drop('damaged')
  }
}

/** The `track` of a configuration or unit: the main track's is left out. */
export function trackField(track: number): { readonly track?: number } {
  return track === 0 ? {} : { track }
}

/** True when two views hold the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0
}

function sameConfig(a: VideoConfig, b: VideoConfig): boolean {
  const { description: one, colour: light, ...rest } = a
  const { description: other, colour: shade, ...others } = b
  const colours = (colour: VideoColour | undefined): string =>
    JSON.stringify(colour, (_key, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    ) ?? ''
  return (
    equalBytes(one, other) &&
    colours(light) === colours(shade) &&
    JSON.stringify(rest) === JSON.stringify(others)
  )
}
