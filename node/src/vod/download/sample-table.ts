/**
 * The samples of one track as an MP4 file's tables want them (ISO/IEC 14496-12 8.6, 8.7): run by run, so that hours of media
 * take a few megabytes. Time goes on where a stream broke: what is missing makes the sample before it last longer.
 */
import { strict as assert } from 'node:assert'
import { KairoError } from '../../errors.ts'
import { downloadLimits } from '../../limits/upload.ts'
import { type FragmentView, isSync } from '../../media/cmaf/fragment-reader.ts'

/** Unsigned 32-bit numbers, as many as come. */
export class Numbers {
  #values = new Uint32Array(1_024)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Uint32Array(this.#values.length * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length] = value
    this.#length += 1
  }

  /** Big-endian, as files have them. */
  toBuffer(): Buffer {
    const bytes = Buffer.from(this.#values.slice(0, this.#length).buffer)
    return bytes.swap32()
  }
}

/** Equal values one after the other; values may be negative. */
export class Runs {
  readonly counts: number[] = []
  readonly values: number[] = []

  push(value: number): void {
    const last = this.values.length - 1
    if (last >= 0 && this.values[last] === value) {
      this.counts[last] = (this.counts[last] ?? 0) + 1
    } else {
      this.counts.push(1)
      this.values.push(value)
    }
  }

  /** Adds to the newest value alone. */
  extendLast(by: number): void {
    const last = this.values.length - 1
    const value = this.values[last]
    assert(value !== undefined, 'there is a newest value')
    if (this.counts[last] === 1) {
      this.counts.pop()
      this.values.pop()
    } else {
      this.counts[last] = (this.counts[last] ?? 0) - 1
    }
    this.push(value + by)
  }
}

/** One segment's samples as they lie together in the file. */
export interface Chunk {
  readonly samples: number
  readonly bytes: number
  /** Index of the sample description, from 1. */
  readonly description: number
}

/** Samples whose times are looked at to find the first that is shown; decoders reorder far fewer. */
const REORDERED_MAX = 64
const UINT32_MAX = 0xffff_ffff

/** Collects the samples of a track, segment by segment. */
export class SampleTable {
  readonly sizes = new Numbers()
  readonly durations = new Runs()
  readonly compositionOffsets = new Runs()
  /** Numbers of the samples that decoding can start at, from 1. */
  readonly sync = new Numbers()
  readonly chunks: Chunk[] = []
  /** Ticks of all samples together. */
  duration = 0
  /** Decoding time of the first sample, ticks of the stream's timeline. */
  #firstDecodeTime: number | undefined
  /** Presentation of the earliest sample minus decoding of the first, ticks. */
  #lead = Number.POSITIVE_INFINITY
  /** What is added to the fragments' times to be on the timeline. */
  #shift = 0
  #compositionMin = 0

  /** Decoding time of the first sample, ticks of the stream's timeline. */
  get start(): number {
    return this.#firstDecodeTime ?? 0
  }

  /** How far the first shown sample lies after the first decoded one, ticks; may be negative. */
  get lead(): number {
    return Number.isFinite(this.#lead) ? this.#lead : 0
  }

  /** The least composition offset, if it is negative, else 0. */
  get compositionMin(): number {
    return this.#compositionMin
  }

  /**
   * Adds a segment.
   * @param jumpTo where its first sample lies on the timeline, ticks, when its own times do not go on from the segment before.
   * @throws KairoError `ERR_LIMIT` when the track is longer than any file may be.
   */
  add(fragments: readonly FragmentView[], description: number, jumpTo: number | undefined): void {
    const first = fragments[0]?.baseDecodeTime
    if (first === undefined) return
    if (jumpTo !== undefined) this.#shift = jumpTo - first
    let samples = 0
    let bytes = 0
    for (const fragment of fragments) {
      this.#moveTo(fragment.baseDecodeTime + this.#shift)
      for (const sample of fragment.samples) {
        this.#addSample(sample)
        bytes += sample.bytes
      }
      samples += fragment.samples.length
    }
    if (this.sizes.length > downloadLimits.samplesMax) {
      throw new KairoError('ERR_LIMIT', 'this video has too many pictures for one file')
    }
    this.chunks.push({ samples, bytes, description })
  }

  #moveTo(decodeTime: number): void {
    if (this.#firstDecodeTime === undefined) {
      this.#firstDecodeTime = decodeTime
      return
    }
    // A step back would need negative durations; media go on and catch up at the next gap.
    const gap = Math.min(decodeTime - this.start - this.duration, UINT32_MAX / 2)
    if (gap <= 0) return
    this.durations.extendLast(gap)
    this.duration += gap
  }

  #addSample(sample: FragmentView['samples'][number]): void {
    const { compositionOffset, duration } = sample
    if (this.sizes.length < REORDERED_MAX) {
      this.#lead = Math.min(this.#lead, this.duration + compositionOffset)
    }
    this.#compositionMin = Math.min(this.#compositionMin, compositionOffset)
    this.sizes.push(sample.bytes)
    this.durations.push(duration)
    this.compositionOffsets.push(compositionOffset)
    if (isSync(sample)) this.sync.push(this.sizes.length)
    this.duration += duration
  }
}
