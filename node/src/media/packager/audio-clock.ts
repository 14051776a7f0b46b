/**
 * The time of audio frames by counting samples. Publishers stamp audio in whole milliseconds and with jitter; played by
 * those stamps it would crackle. Counting keeps it gapless, and only when the stamps and the count part by more than a
 * tolerance are frames inserted or dropped, whole ones, so that the count and the decoding times never disagree.
 */
import { packagingLimits } from '../../limits.ts'

/** The tolerance is never less than this share of a frame, or corrections would chase each other. */
const FRAME_SHARE_MIN = 0.75

/** What to do with a frame. */
export type AudioVerdict =
  /** Insert this many silent frames, then take it. */
  | { readonly take: true; readonly missing: number }
  /** It lies before what has been written. */
  | { readonly take: false }

/**
 * Counts the samples of one stretch of audio. Times in samples on the output timeline; `samplesPerFrame` is what a frame of
 * silence has, the publisher's own may differ (Opus, FLAC).
 */
export class AudioClock {
  readonly #samplesPerFrame: number
  readonly #tolerance: number
  readonly #start: number
  #next: number | undefined

  constructor(init: { sampleRate: number; samplesPerFrame: number; start: number }) {
    this.#samplesPerFrame = init.samplesPerFrame
    this.#start = init.start
    this.#tolerance = Math.max(
      (packagingLimits.audioDriftMsMax * init.sampleRate) / 1_000,
      init.samplesPerFrame * FRAME_SHARE_MIN,
    )
  }

  /** Time of the next frame to be written. */
  get next(): number {
    return this.#next ?? this.#start
  }

  /** Judges a frame stamped `time`; the caller then takes as many times as the verdict says. */
  judge(time: number): AudioVerdict {
    if (this.#next === undefined) {
      if (time < this.#start) return { take: false }
      // The first frame keeps its own time exactly; silence before it reaches back to the start.
      const missing = Math.floor((time - this.#start) / this.#samplesPerFrame)
      this.#next = time - missing * this.#samplesPerFrame
      return { take: true, missing }
    }
    const drift = time - this.#next
    if (drift > this.#tolerance) {
      return { take: true, missing: Math.round(drift / this.#samplesPerFrame) }
    }
    return drift < -this.#tolerance ? { take: false } : { take: true, missing: 0 }
  }

  /** Takes a frame of so many samples: returns its time and counts on. */
  take(samples: number): number {
    const time = this.next
    this.#next = time + samples
    return time
  }
}
