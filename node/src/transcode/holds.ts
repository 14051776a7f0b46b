/** Rungs that were given up and may not come back yet: longer each time, and one after the other. */
import { backoffMs } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { admissionLimits as limits } from '../limits/transcode.ts'

const holdBounds = { retryMsMin: limits.holdMsMin, retryMsMax: limits.holdMsMax }

interface Hold {
  readonly reason: string
  /** Monotonic milliseconds. */
  readonly untilMs: number
  readonly times: number
  /** When it was let go; undefined while it holds. */
  readonly releasedMs: number | undefined
}

/** Holds by the key of a rung. */
export class Holds {
  readonly #clock: Clock
  readonly #holds = new Map<string, Hold>()
  #lastReleaseMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Holds a rung back; each time in a row twice as long. Returns for how long, milliseconds. */
  hold(key: string, reason: string): number {
    const nowMs = this.#clock.monotonicMs()
    const before = this.#holds.get(key)
    const calmMs = before?.releasedMs === undefined ? 0 : nowMs - before.releasedMs
    const times = before === undefined || calmMs > limits.holdForgetMs ? 0 : before.times
    const holdMs = backoffMs(holdBounds, times)
    const hold = { reason, untilMs: nowMs + holdMs, times: times + 1, releasedMs: undefined }
    this.#holds.set(key, hold)
    return holdMs
  }

  /** Why a rung is held back; undefined when it is not. */
  reason(key: string): string | undefined {
    const hold = this.#holds.get(key)
    return hold?.releasedMs === undefined ? hold?.reason : undefined
  }

  /** Lets at most one rung go whose time is over and for which there is room. */
  release(hasRoom: (key: string) => boolean): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#lastReleaseMs < limits.releaseGapMs) return
    for (const [key, hold] of this.#holds) {
      if (hold.releasedMs !== undefined || nowMs < hold.untilMs || !hasRoom(key)) continue
      this.#holds.set(key, { ...hold, releasedMs: nowMs })
      this.#lastReleaseMs = nowMs
      return
    }
  }

  /** Forgets everything about a stream's rungs. */
  forgetStream(stream: string): void {
    for (const key of this.#holds.keys()) if (key.startsWith(`${stream}/`)) this.#holds.delete(key)
  }
}
