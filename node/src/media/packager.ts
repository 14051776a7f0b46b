/**
 * From access units to CMAF parts, in the peer and without FFmpeg: one rendition `source` for video, one for each audio track
 * (`audio`, `audio-2`), on one timeline, cut into the same segments. It is synchronous, has no timers and does no I/O; what
 * it makes is handed out before `write` returns, and everything is shown to a listener on the timeline of the parts.
 *
 * Segments begin at keyframes, chosen by the video; audio follows with the frame at or after the cut. A stretch ends
 * where timestamps jump or a configuration changes; the next begins at an IDR with a discontinuity in all renditions,
 * and so does a rendition that appears late. Further video tracks are only shown: renditions are derived from them.
 */
import { strict as assert } from 'node:assert'
import type { Clock } from '../clock.ts'
import { sessionLimits } from '../limits/packaging.ts'
import { packagingLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import { type AccessUnit, TICKS_PER_MS, type TrackConfig, type VideoConfig } from './access-unit.ts'
import { Announcer, type RunningRendition } from './packager/announcer.ts'
import { type AudioLane, AudioLanes } from './packager/audio-lanes.ts'
import type { AudioTrack } from './packager/audio-track.ts'
import { CaptionSearch } from './packager/caption-search.ts'
import { sameConfig } from './packager/derived-rendition.ts'
import type { PackagerMetrics } from './packager/packager-metrics.ts'
import { type PackagerRendition, RenditionFacts } from './packager/rendition-facts.ts'
import type { Cut, PackagedPart } from './packager/rendition-writer.ts'
import { SegmentCuts } from './packager/segment-cuts.ts'
import { StartupQueue } from './packager/startup-queue.ts'
import { Timeline } from './packager/timeline.ts'
import { type PackagerListener, UnitTap } from './packager/unit-tap.ts'
import { VideoTrack } from './packager/video-track.ts'

/** What a packager needs from the peer. */
export interface PackagerComponents {
  readonly clock: Clock
  readonly logger: Logger
  /** Shared by all packagers of the peer; without it nothing is counted. */
  readonly metrics?: PackagerMetrics
}

/** Settings of one publication. */
export interface PackagerInit {
  /** Wanted duration of parts; the nearest whole number of frames is used. */
  readonly partTargetMs: number
  /** A segment ends at the first keyframe from here on. */
  readonly segmentTargetMs: number
  /** Media sequence number of the first segment. */
  readonly firstMsn: number
  /** True when the stream went on before, so that the first segment is a discontinuity. */
  readonly discontinuityAtStart: boolean
  /** Renditions as players must know them; called before the first part and before any part that changes them. */
  readonly onRenditions: (renditions: readonly PackagerRendition[]) => void
  /** A part is ready. Parts of one rendition come in order. */
  readonly onPart: (part: PackagedPart) => void
  /** Is shown every unit as it is packaged. */
  readonly listener?: PackagerListener
}

/** Packages one publication. */
export class Packager {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: PackagerMetrics | undefined
  readonly #init: PackagerInit
  readonly #queue: StartupQueue
  readonly #tap: UnitTap | undefined
  readonly #audio: AudioLanes
  readonly #cuts: SegmentCuts
  readonly #announcer: Announcer
  readonly #captionSearch = new CaptionSearch()
  #state: 'starting' | 'running' | 'ended' = 'starting'
  #expected: { video?: boolean; audio?: boolean } = {}
  /** Newest configurations; a track takes them over at its next stretch. */
  #videoConfig: VideoConfig | undefined
  /** Configurations of further video tracks, by number. */
  readonly #furtherVideo = new Map<number, VideoConfig>()
  #timeline: Timeline | undefined
  #video: { readonly track: VideoTrack; readonly facts: RenditionFacts } | undefined
  #outEnd = 0
  #nextMsn: number
  #discontinuities = 0
  #started = false
  /** The lack of a keyframe was told of. */
  #keyframeMissed = false

  constructor(components: PackagerComponents, init: PackagerInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:packager' })
    this.#metrics = components.metrics
    this.#init = init
    assert(init.partTargetMs > 0 && init.segmentTargetMs >= init.partTargetMs)
    this.#queue = new StartupQueue(this.#metrics)
    this.#tap = init.listener === undefined ? undefined : new UnitTap(init.listener)
    this.#audio = new AudioLanes(this.#trackInit())
    const { segmentTargetMs, firstMsn } = init
    const shared = { metrics: this.#metrics, audio: this.#audio }
    this.#cuts = new SegmentCuts({ segmentTargetMs, firstMsn, ...shared })
    this.#announcer = new Announcer(init)
    this.#nextMsn = firstMsn
  }

  /** Declares which tracks will come; a kind that nobody spoke of is waited for as if it were announced. */
  expect(kinds: { readonly video?: boolean; readonly audio?: boolean }): void {
    this.#expected = { ...this.#expected, ...kinds }
    if (this.#state === 'starting') this.#tryBegin(false)
  }

  /** Sets a track's configuration. A changed one takes effect, with a discontinuity, at the next keyframe. */
  configure(config: TrackConfig): void {
    assert(this.#state !== 'ended', 'the packager has ended')
    const index = config.track ?? 0
    const current = this.#configOf(config.kind, index)
    if (current !== undefined && sameConfig(current, config)) return
    if (index >= sessionLimits.tracksMax) {
      this.#metrics?.count('track_refused')
      return
    }
    if (config.kind === 'audio') this.#audio.configure(config)
    else if (index === 0) this.#videoConfig = config
    else this.#furtherVideo.set(index, config)
    if (this.#state === 'starting') this.#queue.forget(config.kind, index)
  }

  /** Takes one access unit; its bytes must not change until the part that holds them was handed out. */
  write(unit: AccessUnit): void {
    assert(this.#state !== 'ended', 'the packager has ended')
    assert(Number.isFinite(unit.dts) && Number.isFinite(unit.pts), 'timestamps are numbers')
    const config = this.#configOf(unit.kind, unit.track ?? 0)
    if (config === undefined || unit.data.byteLength === 0) {
      this.#metrics?.count('undecodable_dropped')
    } else if (this.#state === 'starting') {
      this.#queue.push(this.#nearDecoding(unit), this.#clock.now())
      // After the first start nothing is waited for: a track that is still missing joins when it comes.
      this.#tryBegin(this.#started)
    } else if (unit.kind === 'audio') {
      this.#writeAudio(unit)
    } else if ((unit.track ?? 0) === 0) {
      this.#writeVideo(this.#nearDecoding(unit))
    } else {
      this.#showFurther(this.#nearDecoding(unit), config)
    }
  }

  /** The publisher is gone: what is there becomes the last parts. */
  end(): void {
    if (this.#state === 'starting') this.#tryBegin(true)
    if (this.#state === 'running') this.#finishStretch()
    this.#state = 'ended'
    this.#announcer.end(this.#renditions())
  }

  /** A picture is shown near the time of its decoding: the start, the cuts and so the audio follow what it says. */
  #nearDecoding(unit: AccessUnit): AccessUnit {
    const offset = unit.pts - unit.dts
    if (unit.kind === 'audio' || Math.abs(offset) <= COMPOSITION_TICKS_MAX) return unit
    this.#metrics?.count('composition_clamped')
    return { ...unit, pts: unit.dts + Math.sign(offset) * COMPOSITION_TICKS_MAX }
  }

  #tryBegin(impatient: boolean): void {
    const presence = {
      video: {
        configured: this.#videoConfig !== undefined,
        excluded: this.#expected.video === false,
      },
      audio: {
        configured: this.#audio.configured,
        excluded: this.#expected.audio === false,
      },
    }
    const first = this.#queue.ready(presence, impatient)
    if (first === undefined) {
      this.#noteKeyframeMissing()
      return
    }
    if (!presence.video.configured && !presence.video.excluded) this.#noteMissing('video')
    if (!presence.audio.configured && !presence.audio.excluded) this.#noteMissing('audio')
    this.#begin(first)
  }

  #noteMissing(kind: string): void {
    this.#metrics?.count('startup_track_missing')
    this.#logger.info({ kind }, 'starting without a track that has not come yet')
  }

  /** Says once why nothing can be watched: an encoder with intra refresh and no recovery points never sends an IDR. */
  #noteKeyframeMissing(): void {
    if (this.#keyframeMissed || !this.#queue.lacksKeyframe) return
    this.#keyframeMissed = true
    this.#metrics?.count('keyframe_missing')
    this.#logger.warn(
      { waitedMs: packagingLimits.startupWaitMs },
      'the publisher sends no keyframe, so nothing can be played yet: set a keyframe interval of 2 s and turn intra refresh off in the encoder',
    )
  }

  #configOf(kind: AccessUnit['kind'], index: number): TrackConfig | undefined {
    if (kind === 'audio') return this.#audio.of(index)?.config
    return index === 0 ? this.#videoConfig : this.#furtherVideo.get(index)
  }

  #begin(first: AccessUnit): void {
    const arrival = this.#queue.firstOf(first.kind)
    const timeline = new Timeline({
      inOrigin: Math.min(first.dts, first.pts),
      outOrigin: this.#outEnd,
      anchorTick: arrival?.dts ?? first.dts,
      anchorWallMs: arrival?.wallMs ?? this.#clock.now(),
    })
    const discontinuity = this.#started || this.#init.discontinuityAtStart
    const cut: Cut = { time: timeline.out(first.pts), msn: this.#nextMsn, discontinuity }
    this.#timeline = timeline
    this.#tap?.cut(cut, timeline)
    if (this.#videoConfig !== undefined) this.#beginVideo(this.#videoConfig, cut)
    this.#audio.begin(timeline, cut, this.#discontinuities)
    if (this.#started) this.#noteDiscontinuity('timestamps')
    this.#started = true
    this.#state = 'running'
    for (const unit of this.#queue.drain(first)) this.write(unit)
  }

  #beginVideo(config: VideoConfig, cut: Cut): void {
    const timeline = this.#runningTimeline()
    if (this.#video !== undefined) {
      this.#video.track.begin(config, timeline, cut)
      return
    }
    const name = 'source'
    const track = new VideoTrack(this.#trackInit(), config, timeline, cut)
    const { target } = track
    const discontinuitiesBefore = this.#discontinuities
    this.#video = { track, facts: new RenditionFacts({ name, target, discontinuitiesBefore }) }
  }

  #trackInit() {
    const { partTargetMs, segmentTargetMs } = this.#init
    return {
      ...{ partTargetMs, segmentTargetMs },
      metrics: this.#metrics,
      onPart: (part: PackagedPart) => this.#take(part),
    }
  }

  #writeVideo(unit: AccessUnit): void {
    const config = this.#videoConfig
    if (config === undefined) return
    if (this.#video === undefined) {
      this.#joinVideo(unit, config)
      return
    }
    const { track } = this.#video
    if (track.jumps(unit)) {
      this.#restart(unit)
      return
    }
    const changed = config !== track.config
    if (changed && !unit.keyframe) {
      this.#metrics?.count('before_keyframe_dropped')
      return
    }
    if (this.#cuts.floods(unit, track)) return
    if (this.#captionSearch.finds(unit, config)) this.#video.facts.closedCaptions = true
    const cut = track.writer.holds ? this.#cuts.before(unit, track, changed) : undefined
    track.write(unit, cut, changed ? config : undefined)
    if (cut !== undefined) this.#cutAudio(cut)
    this.#audio.keepUp(track.time ?? 0)
    this.#show(unit, config, cut)
  }

  /** Shows a unit, and the cut before it if it opens a segment; after packaging, because players come first. */
  #show(unit: AccessUnit, config: TrackConfig, cut?: Cut, leads = true): void {
    if (this.#tap === undefined) return
    const timeline = this.#runningTimeline()
    if (cut !== undefined) this.#tap.cut(cut, timeline)
    this.#tap.show(unit, config, timeline, leads)
  }

  /** A picture of a further track: on this timeline, unless it is early for a jump that the main track will make. */
  #showFurther(unit: AccessUnit, config: TrackConfig): void {
    const reference = this.#video?.track.time ?? this.#audio.end
    if (Math.abs(this.#runningTimeline().out(unit.pts) - reference) > JUMP_TICKS) {
      this.#metrics?.count('video_dropped')
    } else this.#show(unit, config, undefined, false)
  }

  #cutAudio(cut: Cut, except?: AudioLane): void {
    const kept = this.#audio.cut(cut, this.#runningTimeline(), this.#discontinuities, except)
    for (const unit of kept) this.#packageAudio(unit)
    if (cut.discontinuity) this.#noteDiscontinuity('configuration')
  }

  /** Video that appears while audio runs alone: from its first IDR on it leads. */
  #joinVideo(unit: AccessUnit, config: VideoConfig): void {
    const lead = this.#audio.lead?.running.track
    assert(lead !== undefined, 'one track runs')
    if (!unit.keyframe) {
      this.#metrics?.count('before_keyframe_dropped')
      return
    }
    const time = this.#runningTimeline().out(unit.pts)
    if (Math.abs(time - lead.end) > JUMP_TICKS || !lead.writer.holds) {
      this.#restart(unit)
      return
    }
    const cut: Cut = { time, msn: lead.writer.msn + 1, discontinuity: true }
    this.#beginVideo(config, cut)
    this.#video?.track.write(unit)
    this.#cutAudio(cut)
    this.#show(unit, config, cut)
  }

  #writeAudio(unit: AccessUnit): void {
    const lane = this.#audio.of(unit.track ?? 0)
    if (lane === undefined) return
    const reference = this.#video?.track.time ?? this.#audio.end
    const leads = this.#video === undefined
    if (Math.abs(this.#runningTimeline().out(unit.pts) - reference) > JUMP_TICKS) {
      // Beside a leading track that one's time rules: this frame is early for a jump that it will make.
      if (!leads || this.#audio.lead !== lane) this.#metrics?.count('audio_dropped')
      else this.#restart(unit)
      return
    }
    this.#packageAudio(unit)
    this.#show(unit, lane.config, undefined, leads && this.#audio.lead === lane)
  }

  #packageAudio(unit: AccessUnit): void {
    const lane = this.#audio.of(unit.track ?? 0)
    if (lane === undefined) return
    const track = lane.running?.track
    const leads = this.#video === undefined && this.#audio.lead === lane
    if (track === undefined || track.config !== lane.config) {
      if (leads && track !== undefined) this.#changeLeader(unit, lane, track)
      else this.#audio.await(lane, unit)
    } else if (leads) {
      track.write(unit, undefined, (time) => this.#cutByAudio(time, lane, track))
      this.#audio.keepUp(track.end, lane)
    } else track.write(unit, this.#video?.track.time ?? this.#audio.lead?.running.track.end)
  }

  /** Audio that runs alone ends a segment by itself; further audio tracks follow the first. */
  #cutByAudio(time: number, lane: AudioLane, track: AudioTrack): Cut {
    const discontinuity = this.#audio.wantsDiscontinuity
    const cut: Cut = { time, msn: track.writer.msn + 1, discontinuity }
    this.#tap?.cut(cut, this.#runningTimeline())
    this.#cutAudio(cut, lane)
    return cut
  }

  /** Audio of another configuration begins with the video's next segment, or at once where it leads. */
  #changeLeader(unit: AccessUnit, lane: AudioLane, track: AudioTrack): void {
    const timeline = this.#runningTimeline()
    const time = timeline.out(unit.pts)
    track.finish(time)
    const cut: Cut = { time, msn: track.writer.msn + 1, discontinuity: true }
    this.#tap?.cut(cut, timeline)
    this.#audio.beginLane(lane, timeline, cut, this.#discontinuities)
    this.#cutAudio(cut, lane)
    this.#packageAudio(unit)
  }

  #restart(unit: AccessUnit): void {
    this.#finishStretch()
    this.#state = 'starting'
    this.write(unit)
  }

  #finishStretch(): void {
    const videoEnd = this.#video?.track.writer.finish() ?? 0
    this.#audio.finish(this.#video === undefined ? undefined : videoEnd)
    const msns = this.#audio.running.map(({ running }) => running.track.writer.msn)
    this.#nextMsn = Math.max(this.#video?.track.writer.msn ?? 0, ...msns) + 1
    this.#outEnd = Math.ceil(Math.max(videoEnd, this.#audio.end))
  }

  #noteDiscontinuity(reason: string): void {
    this.#discontinuities += 1
    this.#metrics?.count('discontinuity')
    this.#logger.info({ reason }, 'discontinuity')
  }

  #runningTimeline(): Timeline {
    assert(this.#timeline !== undefined, 'a stretch has begun')
    return this.#timeline
  }

  /** Renditions that are written, the video's first. */
  #renditions(): readonly RunningRendition[] {
    const audio = this.#audio.running.map(({ running }) => running)
    return this.#video === undefined ? audio : [this.#video, ...audio]
  }

  #take(part: PackagedPart): void {
    const renditions = this.#renditions()
    const own = renditions.find(({ facts }) => facts.name === part.rendition)
    assert(own !== undefined)
    this.#announcer.take(part, own, renditions)
  }
}

const JUMP_TICKS = packagingLimits.timestampJumpMsMax * TICKS_PER_MS
const COMPOSITION_TICKS_MAX = packagingLimits.compositionMsMax * TICKS_PER_MS
