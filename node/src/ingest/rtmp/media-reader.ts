/**
 * One publisher's media: turns the audio, video and data messages of its message stream into track configurations and
 * access units for the sink.
 */
import { codecLimits } from '../../limits/codecs.ts'
import type { Logger } from '../../logger.ts'
import { type AccessUnit, TICKS_PER_MS, TICKS_PER_SECOND } from '../../media/access-unit.ts'
import { parseAudioTag } from '../../media/flv/audio-tag.ts'
import {
  type FlvVideoTag,
  type FlvVideoTrackPacket,
  parseVideoTag,
} from '../../media/flv/video-tag.ts'
import type { PublicationSink } from '../../media/sink.ts'
import { TimestampUnwrapper } from '../../media/timestamp.ts'
import type { AmfValue } from './amf-value.ts'
import { AudioTrackReader } from './audio-track-reader.ts'
import { readColourInfo } from './colour-info.ts'
import type { RtmpMessage } from './message.ts'
import { readMetadata, type TrackInfo } from './metadata.ts'
import type { RtmpDropReason, RtmpMetrics } from './metrics.ts'
import { VideoTrackReader } from './video-track-reader.ts'

/** RTMP times are 32 bits of milliseconds. */
const TIMESTAMP_BITS = 32
const NANOSECONDS_PER_TICK = 1_000_000_000 / TICKS_PER_SECOND

/** What a media reader needs. */
export interface MediaReaderComponents {
  readonly logger: Logger
  readonly metrics: RtmpMetrics
  readonly sink: PublicationSink
}

/**
 * Reads the media messages of one publisher. Its methods return the sink's promise when the publisher must wait. It takes
 * up to `codecLimits.tracksMax` tracks of each kind; units of more are dropped and counted.
 */
export class MediaReader {
  readonly sink: PublicationSink
  readonly #logger: Logger
  readonly #metrics: RtmpMetrics
  readonly #clock = new TimestampUnwrapper(TIMESTAMP_BITS)
  readonly #videoTracks = new Map<number, VideoTrackReader>()
  readonly #audioTracks = new Map<number, AudioTrackReader>()
  #audioInfos: ReadonlyMap<number, TrackInfo> = new Map()
  #recoveryPointNoted = false
  #declaredFrameRate: number | undefined
  readonly #reported = new Set<RtmpDropReason>()

  constructor(components: MediaReaderComponents) {
    this.sink = components.sink
    this.#logger = components.logger
    this.#metrics = components.metrics
  }

  /**
   * Takes a video message.
   * @throws KairoError `ERR_UNSUPPORTED_CODEC`, `ERR_PROTOCOL`, `ERR_LIMIT`.
   */
  video(message: RtmpMessage): Promise<void> | undefined {
    const timestampMs = this.#clock.unwrap(message.timestamp)
    const tag = parseVideoTag(message.data)
    if (tag === undefined || tag.kind === 'command') return undefined
    if (tag.kind === 'unknown') return this.#drop('unknown-packet')
    const dts = toTicks(timestampMs, tag.nanoOffset)
    return together(tag.tracks.map((packet) => this.#videoPacket(tag, packet, dts)))
  }

  /**
   * Takes an audio message.
   * @throws KairoError `ERR_UNSUPPORTED_CODEC`, `ERR_PROTOCOL`, `ERR_LIMIT`.
   */
  audio(message: RtmpMessage): Promise<void> | undefined {
    const timestampMs = this.#clock.unwrap(message.timestamp)
    const tag = parseAudioTag(message.data)
    // How channels are laid out says each codec's own header, too.
    if (tag === undefined || tag.kind === 'multichannel-config') return undefined
    if (tag.kind === 'unknown') return this.#drop('unknown-packet')
    const dts = toTicks(timestampMs, tag.nanoOffset)
    const waits = tag.tracks.map((packet) => {
      const track = this.#audioTrack(packet.trackId)
      if (track === undefined) return this.#drop('extra-track')
      if (tag.kind === 'coded-frames') return track.frame(packet, dts)
      if (tag.kind === 'sequence-start') track.configure(packet)
      else track.endSequence()
      return undefined
    })
    return together(waits)
  }

  /** Takes the values of a data message; only `onMetaData` means anything here. */
  data(values: readonly AmfValue[]): void {
    const metadata = readMetadata(values)
    if (metadata === undefined) return
    this.#declaredFrameRate = metadata.frameRate
    for (const track of this.#videoTracks.values()) track.declaredFrameRate = metadata.frameRate
    this.#audioInfos = metadata.audioTracks
    for (const [id, info] of metadata.audioTracks) this.#audioTracks.get(id)?.setInfo(info)
    if (metadata.video !== undefined || metadata.audio !== undefined) {
      const video = metadata.video === undefined ? {} : { video: metadata.video }
      const audio = metadata.audio === undefined ? {} : { audio: metadata.audio }
      this.sink.expect({ ...video, ...audio })
    }
  }

  #videoPacket(
    tag: FlvVideoTag,
    packet: FlvVideoTrackPacket,
    dts: number,
  ): Promise<void> | undefined {
    const track = this.#videoTrack(packet.trackId)
    if (track === undefined) return this.#drop('extra-track')
    switch (tag.kind) {
      case 'sequence-start':
        track.configure(packet)
        return undefined
      case 'sequence-end':
        track.endSequence()
        return undefined
      case 'metadata': {
        const colour = readColourInfo(packet.data)
        if (colour !== undefined) track.setColour(colour)
        return undefined
      }
      case 'coded-frames': {
        const compositionTicks = packet.compositionMs * TICKS_PER_MS
        return track.frame(packet, { dts, compositionTicks, keyframe: tag.keyframe })
      }
      default:
        return this.#drop('unknown-packet')
    }
  }

  #videoTrack(id: number): VideoTrackReader | undefined {
    const known = this.#videoTracks.get(id)
    if (known !== undefined) return known
    if (this.#videoTracks.size === codecLimits.tracksMax) return undefined
    const track = new VideoTrackReader(id, {
      configure: (config) => this.sink.configure(config),
      write: (unit) => this.#write(unit),
      drop: (reason) => this.#drop(reason),
      startedAtRecoveryPoint: () => this.#noteRecoveryPoint(),
    })
    track.declaredFrameRate = this.#declaredFrameRate
    this.#videoTracks.set(id, track)
    return track
  }

  #audioTrack(id: number): AudioTrackReader | undefined {
    const known = this.#audioTracks.get(id)
    if (known !== undefined) return known
    if (this.#audioTracks.size === codecLimits.tracksMax) return undefined
    const track = new AudioTrackReader(id, {
      configure: (config) => this.sink.configure(config),
      write: (unit) => this.#write(unit),
      drop: (reason) => this.#drop(reason),
    })
    track.setInfo(this.#audioInfos.get(id) ?? {})
    this.#audioTracks.set(id, track)
    return track
  }

  #write(unit: AccessUnit): Promise<void> | undefined {
    this.#metrics.units[unit.kind] += 1
    return this.sink.write(unit)
  }

  /** Native players begin at a recovery point; Chromium's media source begins at an IDR only and shows nothing. */
  #noteRecoveryPoint(): void {
    if (this.#recoveryPointNoted) return
    this.#recoveryPointNoted = true
    this.#logger.warn(
      {},
      'the publisher begins groups of pictures without an IDR, where browsers cannot start: turn intra refresh and open GOP off in the encoder',
    )
  }

  /** Counts a dropped access unit; the first of each reason is logged. */
  #drop(reason: RtmpDropReason): undefined {
    this.#metrics.dropped.inc({ reason })
    if (!this.#reported.has(reason)) {
      this.#reported.add(reason)
      this.#logger.warn({ reason }, 'a publisher sends access units that are dropped')
    }
    return undefined
  }
}

/** One promise for the writes of one message; undefined when none of them waits. */
function together(waits: readonly (Promise<void> | undefined)[]): Promise<void> | undefined {
  const pending = waits.filter((wait) => wait !== undefined)
  if (pending.length <= 1) return pending[0]
  return Promise.all(pending).then(() => {})
}

function toTicks(timestampMs: number, nanoOffset: number): number {
  return timestampMs * TICKS_PER_MS + Math.round(nanoOffset / NANOSECONDS_PER_TICK)
}
