/**
 * An audio rendition: frames on a sample-counted clock, cut into segments where the video is cut, or on its own when
 * there is no video. Missing audio becomes silence, so that every segment exists in both renditions and players that
 * wait for both go on.
 */
import { packagingLimits } from '../../limits.ts'
import {
  type AccessUnit,
  type AudioConfig,
  TICKS_PER_MS,
  TICKS_PER_SECOND,
} from '../access-unit.ts'
import { AUDIO_TRACK_ID, audioInitSegment } from '../cmaf/init-segment.ts'
import { AudioClock } from './audio-clock.ts'
import { frameSamples } from './frame-samples.ts'
import type { PackagerMetrics } from './packager-metrics.ts'
import { PartTarget } from './part-target.ts'
import { type Cut, type PackagedPart, RenditionWriter, type Sample } from './rendition-writer.ts'
import { type Silence, silenceFor } from './silent-frame.ts'
import type { MediaTimeline } from './timeline.ts'

/** Fixed for a track's life. */
export interface AudioTrackInit {
  /** Name of the rendition. */
  readonly name: string
  readonly partTargetMs: number
  readonly segmentTargetMs: number
  readonly metrics: PackagerMetrics | undefined
  readonly onPart: (part: PackagedPart) => void
}

/** Writes an audio rendition. Times in 1/90000 s of the output timeline unless the name says otherwise. */
export class AudioTrack {
  readonly writer: RenditionWriter
  readonly target: PartTarget
  /** Length of segments that audio cuts on its own, in microseconds. */
  readonly #segmentUs: number
  readonly #metrics: PackagerMetrics | undefined
  #config: AudioConfig
  #timeline: MediaTimeline
  #clock: AudioClock
  #init: Buffer | undefined
  /** Cuts announced by the video that audio has not reached; few, since the lag is bounded. */
  #cuts: Cut[] = []
  /** What fills gaps: silence, or the last frame of an unusual layout, which decodes for certain. */
  #filler: Filler
  #lagMs: number = packagingLimits.audioLagMs

  constructor(init: AudioTrackInit, config: AudioConfig, timeline: MediaTimeline, cut: Cut) {
    this.target = new PartTarget(init.partTargetMs)
    this.#segmentUs = init.segmentTargetMs * 1_000
    this.#metrics = init.metrics
    this.writer = new RenditionWriter({
      rendition: init.name,
      layout: 'uniform',
      trackId: AUDIO_TRACK_ID,
      target: this.target,
      metrics: init.metrics,
      onPart: init.onPart,
    })
    this.#config = config
    this.#timeline = timeline
    this.#filler = fillerOf(config)
    this.#clock = this.#begin(config, timeline, cut, 0)
  }

  get config(): AudioConfig {
    return this.#config
  }

  /** End of what has been written. */
  get end(): number {
    return this.#toOut(this.#clock.next)
  }

  /** Starts a stretch; frames before `cut.time` are dropped. */
  begin(config: AudioConfig, timeline: MediaTimeline, cut: Cut): void {
    this.#begin(config, timeline, cut, this.end)
  }

  #begin(config: AudioConfig, timeline: MediaTimeline, cut: Cut, end: number): AudioClock {
    if (this.#init === undefined || config !== this.#config) this.#init = audioInitSegment(config)
    this.#config = config
    this.#timeline = timeline
    this.#filler = fillerOf(config)
    const { sampleRate, samplesPerFrame } = config
    this.#clock = new AudioClock({
      sampleRate,
      samplesPerFrame: this.#filler.samples,
      start: Math.ceil(this.#toSamples(Math.max(cut.time, end))),
    })
    const frameUs = (samplesPerFrame * 1e6) / sampleRate
    // Another configuration may have longer frames; the target holds several of them all the same.
    if (this.target.us === 0) this.target.settleExactly(frameUs)
    this.writer.begin(
      {
        init: this.#init,
        timescale: sampleRate,
        frameUs,
        wallMs: (samples) => timeline.wallMs((samples * TICKS_PER_SECOND) / sampleRate),
      },
      cut,
    )
    return this.#clock
  }

  /** Takes a frame. `videoTime` is the newest video decoding time, which tells how late the publisher's audio comes. */
  write(unit: AccessUnit, videoTime: number | undefined, cutFor?: (time: number) => Cut): void {
    const time = this.#timeline.out(unit.pts)
    const verdict = this.#clock.judge(Math.round(this.#toSamples(time)))
    if (!verdict.take) {
      this.#metrics?.count('audio_dropped')
      if (videoTime !== undefined && this.writer.holds) this.#allowLag(videoTime - time)
      return
    }
    const whole = this.#fill(verdict.missing, cutFor)
    const samples = frameSamples(this.#config, unit.data)
    if (this.#filler.isLast === true) this.#filler.data = unit.data
    // Its place is not reached yet; the frames after it find it nearer.
    if (!whole) {
      this.#metrics?.count('audio_dropped')
      return
    }
    this.#take(unit.data, samples, cutFor)
  }

  /** Learns where the video is cut. */
  announce(cut: Cut): void {
    this.#cuts.push(cut)
    // Frames past the cut may wait in the open part already; those in published parts stay where they are.
    for (const sample of this.writer.takePending()) this.#push(sample)
  }

  /** Fills with silence what is missing more than the allowed lag behind the video. */
  keepUp(videoTime: number): void {
    const until = this.#toSamples(videoTime - this.#lagMs * TICKS_PER_MS)
    const missing = Math.floor((until - this.#clock.next) / this.#filler.samples)
    if (missing > 0) this.#fill(missing)
  }

  /** Ends the stretch, and its segment, at `time`: silence up to there, and through every cut announced. */
  finish(time: number): void {
    const until = Math.max(time, ...this.#cuts.map((cut) => cut.time))
    const frames = (this.#toSamples(until) - this.#clock.next) / this.#filler.samples
    if (!this.#fill(Math.round(frames))) {
      // What silence does not reach is cut here, a frame each, so that both renditions have the same segments.
      const here = this.end
      this.#cuts = this.#cuts.map((cut) => ({ ...cut, time: Math.min(cut.time, here) }))
    }
    while (this.#cuts.length > 0 || !this.writer.holds) this.#fill(1)
    this.writer.finish()
  }

  /** Puts silence in; false when that were too many frames for one go, and there are fewer. */
  #fill(wanted: number, cutFor?: (time: number) => Cut): boolean {
    if (wanted <= 0) return true
    const frames = Math.min(wanted, packagingLimits.audioFillFramesMax)
    this.#metrics?.count('audio_filled', frames)
    if (frames < wanted) this.#metrics?.count('audio_fill_cut')
    const { data, samples } = this.#filler
    for (let index = 0; index < frames; index++) this.#take(data, samples, cutFor)
    return frames === wanted
  }

  #take(data: Uint8Array, duration: number, cutFor?: (time: number) => Cut): void {
    const time = this.#clock.take(duration)
    if (cutFor !== undefined && this.writer.holds && this.#isDue(time)) {
      this.#cuts.push(cutFor(this.#toOut(time)))
    }
    this.#push({ time, duration, compositionOffset: 0, sync: true, data })
  }

  #push(sample: Sample): void {
    const cut = this.#cuts[0]
    // A cut needs a frame before it in its segment; the one at hand is left there when there is no other.
    if (cut !== undefined && this.writer.holds && this.#toOut(sample.time) >= cut.time - 1) {
      this.#cuts.shift()
      this.writer.push(sample, cut)
    } else {
      this.writer.push(sample)
    }
  }

  #isDue(time: number): boolean {
    if (this.writer.elapsedUs(time) >= this.#segmentUs) return true
    if (this.writer.parts < packagingLimits.segmentPartsMax) return false
    this.#metrics?.count('segment_crowded')
    return true
  }

  #allowLag(lagTicks: number): void {
    const lagMs = lagTicks / TICKS_PER_MS + packagingLimits.audioLagMs / 2
    this.#lagMs = Math.min(packagingLimits.audioLagMsMax, Math.max(this.#lagMs, lagMs))
  }

  #toSamples(out: number): number {
    return (out * this.#config.sampleRate) / TICKS_PER_SECOND
  }

  #toOut(samples: number): number {
    return (samples * TICKS_PER_SECOND) / this.#config.sampleRate
  }
}

/** Repeated where no silence is known; starts as something that most decoders take. */
interface LastFrame {
  data: Uint8Array
  readonly samples: number
  readonly isLast: true
}

type Filler = (Silence & { readonly isLast?: false }) | LastFrame

function fillerOf(config: AudioConfig): Filler {
  const silence = silenceFor(config)
  if (silence !== undefined) return silence
  const data = silenceFor({ ...config, channels: 2 })?.data ?? new Uint8Array(0)
  return { data, samples: config.samplesPerFrame, isLast: true }
}
