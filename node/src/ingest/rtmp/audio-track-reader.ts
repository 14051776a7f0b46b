/**
 * One audio track of a publisher: its sequence headers become configurations, its coded frames access units.
 */
import type { AccessUnit, AudioConfig } from '../../media/access-unit.ts'
import { audioConfigFrom } from '../../media/codecs/audio-config.ts'
import type { FlvTrackPacket } from '../../media/flv/ex-header.ts'
import { requireAudioCodec } from './codec-support.ts'
import type { TrackInfo } from './metadata.ts'
import type { RtmpDropReason } from './metrics.ts'
import { equalBytes, trackField } from './video-track-reader.ts'

/** How a track reader tells what it found. */
export interface AudioTrackEvents {
  configure(config: AudioConfig): void
  write(unit: AccessUnit): Promise<void> | undefined
  drop(reason: RtmpDropReason): undefined
}

/** Reads one track. */
export class AudioTrackReader {
  readonly #track: number
  readonly #events: AudioTrackEvents
  /** The last header and its FourCC, to tell a repeated one from a changed one. */
  #record: Uint8Array | undefined
  #codec: string | undefined
  #found: AudioConfig | undefined
  #info: TrackInfo = {}

  constructor(track: number, events: AudioTrackEvents) {
    this.#track = track
    this.#events = events
  }

  /**
   * Takes a sequence header.
   * @throws KairoError `ERR_UNSUPPORTED_CODEC`, `ERR_PROTOCOL`.
   */
  configure({ codec, data }: FlvTrackPacket): void {
    const name = requireAudioCodec(codec)
    if (data.byteLength === 0) return
    if (codec === this.#codec && equalBytes(data, this.#record)) return
    this.#found = audioConfigFrom(name, data)
    this.#codec = codec
    this.#record = data
    this.#tell()
  }

  /** What follows is a new sequence even under the same header. */
  endSequence(): void {
    this.#record = undefined
    this.#found = undefined
  }

  /** Takes language and name; a change is told at once. */
  setInfo(info: TrackInfo): void {
    const { language, label } = this.#info
    if (info.language === language && info.label === label) return
    this.#info = info
    this.#tell()
  }

  /**
   * Takes a coded frame at `dts`, 1/90000 s.
   * @throws KairoError `ERR_UNSUPPORTED_CODEC`.
   */
  frame({ codec, data }: FlvTrackPacket, dts: number): Promise<void> | undefined {
    requireAudioCodec(codec)
    if (this.#found === undefined || codec !== this.#codec) {
      return this.#events.drop('unconfigured')
    }
    if (data.byteLength === 0) return this.#events.drop('damaged')
    const track = trackField(this.#track)
    return this.#events.write({ kind: 'audio', ...track, dts, pts: dts, keyframe: true, data })
  }

  #tell(): void {
    if (this.#found === undefined) return
    this.#events.configure({ ...this.#found, ...trackField(this.#track), ...this.#info })
  }
}
