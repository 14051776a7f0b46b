/**
 * One publisher's media: turns the audio, video and data messages of its message stream into track configurations and
 * access units for the sink.
 */
import { KairoError } from '../../errors.ts'
import { rtmpLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { TICKS_PER_SECOND } from '../../media/access-unit.ts'
import { parseAacConfig } from '../../media/codecs/aac.ts'
import { parseH264Config } from '../../media/codecs/h264.ts'
import { readH264Sample } from '../../media/codecs/h264-sample.ts'
import { parseAudioTag } from '../../media/flv/audio-tag.ts'
import type { FlvTrackPacket } from '../../media/flv/ex-header.ts'
import { type FlvVideoTag, parseVideoTag } from '../../media/flv/video-tag.ts'
import type { PublicationSink } from '../../media/sink.ts'
import { TimestampUnwrapper } from '../../media/timestamp.ts'
import type { AmfValue } from './amf-value.ts'
import type { RtmpMessage } from './message.ts'
import { readMetadata } from './metadata.ts'
import type { RtmpDropReason, RtmpMetrics } from './metrics.ts'

/** RTMP times are 32 bits of milliseconds. */
const TIMESTAMP_BITS = 32
const TICKS_PER_MS = TICKS_PER_SECOND / 1_000
const NANOSECONDS_PER_TICK = 1_000_000_000 / TICKS_PER_SECOND
const LENGTH_SIZE_OFFSET = 4
const LENGTH_SIZE_FOUR = 0xff

/** What a media reader needs. */
export interface MediaReaderComponents {
  readonly logger: Logger
  readonly metrics: RtmpMetrics
  readonly sink: PublicationSink
}

/**
 * Reads the media messages of one publisher. Its methods return the sink's promise when the publisher must wait.
 *
 * An access unit whose NAL lengths do not add up is dropped and counted, since one damaged picture heals at the next
 * keyframe; `rtmpLimits.damagedFramesMax` of them in a row mean that the publisher does not send AVC samples at all, and throw.
 */
export class MediaReader {
  readonly sink: PublicationSink
  readonly #logger: Logger
  readonly #metrics: RtmpMetrics
  readonly #clock = new TimestampUnwrapper(TIMESTAMP_BITS)
  /** The last configuration records, to tell a repeated sequence header from a changed one. */
  #videoRecord: Uint8Array | undefined
  #audioRecord: Uint8Array | undefined
  #nalLengthBytes = 4
  #damagedInRow = 0
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
    if (tag === undefined || tag.kind === 'command' || tag.kind === 'metadata') return undefined
    if (tag.kind === 'unknown') return this.#drop('unknown-packet')
    const track = this.#defaultTrack(tag.tracks)
    return track === undefined ? undefined : this.#videoTrack(tag, track, timestampMs)
  }

  /**
   * Takes an audio message.
   * @throws KairoError `ERR_UNSUPPORTED_CODEC`, `ERR_PROTOCOL`, `ERR_LIMIT`.
   */
  audio(message: RtmpMessage): Promise<void> | undefined {
    const timestampMs = this.#clock.unwrap(message.timestamp)
    const tag = parseAudioTag(message.data)
    if (tag === undefined || tag.kind === 'multichannel-config') return undefined
    if (tag.kind === 'unknown') return this.#drop('unknown-packet')
    const track = this.#defaultTrack(tag.tracks)
    if (track === undefined) return undefined
    requireCodec(track, 'mp4a', 'AAC')
    if (tag.kind === 'coded-frames') {
      return this.#audioFrame(track.data, toTicks(timestampMs, tag.nanoOffset))
    }
    if (tag.kind === 'sequence-start') this.#configureAudio(track.data)
    else this.#audioRecord = undefined
    return undefined
  }

  /** Takes the values of a data message; only `onMetaData` means anything here. */
  data(values: readonly AmfValue[]): void {
    const metadata = readMetadata(values)
    if (metadata === undefined) return
    this.#declaredFrameRate = metadata.frameRate
    if (metadata.video !== undefined || metadata.audio !== undefined) {
      const video = metadata.video === undefined ? {} : { video: metadata.video }
      const audio = metadata.audio === undefined ? {} : { audio: metadata.audio }
      this.sink.expect({ ...video, ...audio })
    }
  }

  /** The one track that is taken, number 0; the others are counted. */
  #defaultTrack<T extends FlvTrackPacket>(tracks: readonly T[]): T | undefined {
    const track = tracks.find(({ trackId }) => trackId === 0)
    const extra = tracks.length - (track === undefined ? 0 : 1)
    for (let index = 0; index < extra; index += 1) this.#drop('extra-track')
    return track
  }

  #videoTrack(
    tag: FlvVideoTag,
    track: FlvVideoTag['tracks'][number],
    timestampMs: number,
  ): Promise<void> | undefined {
    requireCodec(track, 'avc1', 'H.264')
    if (tag.kind === 'sequence-start') {
      this.#configureVideo(track.data)
      return undefined
    }
    if (tag.kind === 'sequence-end') {
      // What follows is a new sequence even under the same parameter sets.
      this.#videoRecord = undefined
      return undefined
    }
    if (tag.kind !== 'coded-frames') return this.#drop('unknown-packet')
    if (this.#videoRecord === undefined) return this.#drop('unconfigured')
    const sample = readH264Sample(track.data, this.#nalLengthBytes)
    if (sample === undefined) return this.#damaged()
    this.#damagedInRow = 0
    const dts = toTicks(timestampMs, tag.nanoOffset)
    this.#metrics.accessUnits.inc({ kind: 'video' })
    const startsAtRecovery = !sample.idr && tag.keyframe && sample.recoveryPoint
    if (startsAtRecovery) this.#noteRecoveryPoint()
    return this.sink.write({
      kind: 'video',
      dts,
      pts: dts + track.compositionMs * TICKS_PER_MS,
      keyframe: sample.idr || startsAtRecovery,
      data: sample.data,
    })
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

  #configureVideo(record: Uint8Array): void {
    if (record.byteLength === 0 || equalBytes(record, this.#videoRecord)) return
    const { codecString, nalLengthBytes, sps } = parseH264Config(record)
    this.#videoRecord = record
    this.#nalLengthBytes = nalLengthBytes
    const description = Uint8Array.from(record)
    // Samples leave here with 4-byte lengths, whatever the publisher uses.
    description[LENGTH_SIZE_OFFSET] = LENGTH_SIZE_FOUR
    this.sink.configure({
      kind: 'video',
      codec: 'h264',
      codecString,
      width: sps.width,
      height: sps.height,
      frameRate: sps.frameRate ?? this.#declaredFrameRate,
      description,
    })
  }

  #configureAudio(record: Uint8Array): void {
    if (record.byteLength === 0 || equalBytes(record, this.#audioRecord)) return
    const config = parseAacConfig(record)
    this.#audioRecord = record
    this.sink.configure({
      kind: 'audio',
      codec: 'aac',
      ...config,
      description: Uint8Array.from(record),
    })
  }

  #audioFrame(data: Uint8Array, dts: number): Promise<void> | undefined {
    if (this.#audioRecord === undefined) return this.#drop('unconfigured')
    if (data.byteLength === 0) return this.#drop('damaged')
    this.#metrics.accessUnits.inc({ kind: 'audio' })
    return this.sink.write({ kind: 'audio', dts, pts: dts, keyframe: true, data })
  }

  #damaged(): undefined {
    this.#damagedInRow += 1
    if (this.#damagedInRow > rtmpLimits.damagedFramesMax) {
      throw new KairoError(
        'ERR_PROTOCOL',
        `${this.#damagedInRow} video frames in a row have broken NAL lengths`,
      )
    }
    return this.#drop('damaged')
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

/** What publishers call the codecs that they are likely to try. */
const codecNames: Readonly<Record<string, string>> = {
  '.mp3': 'MP3',
  'ac-3': 'AC-3',
  'ec-3': 'E-AC-3',
  Opus: 'Opus',
  av01: 'AV1',
  fLaC: 'FLAC',
  hvc1: 'HEVC',
  vp08: 'VP8',
  vp09: 'VP9',
}

function requireCodec(track: FlvTrackPacket, fourCc: string, supported: string): void {
  if (track.codec === fourCc) return
  const name = codecNames[track.codec]
  const readable = /^[\x20-\x7e]+$/.test(track.codec) ? track.codec : 'an unnamed codec'
  const sent = name === undefined ? readable : `${name} (${track.codec})`
  throw new KairoError(
    'ERR_UNSUPPORTED_CODEC',
    `the publisher sends ${sent}; this peer takes ${supported} (${fourCc}) here`,
  )
}

function toTicks(timestampMs: number, nanoOffset: number): number {
  return timestampMs * TICKS_PER_MS + Math.round(nanoOffset / NANOSECONDS_PER_TICK)
}

function equalBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0
}
