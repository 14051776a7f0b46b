/**
 * Shows what is packaged to others as it is packaged: each unit on the stream's timeline behind its configuration, and where
 * segments begin. What it shows never goes back in time, since listeners hand it to encoders that would refuse.
 */
import type { AccessUnit, TrackConfig } from '../access-unit.ts'
import type { SegmentCut } from '../published-session.ts'
import type { Cut } from './rendition-writer.ts'
import type { MediaTimeline } from './timeline.ts'

/** Takes what a packager shows. */
export interface PackagerListener {
  /** A segment begins; comes before the unit that opens it. */
  cut(cut: SegmentCut): void
  /** A track's configuration, before its first unit and at each change. */
  configured(config: TrackConfig): void
  /** A unit; with the cut when it opens a segment. */
  unit(unit: AccessUnit, cut: SegmentCut | undefined): void
}

interface ShownTrack {
  config: TrackConfig | undefined
  dts: number
}

/** The showing of one publication. */
export class UnitTap {
  readonly #listener: PackagerListener
  /** By number of the publisher's track. */
  readonly #tracks = { video: new Map<number, ShownTrack>(), audio: new Map<number, ShownTrack>() }
  /** The cut that the leading track's next unit carries. */
  #pending: SegmentCut | undefined

  constructor(listener: PackagerListener) {
    this.#listener = listener
  }

  /** Notes a cut of the leading track. */
  cut({ time, msn, discontinuity }: Cut, timeline: MediaTimeline): void {
    this.#pending = { time, msn, discontinuity, wallMs: timeline.wallMs(time) }
    this.#listener.cut(this.#pending)
  }

  /** Shows a unit with times of the publisher; `leads` says that it is of the track that makes the cuts. */
  show(unit: AccessUnit, config: TrackConfig, timeline: MediaTimeline, leads: boolean): void {
    const track = this.#trackOf(unit)
    if (track.config !== config) {
      track.config = config
      this.#listener.configured(config)
    }
    const cut = leads ? this.#pending : undefined
    if (leads) this.#pending = undefined
    const dts = Math.max(timeline.out(unit.dts), track.dts + 1)
    track.dts = dts
    const pts = unit.kind === 'audio' ? dts : timeline.out(unit.pts)
    const { kind, keyframe, data } = unit
    // Written out, because this runs for every unit: a spread costs as much as packaging one.
    const shown =
      unit.track === undefined
        ? { kind, dts, pts, keyframe, data }
        : { kind, track: unit.track, dts, pts, keyframe, data }
    this.#listener.unit(shown, cut)
  }

  #trackOf(unit: AccessUnit): ShownTrack {
    const tracks = this.#tracks[unit.kind]
    const index = unit.track ?? 0
    let track = tracks.get(index)
    if (track === undefined) {
      track = { config: undefined, dts: Number.NEGATIVE_INFINITY }
      tracks.set(index, track)
    }
    return track
  }
}
