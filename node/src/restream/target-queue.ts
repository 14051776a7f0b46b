/**
 * How much waits for one target, and what is done about it: a target that is too slow loses pictures up to a keyframe, so that what
 * it gets can be decoded and its queue is bounded in bytes and in time.
 */
import { restreamLimits as limits } from '../limits/restream.ts'
import { TICKS_PER_MS } from '../media/access-unit.ts'

/** What the judgement needs to know of the child's queue. */
export interface QueueReadings {
  /** Bytes that wait to be read by the child. */
  readonly queuedBytes: number
  /** Newest decoding time that the target took, 1/90000 s; undefined before the first. */
  readonly position: number | undefined
}

/** Which limit was reached. */
export type QueueLimit = 'bytes' | 'time'

/** The queue of one connection. */
export class TargetQueue {
  /** Where sending began, or began again after a gap. */
  #first: number | undefined
  #newest = 0
  #dropping = false

  /** True while units are dropped. */
  get dropping(): boolean {
    return this.#dropping
  }

  /**
   * Whether the next unit is to be sent. `resumes` says that a stream can go on with it after a gap.
   * @returns `send`, `drop`, or the limit that is reached with this unit, which is dropped too.
   */
  judge(dts: number, resumes: boolean, readings: QueueReadings): 'send' | 'drop' | QueueLimit {
    this.#first ??= dts
    const lagMs = this.#lagMs(dts, readings.position)
    if (this.#dropping) {
      const { queueResumeShare: share, queueBytesMax, queueMsMax } = limits
      const sentLagMs = this.#lagMs(this.#newest, readings.position)
      const free = readings.queuedBytes <= share * queueBytesMax && sentLagMs <= share * queueMsMax
      if (!(free && resumes)) return 'drop'
      this.#dropping = false
      // What was left out does not wait: without this a long gap alone would be taken for a slow target.
      this.#first = dts
    } else if (readings.queuedBytes > limits.queueBytesMax || lagMs > limits.queueMsMax) {
      this.#dropping = true
      return readings.queuedBytes > limits.queueBytesMax ? 'bytes' : 'time'
    }
    this.#newest = Math.max(this.#newest, dts)
    return 'send'
  }

  #lagMs(dts: number, position: number | undefined): number {
    const from = Math.max(position ?? Number.NEGATIVE_INFINITY, this.#first ?? dts)
    return (dts - from) / TICKS_PER_MS
  }
}
