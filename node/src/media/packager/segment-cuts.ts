/**
 * Where the video's segments end: at the first keyframe from the target on, and anywhere when a segment grows out of bounds. What floods
 * a segment with keyframes is dropped, because each of them begins a part.
 */
import { packagingLimits } from '../../limits.ts'
import type { AccessUnit } from '../access-unit.ts'
import type { AudioLanes } from './audio-lanes.ts'
import type { PackagerMetrics } from './packager-metrics.ts'
import type { Cut } from './rendition-writer.ts'
import type { VideoTrack } from './video-track.ts'

/** Fixed for a packager's life. */
export interface SegmentCutsInit {
  readonly segmentTargetMs: number
  /** Media sequence number of the first segment. */
  readonly firstMsn: number
  readonly metrics: PackagerMetrics | undefined
  /** The renditions that are cut with the video. */
  readonly audio: AudioLanes
}

/** A keyframe this share of the target early still ends the segment, so that groups of 1.999 s do not double. */
const SEGMENT_EARLY_SHARE = 0.05
/** The first segment of a publication ends at the first keyframe from here on: players cannot begin before it is whole. */
const FIRST_SEGMENT_MS = 500

/** The cuts of one publication. */
export class SegmentCuts {
  readonly #init: SegmentCutsInit
  /** The newest keyframe was dropped, so nothing after it can be decoded. */
  #flooded = false

  constructor(init: SegmentCutsInit) {
    this.#init = init
  }

  /** True for a picture to drop: a keyframe always begins a part, and the segment is full before it may be cut. */
  floods(unit: AccessUnit, track: VideoTrack): boolean {
    if (unit.keyframe) {
      this.#flooded =
        track.writer.holds &&
        track.writer.parts >= packagingLimits.segmentPartsMax &&
        track.elapsedMs(unit) < packagingLimits.crowdedSegmentMsMin
    }
    if (this.#flooded) this.#init.metrics?.count('flood_dropped')
    return this.#flooded
  }

  /**
   * The cut before this picture, if there is one.
   * @param changed whether it is the first of another configuration.
   */
  before(unit: AccessUnit, track: VideoTrack, changed: boolean): Cut | undefined {
    const { metrics, audio } = this.#init
    const elapsedMs = track.elapsedMs(unit)
    const due = elapsedMs >= this.#targetMs(track) * (1 - SEGMENT_EARLY_SHARE)
    const crowded =
      this.#partsOf(track) >= packagingLimits.segmentPartsMax &&
      elapsedMs >= packagingLimits.crowdedSegmentMsMin
    const forced =
      crowded ||
      elapsedMs >= packagingLimits.segmentMsMax ||
      track.writer.segmentBytes >= packagingLimits.segmentBytesMax
    const discontinuity = unit.keyframe && (changed || audio.wantsDiscontinuity)
    if (!discontinuity && !forced && !(unit.keyframe && due)) return undefined
    if (crowded) metrics?.count('segment_crowded')
    if (forced && !unit.keyframe) metrics?.count('segment_forced')
    const time = track.decodeTime(unit) + (unit.keyframe ? unit.pts - unit.dts : 0)
    return { time, msn: track.writer.msn + 1, discontinuity }
  }

  #targetMs({ writer }: VideoTrack): number {
    const { segmentTargetMs, firstMsn } = this.#init
    return writer.msn === firstMsn ? Math.min(FIRST_SEGMENT_MS, segmentTargetMs) : segmentTargetMs
  }

  /** Parts made of the segment, by the rendition that has most. */
  #partsOf({ writer }: VideoTrack): number {
    return Math.max(writer.parts, this.#init.audio.partsOf(writer.msn))
  }
}
