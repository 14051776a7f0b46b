/**
 * From access units to CMAF parts, in the peer and without FFmpeg: one rendition `source` for video, one `audio`, on one
 * timeline, cut into the same segments. It is synchronous, has no timers and does no I/O; what it makes is handed out
 * before `write` returns.
 *
 * Segments begin at keyframes, chosen by the video; audio follows with the frame at or after the cut. A stretch ends
 * where timestamps jump or a configuration changes; the next begins at an IDR with a discontinuity in both renditions,
 * and so does a rendition that appears late.
 */
import { strict as assert } from 'node:assert'
import type { Clock } from '../clock.ts'
import { packagingLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import type { AccessUnit, AudioConfig, TrackConfig, VideoConfig } from './access-unit.ts'
import { AudioTrack } from './packager/audio-track.ts'
import type { PackagerMetrics } from './packager/packager-metrics.ts'
import { type PackagerRendition, RenditionFacts } from './packager/rendition-facts.ts'
import type { Cut, PackagedPart } from './packager/rendition-writer.ts'
import { StartupQueue } from './packager/startup-queue.ts'
import { TICKS_PER_MS, Timeline } from './packager/timeline.ts'
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
}

/** A keyframe this share of the target early still ends the segment, so that groups of 1.999 s do not double. */
const SEGMENT_EARLY_SHARE = 0.05
/** The first segment of a publication ends at the first keyframe from here on: players cannot begin before it is whole. */
const FIRST_SEGMENT_MS = 500

/** Packages one publication. */
export class Packager {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: PackagerMetrics | undefined
  readonly #init: PackagerInit
  readonly #partTargetMs: number
  readonly #segmentTargetMs: number
  readonly #queue: StartupQueue
  #state: 'starting' | 'running' | 'ended' = 'starting'
  #expected: { video?: boolean; audio?: boolean } = {}
  /** Newest configurations; a track takes them over at its next stretch. */
  #videoConfig: VideoConfig | undefined
  #audioConfig: AudioConfig | undefined
  #timeline: Timeline | undefined
  #video: { track: VideoTrack; facts: RenditionFacts } | undefined
  #audio: { track: AudioTrack; facts: RenditionFacts } | undefined
  /** Audio of a configuration that waits for the next cut. */
  #waitingAudio: AccessUnit[] = []
  #outEnd = 0
  #nextMsn: number
  #discontinuities = 0
  #started = false
  /** The newest keyframe was dropped, so nothing after it can be decoded. */
  #flooded = false
  /** The lack of a keyframe was told of. */
  #keyframeMissed = false
  #targetDurationS: number
  /** Parts made before the first announcement of the renditions. */
  #outbox: PackagedPart[] | undefined = []

  constructor(components: PackagerComponents, init: PackagerInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:packager' })
    this.#metrics = components.metrics
    this.#init = init
    this.#partTargetMs = init.partTargetMs
    this.#segmentTargetMs = init.segmentTargetMs
    assert(this.#partTargetMs > 0 && this.#segmentTargetMs >= this.#partTargetMs)
    this.#queue = new StartupQueue(this.#metrics)
    this.#nextMsn = init.firstMsn
    this.#targetDurationS = Math.max(1, Math.ceil(this.#segmentTargetMs / 1_000))
  }

  /** Declares which tracks will come; a kind that nobody spoke of is waited for as if it were announced. */
  expect(kinds: { readonly video?: boolean; readonly audio?: boolean }): void {
    this.#expected = { ...this.#expected, ...kinds }
    if (this.#state === 'starting') this.#tryBegin(false)
  }

  /** Sets a track's configuration. A changed one takes effect, with a discontinuity, at the next keyframe. */
  configure(config: TrackConfig): void {
    assert(this.#state !== 'ended', 'the packager has ended')
    const current = config.kind === 'video' ? this.#videoConfig : this.#audioConfig
    if (current !== undefined && sameConfig(current, config)) return
    if (config.kind === 'video') this.#videoConfig = config
    else this.#audioConfig = config
    if (config.kind === 'audio') this.#waitingAudio = []
    if (this.#state === 'starting') this.#queue.forget(config.kind)
  }

  /** Takes one access unit; its bytes must not change until the part that holds them was handed out. */
  write(unit: AccessUnit): void {
    assert(this.#state !== 'ended', 'the packager has ended')
    assert(Number.isFinite(unit.dts) && Number.isFinite(unit.pts), 'timestamps are numbers')
    const config = unit.kind === 'video' ? this.#videoConfig : this.#audioConfig
    if (config === undefined || unit.data.byteLength === 0) {
      this.#metrics?.count('undecodable_dropped')
    } else if (this.#state === 'starting') {
      this.#queue.push(this.#nearDecoding(unit), this.#clock.now())
      // After the first start nothing is waited for: a track that is still missing joins when it comes.
      this.#tryBegin(this.#started)
    } else if (unit.kind === 'video') {
      this.#writeVideo(this.#nearDecoding(unit))
    } else {
      this.#writeAudio(unit)
    }
  }

  /** The publisher is gone: what is there becomes the last parts. */
  end(): void {
    if (this.#state === 'starting') this.#tryBegin(true)
    if (this.#state === 'running') this.#finishStretch()
    this.#state = 'ended'
    if (this.#outbox !== undefined && this.#outbox.length > 0) this.#announce()
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
        configured: this.#audioConfig !== undefined,
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
    if (this.#videoConfig !== undefined) this.#beginVideo(this.#videoConfig, cut)
    if (this.#audioConfig !== undefined) this.#beginAudio(this.#audioConfig, cut)
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
    const track = new VideoTrack(this.#trackInit(), config, timeline, cut)
    this.#video = { track, facts: new RenditionFacts(track.target, this.#discontinuities) }
  }

  #beginAudio(config: AudioConfig, cut: Cut): void {
    const timeline = this.#runningTimeline()
    if (this.#audio !== undefined) {
      this.#audio.track.begin(config, timeline, cut)
      return
    }
    const track = new AudioTrack(this.#trackInit(), config, timeline, cut)
    this.#audio = { track, facts: new RenditionFacts(track.target, this.#discontinuities) }
  }

  #trackInit() {
    return {
      partTargetMs: this.#partTargetMs,
      segmentTargetMs: this.#segmentTargetMs,
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
    if (this.#floods(unit, track)) return
    const cut = track.writer.holds ? this.#cutAt(unit, track, changed) : undefined
    track.write(unit, cut, changed ? config : undefined)
    if (cut !== undefined) this.#cutAudio(cut)
    this.#audio?.track.keepUp(track.time ?? 0)
  }

  /** True for a picture to drop: a keyframe always begins a part, and the segment is full before it may be cut. */
  #floods(unit: AccessUnit, track: VideoTrack): boolean {
    if (unit.keyframe) {
      this.#flooded =
        track.writer.holds &&
        track.writer.parts >= packagingLimits.segmentPartsMax &&
        track.elapsedMs(unit) < packagingLimits.crowdedSegmentMsMin
    }
    if (this.#flooded) this.#metrics?.count('flood_dropped')
    return this.#flooded
  }

  /** The cut before this picture, if there is one. */
  #cutAt(unit: AccessUnit, track: VideoTrack, changed: boolean): Cut | undefined {
    const elapsedMs = track.elapsedMs(unit)
    const isFirst = track.writer.msn === this.#init.firstMsn
    const targetMs = isFirst
      ? Math.min(FIRST_SEGMENT_MS, this.#segmentTargetMs)
      : this.#segmentTargetMs
    const due = elapsedMs >= targetMs * (1 - SEGMENT_EARLY_SHARE)
    const crowded =
      this.#partsOf(track.writer.msn) >= packagingLimits.segmentPartsMax &&
      elapsedMs >= packagingLimits.crowdedSegmentMsMin
    const forced =
      crowded ||
      elapsedMs >= packagingLimits.segmentMsMax ||
      track.writer.segmentBytes >= packagingLimits.segmentBytesMax
    const discontinuity = unit.keyframe && (changed || this.#waitingAudio.length > 0)
    if (!discontinuity && !forced && !(unit.keyframe && due)) return undefined
    if (crowded) this.#metrics?.count('segment_crowded')
    if (forced && !unit.keyframe) this.#metrics?.count('segment_forced')
    const time = track.decodeTime(unit) + (unit.keyframe ? unit.pts - unit.dts : 0)
    return { time, msn: track.writer.msn + 1, discontinuity }
  }

  /** Parts made of a segment, by the rendition that has more. */
  #partsOf(msn: number): number {
    const writers = [this.#video?.track.writer, this.#audio?.track.writer]
    return Math.max(...writers.map((one) => (one?.msn === msn ? one.parts : 0)))
  }

  #cutAudio(cut: Cut): void {
    const config = this.#audioConfig
    const waiting = this.#waitingAudio
    if (waiting.length === 0) this.#audio?.track.announce(cut)
    else if (config !== undefined) {
      this.#waitingAudio = []
      this.#audio?.track.finish(cut.time)
      this.#beginAudio(config, cut)
      for (const unit of waiting) this.#writeAudio(unit)
    }
    if (cut.discontinuity) this.#noteDiscontinuity('configuration')
  }

  /** Video that appears while audio runs alone: from its first IDR on it leads. */
  #joinVideo(unit: AccessUnit, config: VideoConfig): void {
    const audio = this.#audio
    assert(audio !== undefined, 'one track runs')
    if (!unit.keyframe) {
      this.#metrics?.count('before_keyframe_dropped')
      return
    }
    const time = this.#runningTimeline().out(unit.pts)
    if (Math.abs(time - audio.track.end) > JUMP_TICKS || !audio.track.writer.holds) {
      this.#restart(unit)
      return
    }
    const cut: Cut = { time, msn: audio.track.writer.msn + 1, discontinuity: true }
    this.#beginVideo(config, cut)
    this.#video?.track.write(unit)
    audio.track.announce(cut)
    this.#noteDiscontinuity('video appears')
  }

  #writeAudio(unit: AccessUnit): void {
    const config = this.#audioConfig
    if (config === undefined) return
    const videoTime = this.#video?.track.time
    const timeline = this.#runningTimeline()
    const reference = videoTime ?? this.#audio?.track.end ?? 0
    if (Math.abs(timeline.out(unit.pts) - reference) > JUMP_TICKS) {
      // Beside video the video's time rules: this frame is early for a jump that video will make, or audio runs alone.
      if (this.#video !== undefined) this.#metrics?.count('audio_dropped')
      else this.#restart(unit)
      return
    }
    if (this.#audio === undefined || this.#audio.track.config !== config) {
      this.#awaitCut(unit, config)
      return
    }
    if (this.#video !== undefined) {
      this.#audio.track.write(unit, videoTime)
      return
    }
    const { track } = this.#audio
    track.write(unit, undefined, (time) => ({
      time,
      msn: track.writer.msn + 1,
      discontinuity: false,
    }))
  }

  /** Audio of another configuration, or the first: it begins with the video's next segment, or at once on its own. */
  #awaitCut(unit: AccessUnit, config: AudioConfig): void {
    const running = this.#audio?.track
    if (this.#video === undefined && running !== undefined) {
      const time = this.#runningTimeline().out(unit.pts)
      running.finish(time)
      this.#beginAudio(config, { time, msn: running.writer.msn + 1, discontinuity: true })
      this.#noteDiscontinuity('configuration')
      this.#writeAudio(unit)
      return
    }
    this.#waitingAudio.push(unit)
    if (this.#waitingAudio.length > packagingLimits.startupUnitsMax) {
      this.#waitingAudio.shift()
      this.#metrics?.count('startup_dropped')
    }
  }

  #restart(unit: AccessUnit): void {
    this.#finishStretch()
    this.#state = 'starting'
    this.write(unit)
  }

  #finishStretch(): void {
    const end = this.#video?.track.writer.finish()
    const videoEnd = end ?? 0
    if (this.#audio !== undefined) {
      const running = this.#audio.track
      if (this.#video !== undefined || running.writer.holds) running.finish(videoEnd)
    }
    const msn = Math.max(this.#video?.track.writer.msn ?? 0, this.#audio?.track.writer.msn ?? 0)
    this.#waitingAudio = []
    this.#nextMsn = msn + 1
    this.#outEnd = Math.ceil(Math.max(videoEnd, this.#audio?.track.end ?? 0))
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

  #take(part: PackagedPart): void {
    const own = part.rendition === 'source' ? this.#video : this.#audio
    assert(own !== undefined)
    own.facts.note(part)
    // EXT-X-TARGETDURATION is at least every segment's duration rounded to the nearest second (RFC 8216bis 4.4.3.1).
    const seconds = Math.round(own.track.writer.segmentUs / 1e6)
    if (seconds > this.#targetDurationS) this.#targetDurationS = seconds
    if (this.#outbox === undefined) {
      this.#announce()
      this.#init.onPart(part)
      return
    }
    this.#outbox.push(part)
    const facts = [this.#video?.facts, this.#audio?.facts].filter((one) => one !== undefined)
    // Both bitrates are worth a moment's wait, but not past a second part.
    const rated = part.part > 0 || facts.every((one) => one.rated)
    if (rated && facts.every((one) => one.settled)) this.#announce()
  }

  /** Tells of renditions that changed, and lets out the parts that waited for the first telling. */
  #announce(): void {
    const renditions: PackagerRendition[] = []
    let changed = false
    for (const own of [this.#video, this.#audio]) {
      if (own === undefined || !own.facts.settled) continue
      const description = own.facts.describe(own.track.config, this.#targetDurationS)
      changed = own.facts.changed(description) || changed
      renditions.push(description)
    }
    if (changed) this.#init.onRenditions(renditions)
    const waiting = this.#outbox ?? []
    this.#outbox = undefined
    for (const part of waiting) this.#init.onPart(part)
  }
}

const JUMP_TICKS = packagingLimits.timestampJumpMsMax * TICKS_PER_MS
const COMPOSITION_TICKS_MAX = packagingLimits.compositionMsMax * TICKS_PER_MS

function sameConfig(a: TrackConfig, b: TrackConfig): boolean {
  return a.codecString === b.codecString && Buffer.compare(a.description, b.description) === 0
}
