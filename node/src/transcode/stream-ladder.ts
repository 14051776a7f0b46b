/**
 * The ladder of one stream as it comes to be known: the preset that is wanted, the source's configurations, what was measured of
 * it, and the plan that follows; and when that plan has to be made anew.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../clock.ts'
import { isKairoError } from '../errors.ts'
import { transcodeLimits as limits } from '../limits/transcode.ts'
import {
  type AccessUnit,
  type AudioConfig,
  TICKS_PER_MS,
  type TrackConfig,
  type VideoConfig,
} from '../media/access-unit.ts'
import {
  type EncoderState,
  type LadderPlan,
  type LadderSource,
  planLadder,
} from '../media/ladder/plan.ts'
import type { Preset } from '../media/ladder/preset.ts'
import type { PresetStore } from '../media/ladder/preset-store.ts'
import type { Demand } from './admission.ts'
import { demandOf } from './demand.ts'
import { needsNewLadder, sourceFacts } from './source-facts.ts'
import { SourceMeter, type SourceRate } from './source-meter.ts'

/** What a {@link StreamLadder} works with. */
export interface StreamLadderComponents {
  readonly clock: Clock
  readonly presets: PresetStore
  /** Every encoder and whether it may be used; undefined until that is known. */
  readonly encoders: () => readonly EncoderState[] | undefined
}

/** One stream's preset, source and plan. */
export class StreamLadder {
  readonly #components: StreamLadderComponents
  #quality = ''
  #preset: Preset
  #video: VideoConfig | undefined
  #audio: AudioConfig | undefined
  #meter = new SourceMeter()
  #rate: SourceRate | undefined
  #firstSoundDts: number | undefined
  #lastSoundDts = 0
  #known = false
  /** Names of the encoders that the plan was made with. */
  #encoders = ''
  /** Encoders that failed for this stream, and until when they are left alone, monotonic milliseconds. */
  readonly #failed = new Map<string, number>()
  #source: LadderSource | undefined
  #plan: LadderPlan | undefined
  #problem: string | undefined

  constructor(components: StreamLadderComponents, quality: string) {
    this.#components = components
    this.#preset = components.presets.get('source')
    this.setQuality(quality)
  }

  /** Name of the preset that is wanted. */
  get quality(): string {
    return this.#quality
  }

  /** Why that preset is not followed; undefined where it is. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** True once the source was measured, and the plan is of that source. */
  get known(): boolean {
    return this.#known
  }

  get source(): LadderSource | undefined {
    return this.#source
  }

  get plan(): LadderPlan | undefined {
    return this.#plan
  }

  /** The kind whose keyframes children begin with. */
  get lead(): 'video' | 'audio' {
    return this.#video === undefined ? 'audio' : 'video'
  }

  /** True when the preset makes nothing of any source. */
  get asksNothing(): boolean {
    const { video, audio } = this.#preset
    return video.length === 0 && audio.aac === 'never' && !audio.opus
  }

  /** The configuration of the main track of a kind. */
  config(kind: 'video' | 'audio'): TrackConfig | undefined {
    return kind === 'video' ? this.#video : this.#audio
  }

  /** True when the plan has rungs of that kind, or there is no plan yet. */
  wants(kind: 'video' | 'audio'): boolean {
    return !this.#known || this.#plan === undefined || this.#plan[kind].length > 0
  }

  /** Goes by another preset; false when it is the same as before. */
  setQuality(quality: string): boolean {
    if (quality === this.#quality) return false
    this.#quality = quality
    this.#problem = undefined
    try {
      this.#preset = this.#components.presets.get(quality)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#preset = this.#components.presets.get('source')
      this.#problem = error.message
    }
    return true
  }

  /**
   * Takes a configuration of a main track. `measure`: it is another source, of which nothing is known yet. `plan`: the plan must be
   * made anew. `same`: the ladder stays.
   */
  configure(config: TrackConfig): 'measure' | 'plan' | 'same' {
    const before = this.config(config.kind)
    // Some encoders say the same again with every keyframe; decoders need not begin anew for that.
    if (isDeepStrictEqual(before, config)) return 'same'
    if (config.kind === 'video') this.#video = config
    else this.#audio = config
    const isNew = before === undefined ? config.kind === 'video' : needsNewLadder(before, config)
    if (isNew) {
      this.#known = false
      this.#meter = new SourceMeter()
      return 'measure'
    }
    return before === undefined && this.#known ? 'plan' : 'same'
  }

  /** Leaves an encoder alone for a while that failed for this stream; others may do well with it. */
  encoderFailed(name: string): void {
    this.#failed.set(name, this.#components.clock.monotonicMs() + limits.encoderRetryMs)
  }

  /** Takes a unit of a main track. */
  add(unit: AccessUnit): void {
    if (unit.kind === 'video') {
      this.#meter.add(unit)
    } else {
      this.#firstSoundDts ??= unit.dts
      this.#lastSoundDts = unit.dts
    }
  }

  /** True when a plan must be made: the source is known at last, or has more bits than it seemed, or encoders came or went. */
  isDue(): boolean {
    const encoders = this.#states()
    if (encoders === undefined) return false
    if (!this.#known) return !this.asksNothing && this.#isMeasured()
    return this.#isRicher() || namesOf(encoders) !== this.#encoders
  }

  /** Makes the plan from what is known now; returns what to ask of admission. */
  makePlan(): Demand {
    const encoders = this.#states() ?? []
    if (!this.#known) this.#rate = this.#meter.first
    else if (this.#isRicher() && this.#rate !== undefined) {
      this.#rate = { ...this.#rate, bitrateBps: this.#meter.latestBps as number }
    }
    this.#known = true
    this.#encoders = namesOf(encoders)
    this.#source = sourceFacts(this.#video, this.#audio, this.#rate)
    this.#plan = planLadder(this.#source, this.#preset, encoders)
    return demandOf(this.#plan, this.#source, encoders)
  }

  #isMeasured(): boolean {
    if (this.#video !== undefined) return this.#meter.first !== undefined
    const soundTicks = this.#lastSoundDts - (this.#firstSoundDts ?? this.#lastSoundDts)
    return soundTicks >= limits.audioOnlyMs * TICKS_PER_MS
  }

  /** A source that began with a black picture has a ladder of too few bits. */
  #isRicher(): boolean {
    if (this.#plan?.limitedByBitrate !== true || this.#rate === undefined) return false
    return (this.#meter.latestBps ?? 0) > this.#rate.bitrateBps * limits.replanBitrateShare
  }

  #states(): EncoderState[] | undefined {
    const nowMs = this.#components.clock.monotonicMs()
    return this.#components.encoders()?.map(({ name, ok }) => {
      const failing = (this.#failed.get(name) ?? Number.NEGATIVE_INFINITY) > nowMs
      return { name, ok: ok && !failing }
    })
  }
}

function namesOf(encoders: readonly EncoderState[]): string {
  const working = encoders.filter(({ ok }) => ok)
  return working.map(({ name }) => name).join()
}
