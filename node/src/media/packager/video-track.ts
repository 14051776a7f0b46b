/**
 * The video rendition: pictures at their own decoding times on the output timeline. Composition offsets are what the
 * publisher says, signed and without an edit list, the form that hls.js, Safari, shaka and ffmpeg all read alike.
 */
import { packagingLimits } from '../../limits.ts'
import {
  type AccessUnit,
  TICKS_PER_MS,
  TICKS_PER_SECOND,
  type VideoConfig,
} from '../access-unit.ts'
import { VIDEO_TRACK_ID, videoInitSegment } from '../cmaf/init-segment.ts'
import type { PackagerMetrics } from './packager-metrics.ts'
import { PartTarget } from './part-target.ts'
import { type Cut, type PackagedPart, RenditionWriter } from './rendition-writer.ts'
import type { MediaTimeline } from './timeline.ts'

/** Declared rates outside of this are publishers' mistakes (0, or a timescale). */
const FRAME_RATE_MIN = 1
const FRAME_RATE_MAX = 300

/** Fixed for a track's life. */
export interface VideoTrackInit {
  readonly partTargetMs: number
  readonly metrics: PackagerMetrics | undefined
  readonly onPart: (part: PackagedPart) => void
}

/** Writes the video rendition. Times in 1/90000 s. */
export class VideoTrack {
  readonly writer: RenditionWriter
  readonly target: PartTarget
  readonly #metrics: PackagerMetrics | undefined
  #config: VideoConfig
  #timeline: MediaTimeline
  #init: Buffer | undefined
  /** Newest decoding time, as written, on the publisher's clock. */
  #lastIn: number | undefined

  constructor(init: VideoTrackInit, config: VideoConfig, timeline: MediaTimeline, cut: Cut) {
    this.target = new PartTarget(init.partTargetMs)
    this.#metrics = init.metrics
    this.writer = new RenditionWriter({
      rendition: 'source',
      layout: 'per-sample',
      trackId: VIDEO_TRACK_ID,
      target: this.target,
      metrics: init.metrics,
      onPart: init.onPart,
    })
    this.#config = config
    this.#timeline = timeline
    this.begin(config, timeline, cut)
  }

  get config(): VideoConfig {
    return this.#config
  }

  /** Newest decoding time on the output timeline. */
  get time(): number | undefined {
    return this.#lastIn === undefined ? undefined : this.#timeline.out(this.#lastIn)
  }

  /** Starts a stretch with its own timeline. */
  begin(config: VideoConfig, timeline: MediaTimeline, cut: Cut): void {
    if (this.#init === undefined || config !== this.#config) this.#init = videoInitSegment(config)
    this.#config = config
    this.#timeline = timeline
    this.#lastIn = undefined
    this.writer.begin(
      {
        init: this.#init,
        timescale: TICKS_PER_SECOND,
        frameUs: declaredFrameUs(config),
        wallMs: (ticks) => timeline.wallMs(ticks),
      },
      cut,
    )
  }

  /** True when the unit's time does not continue this stretch. */
  jumps(unit: AccessUnit): boolean {
    if (this.#lastIn === undefined) return false
    const stepMs = (unit.dts - this.#lastIn) / TICKS_PER_MS
    return (
      stepMs > packagingLimits.timestampJumpMsMax || stepMs < -packagingLimits.timestampBackMsMax
    )
  }

  /** Milliseconds from the start of the segment to the unit. */
  elapsedMs(unit: AccessUnit): number {
    return this.writer.elapsedUs(this.decodeTime(unit)) / 1_000
  }

  /** The unit's decoding time on the output timeline: a tick after the one before if it says otherwise. */
  decodeTime(unit: AccessUnit): number {
    return this.#timeline.out(this.#laterDts(unit))
  }

  /** Takes a picture; with `cut` it opens a segment, with `config` one of that configuration. */
  write(unit: AccessUnit, cut?: Cut, config?: VideoConfig): void {
    const dts = this.#laterDts(unit)
    if (dts !== unit.dts) this.#metrics?.count('dts_clamped')
    this.#lastIn = dts
    let init: Buffer | undefined
    if (config !== undefined) {
      this.#config = config
      this.#init = init = videoInitSegment(config)
    }
    this.writer.push(
      {
        time: this.#timeline.out(dts),
        duration: 0,
        compositionOffset: unit.pts - unit.dts,
        sync: unit.keyframe,
        data: unit.data,
      },
      cut,
      init,
    )
  }

  #laterDts(unit: AccessUnit): number {
    return this.#lastIn === undefined ? unit.dts : Math.max(unit.dts, this.#lastIn + 1)
  }
}

/** Microseconds a picture by the declared rate, or undefined when nobody said or it cannot be. */
export function declaredFrameUs(config: VideoConfig): number | undefined {
  const rate = config.frameRate
  if (rate === undefined || rate < FRAME_RATE_MIN || rate > FRAME_RATE_MAX) return undefined
  return 1e6 / rate
}
