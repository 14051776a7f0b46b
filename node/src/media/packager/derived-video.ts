/**
 * Pictures that were made out of the publisher's: cut where the source was cut, whatever happens to the encoder. A new encoder
 * may begin again earlier, later or with another configuration; what is published already is dropped, and what cannot be
 * decoded or placed is left out until the next segment.
 */

import { sessionLimits } from '../../limits/packaging.ts'
import { packagingLimits } from '../../limits.ts'
import {
  type AccessUnit,
  TICKS_PER_MS,
  TICKS_PER_SECOND,
  type VideoConfig,
} from '../access-unit.ts'
import { VIDEO_TRACK_ID, videoInitSegment } from '../cmaf/init-segment.ts'
import type { SegmentCut } from '../published-session.ts'
import type { DerivedTrackInit } from './derived-rendition.ts'
import { PartTarget } from './part-target.ts'
import { RenditionWriter } from './rendition-writer.ts'
import { declaredFrameUs } from './video-track.ts'

const EARLY_TICKS = sessionLimits.cutEarlyMsMax * TICKS_PER_MS
const LATE_TICKS = sessionLimits.cutLateMsMax * TICKS_PER_MS
const GAP_TICKS = sessionLimits.gapMsMax * TICKS_PER_MS
const BACK_TICKS = packagingLimits.timestampBackMsMax * TICKS_PER_MS
const COMPOSITION_TICKS = packagingLimits.compositionMsMax * TICKS_PER_MS
/** Assumed for a picture that nobody has declared, while there is no other to measure by. */
const FRAME_TICKS = TICKS_PER_SECOND / 15
/** A segment begins this many pictures late at most, where it need not wait for a keyframe. */
const LATE_FRAMES = 1.5

/** Writes a derived rendition of pictures. Times in 1/90000 s of the stream's timeline. */
export class DerivedVideo {
  readonly writer: RenditionWriter
  readonly target: PartTarget
  readonly #options: DerivedTrackInit
  #config: VideoConfig
  #init: Buffer
  /** The configuration that the next segment begins with. */
  #next: VideoConfig | undefined
  /** Nothing that comes can be decoded before a keyframe beyond what is published. */
  #broken = true
  #lastDts = -1
  #lastPts = Number.NEGATIVE_INFINITY
  #frameTicks: number

  constructor(options: DerivedTrackInit, config: VideoConfig) {
    this.#options = options
    this.#config = config
    this.#init = videoInitSegment(config)
    this.#frameTicks = frameTicksOf(config)
    this.target = new PartTarget(options.partTargetMs)
    this.writer = new RenditionWriter({
      rendition: options.name,
      layout: 'per-sample',
      trackId: VIDEO_TRACK_ID,
      target: this.target,
      metrics: options.metrics,
      onPart: options.onPart,
    })
  }

  get config(): VideoConfig {
    return this.#config
  }

  /** End of the newest picture taken; undefined before the first. */
  get position(): number | undefined {
    return this.#lastDts < 0 ? undefined : this.#lastPts + this.#frameTicks
  }

  /** An encoder begins anew, with this configuration. */
  configure(config: VideoConfig, changed: boolean): void {
    this.#next = changed ? config : undefined
    this.#broken = true
  }

  /** Takes a picture. */
  write(unit: AccessUnit): void {
    const taken = this.#goesBack(unit) ? undefined : this.#place(unit)
    if (taken === undefined) this.#options.metrics?.count('derived_dropped')
    else this.#push(unit, taken)
  }

  /** What is there becomes the last parts of the segment. */
  finish(): void {
    this.writer.finish()
    this.#broken = true
  }

  /** True for a picture that is no continuation, which also says that the encoder was begun again. */
  #goesBack(unit: AccessUnit): boolean {
    if (unit.keyframe && unit.pts > this.#lastPts + this.#frameTicks / 2) return false
    if (!this.#broken && unit.dts < this.#lastDts - BACK_TICKS) this.#broken = true
    if (!this.#broken && unit.keyframe && unit.dts <= this.#lastDts) this.#broken = true
    return this.#broken
  }

  /** Where a picture goes: into the open segment, or into one that begins with it; undefined when nowhere. */
  #place(unit: AccessUnit): 'segment' | SegmentCut | undefined {
    const { writer } = this
    const cut = this.#options.cuts.at(unit.pts + EARLY_TICKS)
    if (cut === undefined) return undefined
    const isNew = this.#lastDts < 0 || cut.msn > writer.msn
    const lateTicks = unit.pts - cut.time
    if (this.#broken && !this.#mayResume(unit)) return undefined
    if (isNew && (unit.keyframe || lateTicks > LATE_TICKS) && this.#mayOpen(lateTicks)) return cut
    // What a new encoder has of a segment whose beginning it missed would move the next cut to a picture that is no keyframe.
    if (isNew && (!writer.holds || this.#broken)) return undefined
    if (!writer.holds || (this.#broken && this.#next !== undefined)) return undefined
    return writer.parts < packagingLimits.segmentPartsMax &&
      writer.segmentBytes < packagingLimits.segmentBytesMax
      ? 'segment'
      : undefined
  }

  /** True when a new encoder's keyframe can follow what is there; ends the segment where the gap is too long for that. */
  #mayResume(unit: AccessUnit): boolean {
    if (!unit.keyframe) return false
    if (this.writer.holds && unit.pts - this.#lastPts > GAP_TICKS) this.writer.finish()
    return true
  }

  /** A new encoder's first picture opens a segment only where that one begins; a running one's keyframe may be late. */
  #mayOpen(lateTicks: number): boolean {
    return (this.writer.holds && !this.#broken) || lateTicks <= this.#frameTicks * LATE_FRAMES
  }

  #push(unit: AccessUnit, taken: 'segment' | SegmentCut): void {
    const { writer } = this
    const dts = Math.max(unit.dts, this.#lastDts + 1)
    const step = dts - this.#lastDts
    if (this.#lastDts >= 0 && step > 1 && step < GAP_TICKS) this.#frameTicks = step
    const offset = Math.max(-COMPOSITION_TICKS, Math.min(COMPOSITION_TICKS, unit.pts - dts))
    const sample = {
      time: dts,
      duration: 0,
      compositionOffset: offset,
      sync: unit.keyframe,
      data: unit.data,
    }
    if (taken === 'segment') writer.push(sample)
    else this.#open(taken, sample)
    this.#broken = false
    this.#lastDts = dts
    this.#lastPts = Math.max(this.#lastPts, unit.pts)
  }

  #open(cut: SegmentCut, sample: Parameters<RenditionWriter['push']>[0]): void {
    const { writer } = this
    const changed = this.#next
    if (changed !== undefined) {
      this.#config = changed
      this.#init = videoInitSegment(changed)
      this.#frameTicks = frameTicksOf(changed)
      this.#next = undefined
    }
    const follows = writer.holds && cut.msn === writer.msn + 1
    if (follows) {
      writer.push(sample, cut, changed === undefined ? undefined : this.#init)
      return
    }
    if (this.#lastDts >= 0 && cut.msn > writer.msn + 1) {
      this.#options.metrics?.count('derived_skipped')
    }
    writer.finish()
    writer.begin(
      {
        init: this.#init,
        timescale: TICKS_PER_SECOND,
        frameUs: declaredFrameUs(this.#config),
        wallMs: (ticks) => this.#options.cuts.wallMs(ticks),
      },
      cut,
    )
    writer.push(sample)
  }
}

function frameTicksOf(config: VideoConfig): number {
  const us = declaredFrameUs(config)
  return us === undefined ? FRAME_TICKS : (us * TICKS_PER_SECOND) / 1e6
}
