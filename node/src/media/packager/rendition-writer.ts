/**
 * Turns the samples of one track into parts and segments. It keeps the newest sample back until the next one arrives,
 * so that every duration in a part is exact and the last part of a segment can say so; that costs at most one frame and
 * stays right at any frame rate, which guessing the last duration would not.
 */
import { strict as assert } from 'node:assert'
import { packagingLimits } from '../../limits.ts'
import { encodeFragment, type Fragment } from '../cmaf/fragment.ts'
import type { PackagerMetrics } from './packager-metrics.ts'
import type { PartTarget } from './part-target.ts'

/** How long a picture lasts that is the only one of its stretch, where nobody says. */
const FRAME_US = 1e6 / 30

/** One part, as it goes to the content plane. */
export interface PackagedPart {
  readonly rendition: string
  readonly msn: number
  /** Number in its segment, from 0. */
  readonly part: number
  /** `moof` and `mdat`; outside the shared pool. */
  readonly data: Buffer
  readonly durationUs: number
  /** Decoding time of its first sample, microseconds of the stream's timeline. */
  readonly startUs: number
  /** Begins with an IDR; always for audio. */
  readonly independent: boolean
  readonly endOfSegment: boolean
  /** On part 0 only: wall time of the first presentation, Unix milliseconds. */
  readonly programDateTimeMs: number | undefined
  /** On part 0 only: timestamps or configuration do not continue from the segment before. */
  readonly discontinuity: boolean
  /** The init segment this part needs; the same object while it stays the same. */
  readonly init: Buffer
  readonly sampleCount: number
}

/** Where a segment ends and the next begins, the same for all renditions. */
export interface Cut {
  /** First presentation of the new segment, 1/90000 s of the output timeline. */
  readonly time: number
  readonly msn: number
  readonly discontinuity: boolean
}

/** A sample on its way into a part. */
export interface Sample {
  /** Decoding time on the output timeline, in ticks of the track. */
  readonly time: number
  /** Ticks; where it is 0 it is known when the next sample is. */
  duration: number
  readonly compositionOffset: number
  readonly sync: boolean
  readonly data: Uint8Array
}

/** What one stretch of a track, with one configuration, needs. */
export interface TrackPeriod {
  readonly init: Buffer
  /** Ticks a second. */
  readonly timescale: number
  /** Declared frame duration in microseconds, if anyone said. */
  readonly frameUs: number | undefined
  /** Wall time of a presentation time in ticks, Unix milliseconds. */
  readonly wallMs: (ticks: number) => number
}

/** Fixed for a writer's life. */
export interface RenditionWriterInit {
  readonly rendition: string
  readonly layout: Fragment['layout']
  readonly trackId: number
  readonly target: PartTarget
  readonly metrics: PackagerMetrics | undefined
  readonly onPart: (part: PackagedPart) => void
}

/** Writes the parts of one rendition. Times in ticks of the track's timescale unless the name says otherwise. */
export class RenditionWriter {
  readonly #options: RenditionWriterInit
  #period: TrackPeriod | undefined
  /** Opens with the first sample that comes after {@link begin}. */
  #opening: Cut | undefined
  #samples: Sample[] = []
  #held: Sample | undefined
  #ticks = 0
  #bytes = 0
  #lastDuration = 0
  #sequence = 0
  #msn = 0
  #part = 0
  #discontinuity = false
  #segmentStart = 0
  #segmentWallMs = 0
  #segmentBytes = 0
  #segmentTicks = 0

  constructor(init: RenditionWriterInit) {
    this.#options = init
  }

  /** Segment being written. */
  get msn(): number {
    return this.#msn
  }

  /** Parts made of the segment being written; of the one before it while a stretch has not opened its first. */
  get parts(): number {
    return this.#part
  }

  /** Bytes of the segment being written, with the samples not yet in a part. */
  get segmentBytes(): number {
    return this.#segmentBytes + this.#bytes + (this.#held?.data.byteLength ?? 0)
  }

  /** Microseconds of the segment's parts so far. */
  get segmentUs(): number {
    return this.#us(this.#segmentStart + this.#segmentTicks) - this.#us(this.#segmentStart)
  }

  /** True while a sample waits for its duration. */
  get holds(): boolean {
    return this.#held !== undefined
  }

  /** Microseconds from the start of the segment to `time`. */
  elapsedUs(time: number): number {
    return this.#us(time) - this.#us(this.#segmentStart)
  }

  /** Sets what the coming samples need; the next one opens the segment that `cut` names. */
  begin(period: TrackPeriod, cut: Cut): void {
    assert(this.#held === undefined, 'the stretch before must be finished')
    this.#period = period
    this.#opening = cut
    this.#lastDuration = 0
  }

  /** Takes the next sample; with `cut` it opens a new segment, with `init` one of another configuration. */
  push(sample: Sample, cut?: Cut, init?: Buffer): void {
    const startsPart = cut !== undefined || (this.#options.layout === 'per-sample' && sample.sync)
    if (this.#held !== undefined) {
      this.#held.duration = sample.time - this.#held.time
      this.#place(this.#held, startsPart)
      if (startsPart) this.#flush(cut !== undefined)
    }
    const opening = this.#opening ?? cut
    this.#opening = undefined
    if (init !== undefined) this.#period = { ...this.#expectPeriod(), init }
    if (opening !== undefined) this.#open(opening, sample)
    this.#held = sample
  }

  /** Takes back the samples that are in no part yet, to be pushed again with a cut among them. */
  takePending(): readonly Sample[] {
    const pending = [...this.#samples, ...(this.#held === undefined ? [] : [this.#held])]
    this.#clearPart()
    this.#held = undefined
    return pending
  }

  /** Ends the segment with what there is; returns the end time, or undefined when nothing was ever pushed. */
  finish(): number | undefined {
    const held = this.#held
    if (held === undefined) return undefined
    const { target } = this.#options
    const { timescale, frameUs = FRAME_US } = this.#expectPeriod()
    const guess = this.#lastDuration || Math.round(((target.frameUs || frameUs) * timescale) / 1e6)
    held.duration ||= Math.max(1, guess)
    this.#held = undefined
    this.#place(held, true)
    this.#flush(true)
    return held.time + held.duration
  }

  #place(sample: Sample, closes: boolean): void {
    assert(sample.duration > 0, 'decoding times grow')
    const { target, metrics } = this.#options
    const durationUs = this.#toUs(sample.duration)
    if (this.#samples.length > 0 && target.endsBefore(this.#toUs(this.#ticks), durationUs)) {
      this.#flush(false)
    }
    this.#samples.push(sample)
    this.#ticks += sample.duration
    this.#bytes += sample.data.byteLength
    this.#lastDuration = sample.duration
    if (closes) return
    if (target.isFull(this.#toUs(this.#ticks), durationUs)) {
      this.#flush(false)
    } else if (this.#bytes >= packagingLimits.partBytesMax) {
      metrics?.count('part_forced')
      this.#flush(false)
    }
  }

  #open(cut: Cut, first: Sample): void {
    this.#msn = cut.msn
    this.#part = 0
    this.#discontinuity = cut.discontinuity
    this.#segmentStart = first.time
    this.#segmentWallMs = Math.round(
      this.#expectPeriod().wallMs(first.time + first.compositionOffset),
    )
    this.#segmentBytes = 0
    this.#segmentTicks = 0
  }

  #flush(endOfSegment: boolean): void {
    const { rendition, layout, trackId, metrics, onPart } = this.#options
    const samples = this.#samples
    const first = samples[0]
    assert(first !== undefined, 'a part holds at least one sample')
    this.#settleTarget(samples)
    this.#sequence += 1
    const data = encodeFragment({
      layout,
      sequence: this.#sequence,
      trackId,
      baseDecodeTime: first.time,
      samples,
    })
    const opens = this.#part === 0
    const part: PackagedPart = {
      rendition,
      msn: this.#msn,
      part: this.#part,
      data,
      durationUs: this.#us(first.time + this.#ticks) - this.#us(first.time),
      startUs: this.#us(first.time),
      independent: layout === 'uniform' || first.sync,
      endOfSegment,
      programDateTimeMs: opens ? this.#segmentWallMs : undefined,
      discontinuity: opens && this.#discontinuity,
      init: this.#expectPeriod().init,
      sampleCount: samples.length,
    }
    this.#segmentBytes += data.byteLength
    this.#segmentTicks += this.#ticks
    this.#part += 1
    this.#clearPart()
    metrics?.part(rendition, data.byteLength)
    onPart(part)
  }

  #settleTarget(samples: readonly Sample[]): void {
    const { target, metrics } = this.#options
    if (target.us === 0) {
      const durations = samples.map((sample) => this.#toUs(sample.duration))
      target.settleMeasured(durations, this.#expectPeriod().frameUs)
    }
    if (this.#toUs(this.#ticks) > target.us) metrics?.count('part_overlong')
  }

  #clearPart(): void {
    this.#samples = []
    this.#ticks = 0
    this.#bytes = 0
  }

  #expectPeriod(): TrackPeriod {
    assert(this.#period !== undefined, 'begin() comes first')
    return this.#period
  }

  #toUs(ticks: number): number {
    return (ticks * 1e6) / this.#expectPeriod().timescale
  }

  /** A time in whole microseconds; split so that days of ticks stay exact in a double. */
  #us(time: number): number {
    const { timescale } = this.#expectPeriod()
    const seconds = Math.floor(time / timescale)
    return seconds * 1e6 + Math.round(((time - seconds * timescale) * 1e6) / timescale)
  }
}
