/**
 * How long the parts of one rendition are. RFC 8216bis 4.4.4.9 asks that no part exceeds PART-TARGET and that none but
 * independent and final ones falls below 85 % of it, so the target is a whole number of frames, with room for
 * timestamps in whole milliseconds, and a part ends where one more frame would not fit. A picture that stays longer
 * makes its part longer and leaves the target as it is: a publisher that froze once must not cost latency for good.
 * Playlists declare such a part as long as they list it (docs/decisions/0005).
 */

/** Timestamps in whole milliseconds make a run of frames up to this much longer than its frame rate says. */
const QUANTISATION_US = 2_000
/** The least a part that is neither independent nor final may last, as a share of PART-TARGET. */
const PART_SHARE_MIN = 0.85
/** A declared frame rate is believed within this share of the measured one. */
const RATE_AGREEMENT = 0.05
/** Frames needed before the measurement outweighs a declared rate. */
const FRAMES_MEASURED_MIN = 3

/** The PART-TARGET of one rendition and the rule that ends its parts. All durations in microseconds. */
export class PartTarget {
  readonly #wantedUs: number
  #targetUs = 0
  #frameUs = 0

  /** `wantedMs`: the duration, in milliseconds, that the nearest whole number of frames approaches. */
  constructor(wantedMs: number) {
    this.#wantedUs = wantedMs * 1_000
  }

  /** The duration that parts are cut to, whole milliseconds in microseconds; 0 until it is settled, then fixed. */
  get us(): number {
    return this.#targetUs
  }

  /** The frame duration it was settled with; 0 until then. */
  get frameUs(): number {
    return this.#frameUs
  }

  /** Settles on frames of exactly this duration (audio). */
  settleExactly(frameUs: number): void {
    this.#settle(frameUs, 0)
  }

  /** Settles on the frame durations of the first part and the declared one, if any. */
  settleMeasured(framesUs: readonly number[], declaredUs: number | undefined): void {
    const sorted = framesUs.toSorted((a, b) => a - b)
    const median = sorted[sorted.length >> 1] ?? this.#wantedUs
    // The mean of what lies around the median: a lost picture does not count, and whole milliseconds even out.
    const usual = sorted.filter((us) => Math.abs(us - median) <= QUANTISATION_US)
    const measured = usual.reduce((sum, us) => sum + us, 0) / usual.length || this.#wantedUs
    const agrees =
      declaredUs !== undefined &&
      (sorted.length < FRAMES_MEASURED_MIN ||
        Math.abs(declaredUs - measured) <= declaredUs * RATE_AGREEMENT)
    // Only a declared rate can be so low that one picture is longer than a part: a picture that stands still at the
    // start says nothing of those to come.
    this.#settle(agrees ? declaredUs : Math.min(measured, this.#wantedUs), QUANTISATION_US)
  }

  /** True when a part of `durationUs` ends here because another frame like its last would not fit. */
  isFull(durationUs: number, lastFrameUs: number): boolean {
    if (this.#targetUs === 0) return durationUs + lastFrameUs / 2 > this.#wantedUs
    return this.#isLongEnough(durationUs) && durationUs + lastFrameUs > this.#targetUs
  }

  /** True when a part of `durationUs` must end before a frame of `frameUs`, and is long enough to. */
  endsBefore(durationUs: number, frameUs: number): boolean {
    if (this.#targetUs === 0) {
      return (
        durationUs >= this.#wantedUs * PART_SHARE_MIN && durationUs + frameUs / 2 > this.#wantedUs
      )
    }
    return this.#isLongEnough(durationUs) && durationUs + frameUs > this.#targetUs
  }

  #isLongEnough(durationUs: number): boolean {
    return durationUs >= this.#targetUs * PART_SHARE_MIN
  }

  #settle(frameUs: number, roomUs: number): void {
    const frames = Math.max(1, Math.round(this.#wantedUs / frameUs))
    this.#frameUs = frameUs
    this.#targetUs = wholeMs(frames * frameUs + roomUs)
  }
}

function wholeMs(durationUs: number): number {
  return Math.ceil(durationUs / 1_000) * 1_000
}
