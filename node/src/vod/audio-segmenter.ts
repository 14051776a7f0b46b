/**
 * Cuts the sound of one rendition into whole CMAF segments: each begins with the first frame that starts at or after its time. Times
 * are counted in samples, so that rounding in containers does not pull frames apart.
 */
import type { SegmentWrite } from '../content/archive/segment-file.ts'
import { type Digest, digestOf } from '../content/digest.ts'
import { KairoError } from '../errors.ts'
import { type AccessUnit, type AudioConfig, TICKS_PER_SECOND } from '../media/access-unit.ts'
import { encodeFragment, type FragmentSample } from '../media/cmaf/fragment.ts'
import { AUDIO_TRACK_ID, audioInitSegment } from '../media/cmaf/init-segment.ts'
import { type VideoSegmenter, wholeSegment } from './video-segmenter.ts'

/** How an {@link AudioSegmenter} is built. */
export interface AudioSegmenterInit {
  /** Where segments begin, 1/90000 s; the number of a segment is its index here. */
  readonly boundaries: readonly number[]
  /** How much later everything is presented, 1/90000 s: as the pictures are (see {@link VideoSegmenter}). */
  readonly lead: number
  readonly onSegment: (write: SegmentWrite) => void
}

interface Frame {
  /** Samples from the start of the video. */
  readonly position: number
  readonly data: Uint8Array
}

/** A step between frames below this share of a frame is rounding. */
const JITTER_SHARE = 0.5

/** Cuts sound into segments. */
export class AudioSegmenter {
  readonly #options: AudioSegmenterInit
  #config: AudioConfig | undefined
  #init: { readonly bytes: Buffer; readonly digest: Digest } | undefined
  #frames: Frame[] = []
  #msn = -1
  /** Where the next frame is expected, samples; undefined where frames have no fixed length. */
  #end: number | undefined
  #last = -1
  #lastInit: Digest | undefined

  constructor(init: AudioSegmenterInit) {
    this.#options = init
  }

  /** The newest configuration. */
  get config(): AudioConfig | undefined {
    return this.#config
  }

  /**
   * Sets the configuration.
   * @throws KairoError `ERR_MEDIA` for a second one with another sample rate, which one rendition cannot have.
   */
  configure(config: AudioConfig): void {
    if (this.#config !== undefined && this.#config.sampleRate !== config.sampleRate) {
      throw new KairoError('ERR_MEDIA', 'the sample rate changes within the sound track')
    }
    const bytes = audioInitSegment(config)
    this.#config = config
    this.#init = { bytes, digest: digestOf(bytes) }
  }

  /** Takes the next frame. @throws KairoError `ERR_MEDIA` when a segment has no sound. */
  write(unit: AccessUnit): void {
    const config = this.#config
    if (config === undefined) return
    const { sampleRate, samplesPerFrame } = config
    const exact = Math.round((unit.pts * sampleRate) / TICKS_PER_SECOND)
    const isNear = Math.abs(exact - (this.#end ?? exact)) < samplesPerFrame * JITTER_SHARE
    const position = isNear ? (this.#end ?? exact) : exact
    if (position <= this.#last) return
    const msn = this.#segmentAt(position, sampleRate)
    if (msn !== this.#msn) {
      if (msn !== this.#msn + 1) {
        throw new KairoError('ERR_MEDIA', `there is no sound in segment ${this.#msn + 1}`)
      }
      this.#flush(position)
      this.#msn = msn
    }
    this.#frames.push({ position, data: unit.data })
    this.#last = position
    // Frames of Opus and FLAC may differ: only where the next one begins tells their lengths.
    if (config.codec === 'aac') this.#end = position + samplesPerFrame
  }

  /** Ends the track. */
  finish(): void {
    const last = this.#frames.at(-1)
    if (last !== undefined) this.#flush(last.position + this.#lastLength())
  }

  /** Length of the last frame, which nothing follows: that of the one before it. */
  #lastLength(): number {
    const [before, last] = this.#frames.slice(-2)
    const { samplesPerFrame = 1, codec } = this.#config ?? {}
    if (codec === 'aac' || before === undefined || last === undefined) return samplesPerFrame
    return last.position - before.position
  }

  #segmentAt(position: number, sampleRate: number): number {
    const { boundaries } = this.#options
    const ticks = (position * TICKS_PER_SECOND) / sampleRate
    let msn = Math.max(0, this.#msn)
    // Half a sample, so that a frame exactly at a boundary is on its right side.
    const slack = TICKS_PER_SECOND / sampleRate / 2
    while ((boundaries[msn + 1] ?? Number.POSITIVE_INFINITY) <= ticks + slack) msn += 1
    return msn
  }

  #flush(next: number): void {
    const frames = this.#frames
    const config = this.#config
    const init = this.#init
    const first = frames[0]
    if (first === undefined || config === undefined || init === undefined) return
    this.#frames = []
    const { sampleRate } = config
    const lead = Math.round((this.#options.lead * sampleRate) / TICKS_PER_SECOND)
    // A hole in the sound makes the frame before it longer, which keeps all that follows in its place.
    const samples: FragmentSample[] = frames.map(({ position, data }, index) => ({
      duration: Math.max(1, (frames[index + 1]?.position ?? next) - position),
      ...{ compositionOffset: 0, sync: true, data },
    }))
    const isUniform = samples.every(({ duration }) => duration === samples[0]?.duration)
    const length = samples.reduce((sum, { duration }) => sum + duration, 0)
    const bytes = encodeFragment({
      layout: isUniform ? 'uniform' : 'per-sample',
      sequence: this.#msn + 1,
      trackId: AUDIO_TRACK_ID,
      baseDecodeTime: first.position + lead,
      samples,
    })
    const ticksOf = (position: number): number => (position * TICKS_PER_SECOND) / sampleRate
    const discontinuity = this.#lastInit !== undefined && this.#lastInit !== init.digest
    this.#lastInit = init.digest
    this.#options.onSegment(
      wholeSegment({
        ...{ msn: this.#msn, init, bytes, discontinuity },
        start: ticksOf(first.position + lead),
        end: ticksOf(first.position + lead + length),
      }),
    )
  }
}
