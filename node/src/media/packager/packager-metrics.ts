/**
 * What all packagers of a peer count together: parts made, and every time the input was corrected or a limit was hit.
 */
import { Counter, type Registry } from 'prom-client'

/** What a packager did to input that does not fit, or why it cut early. */
export type PackagerEvent =
  /** A decoding time at or before the one before it was moved up by a tick. */
  | 'dts_clamped'
  /** A presentation time further from its decoding time than `compositionMsMax` was moved there. */
  | 'composition_clamped'
  /** Silent frames put where audio is missing or late. */
  | 'audio_filled'
  /** More silence was due at one go than `audioFillFramesMax`. */
  | 'audio_fill_cut'
  /** Audio frames dropped: too late, doubled, or far from the video's time. */
  | 'audio_dropped'
  /** Pictures of a further video track dropped: far from the main track's time. */
  | 'video_dropped'
  /** A track of the publisher beyond `sessionLimits.tracksMax`. */
  | 'track_refused'
  /** Units of a derived rendition dropped: published already, not decodable, or between two segments. */
  | 'derived_dropped'
  /** A derived rendition that left out segments. */
  | 'derived_skipped'
  /** Live cues dropped because too many wait. */
  | 'caption_dropped'
  /** Units dropped because decoding cannot start at them. */
  | 'before_keyframe_dropped'
  /** Units without a configuration or without bytes. */
  | 'undecodable_dropped'
  /** Units dropped because the start-up queue is full. */
  | 'startup_dropped'
  /** A start without a track that was expected. */
  | 'startup_track_missing'
  /** A publication whose pictures came for `startupWaitMs` without one at which decoding can begin. */
  | 'keyframe_missing'
  /** A segment cut without a keyframe (`segmentMsMax`, `segmentBytesMax`, `segmentPartsMax`). */
  | 'segment_forced'
  /** A segment cut because it holds `segmentPartsMax` parts, at a keyframe or not. */
  | 'segment_crowded'
  /** Pictures dropped because keyframes fill segments faster than these may be cut (`crowdedSegmentMsMin`). */
  | 'flood_dropped'
  /** A part closed before its target (`partBytesMax`). */
  | 'part_forced'
  /** A part longer than PART-TARGET, because a picture stayed so long. */
  | 'part_overlong'
  | 'discontinuity'

/** Counters shared by every packager; made once with the peer's registry. */
export class PackagerMetrics {
  readonly #events: Counter<'event'>
  /** What was made, by rendition; plain numbers, told when asked, since a counter with labels costs much for every part. */
  readonly #made = new Map<string, { parts: number; bytes: number }>()

  constructor(registry: Registry) {
    const registers = [registry]
    this.#events = new Counter({
      name: 'kairo_packager_events_total',
      help: 'Corrections of input and limits hit while packaging, by event.',
      labelNames: ['event'],
      registers,
    })
    const made = this.#made
    new Counter({
      name: 'kairo_packager_parts_total',
      help: 'Parts made.',
      labelNames: ['rendition'],
      registers,
      collect() {
        this.reset()
        for (const [rendition, { parts }] of made) this.inc({ rendition }, parts)
      },
    })
    new Counter({
      name: 'kairo_packager_bytes_total',
      help: 'Bytes of the parts made.',
      labelNames: ['rendition'],
      registers,
      collect() {
        this.reset()
        for (const [rendition, { bytes }] of made) this.inc({ rendition }, bytes)
      },
    })
  }

  /** Counts an event `times`. */
  count(event: PackagerEvent, times = 1): void {
    this.#events.inc({ event }, times)
  }

  /** Counts a finished part. */
  part(rendition: string, bytes: number): void {
    let made = this.#made.get(rendition)
    if (made === undefined) {
      made = { parts: 0, bytes: 0 }
      this.#made.set(rendition, made)
    }
    made.parts += 1
    made.bytes += bytes
  }
}
