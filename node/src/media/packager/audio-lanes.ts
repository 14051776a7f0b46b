/**
 * The publisher's audio tracks side by side: `audio`, `audio-2` and so on, all cut where the video is cut, or where the first
 * of them says when there is no video. A track whose configuration changes, or that comes late, waits for the next cut.
 */
import { packagingLimits } from '../../limits.ts'
import type { AccessUnit, AudioConfig } from '../access-unit.ts'
import { AudioTrack } from './audio-track.ts'
import type { PackagerMetrics } from './packager-metrics.ts'
import { RenditionFacts } from './rendition-facts.ts'
import type { Cut, PackagedPart } from './rendition-writer.ts'
import type { Timeline } from './timeline.ts'

/** Fixed for a packager's life. */
export interface AudioLanesInit {
  readonly partTargetMs: number
  readonly segmentTargetMs: number
  readonly metrics: PackagerMetrics | undefined
  readonly onPart: (part: PackagedPart) => void
}

/** One of the publisher's audio tracks. */
export interface AudioLane {
  /** Number of the publisher's track. */
  readonly index: number
  /** Newest configuration; the track takes it over at its next stretch. */
  config: AudioConfig
  running: { readonly track: AudioTrack; readonly facts: RenditionFacts } | undefined
  /** Units of a configuration that waits for the next cut. */
  waiting: AccessUnit[]
}

/** All audio tracks of a publication. */
export class AudioLanes {
  readonly #init: AudioLanesInit
  /** In order of the publisher's numbers. */
  #lanes: readonly AudioLane[] = []

  constructor(init: AudioLanesInit) {
    this.#init = init
  }

  /** True once a track has told its configuration. */
  get configured(): boolean {
    return this.#lanes.length > 0
  }

  /** Those that write a rendition. */
  get running(): readonly RunningLane[] {
    return this.#lanes.filter((lane): lane is RunningLane => lane.running !== undefined)
  }

  /** The track that cuts segments where there is no video. */
  get lead(): RunningLane | undefined {
    return this.#lanes.find((lane): lane is RunningLane => lane.running !== undefined)
  }

  /** End of what has been written, 1/90000 s of the output timeline. */
  get end(): number {
    return Math.max(0, ...this.running.map(({ running }) => running.track.end))
  }

  /** True when a track waits for a cut, and that cut is to be a discontinuity. */
  get wantsDiscontinuity(): boolean {
    // A further language that comes late begins its own index; nothing that players hold on to changes by it.
    return this.#lanes.some(
      ({ waiting, running, index }) => waiting.length > 0 && (running !== undefined || index === 0),
    )
  }

  /** Parts made of a segment, by the lane that has most. */
  partsOf(msn: number): number {
    let parts = 0
    for (const { running } of this.#lanes) {
      const writer = running?.track.writer
      if (writer?.msn === msn) parts = Math.max(parts, writer.parts)
    }
    return parts
  }

  /** The lane of a publisher's track. */
  of(index: number): AudioLane | undefined {
    return this.#lanes.find((lane) => lane.index === index)
  }

  /** Takes a configuration over; what waited under the one before is dropped. */
  configure(config: AudioConfig): void {
    const index = config.track ?? 0
    const known = this.of(index)
    if (known !== undefined) {
      known.config = config
      known.waiting = []
      return
    }
    const lane: AudioLane = { index, config, running: undefined, waiting: [] }
    this.#lanes = [...this.#lanes, lane].toSorted((a, b) => a.index - b.index)
  }

  /** Begins a stretch in every lane. */
  begin(timeline: Timeline, cut: Cut, discontinuities: number): void {
    for (const lane of this.#lanes) this.beginLane(lane, timeline, cut, discontinuities)
  }

  /** Begins a stretch in one lane; `discontinuities` are those of the session so far. */
  beginLane(lane: AudioLane, timeline: Timeline, cut: Cut, discontinuities: number): void {
    if (lane.running !== undefined) {
      lane.running.track.begin(lane.config, timeline, cut)
      return
    }
    const name = lane.index === 0 ? 'audio' : `audio-${lane.index + 1}`
    const track = new AudioTrack({ ...this.#init, name }, lane.config, timeline, cut)
    const facts = new RenditionFacts({
      name,
      target: track.target,
      discontinuitiesBefore: discontinuities,
    })
    lane.running = { track, facts }
  }

  /** Keeps a unit until the next cut. */
  await(lane: AudioLane, unit: AccessUnit): void {
    lane.waiting.push(unit)
    if (lane.waiting.length <= packagingLimits.startupUnitsMax) return
    lane.waiting.shift()
    this.#init.metrics?.count('startup_dropped')
  }

  /** Tells every lane but `except` of a cut; those that waited for one begin. Returns the units that they kept. */
  cut(
    cut: Cut,
    timeline: Timeline,
    discontinuities: number,
    except?: AudioLane,
  ): readonly AccessUnit[] {
    const kept: AccessUnit[] = []
    for (const lane of this.#lanes) {
      if (lane === except) continue
      if (lane.waiting.length === 0) lane.running?.track.announce(cut)
      else {
        lane.running?.track.finish(cut.time)
        this.beginLane(lane, timeline, cut, discontinuities)
        kept.push(...lane.waiting)
        lane.waiting = []
      }
    }
    return kept
  }

  /** Fills with silence what is missing behind `time`, the newest of the leading track. */
  keepUp(time: number, except?: AudioLane): void {
    for (const lane of this.#lanes) if (lane !== except) lane.running?.track.keepUp(time)
  }

  /** Ends the stretch in every lane at the video's end, or where the first lane ends. */
  finish(videoEnd: number | undefined): void {
    const end = videoEnd ?? this.lead?.running.track.end ?? 0
    for (const lane of this.#lanes) {
      const track = lane.running?.track
      if (track !== undefined && (videoEnd !== undefined || track.writer.holds)) track.finish(end)
      lane.waiting = []
    }
  }
}

/** A lane that writes a rendition. */
type RunningLane = AudioLane & {
  readonly running: { readonly track: AudioTrack; readonly facts: RenditionFacts }
}
