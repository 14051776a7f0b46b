/** Spreads bytes over time: whoever wants to send waits until its bytes fit the rate. */
import type { Clock } from '../../clock.ts'
import { unlessAborted } from '../../deadline.ts'

/** A rate with a burst. */
export interface PaceInit {
  readonly bytesPerSecond: number
  /** Bytes that go at once before the rate counts. */
  readonly burstBytes: number
  /** Callers that may wait. */
  readonly waitersMax: number
}

/** A token bucket. */
export class Pace {
  readonly #clock: Clock
  readonly #init: PaceInit
  /** When everything promised so far has gone out, monotonic milliseconds. */
  #busyUntilMs = 0
  #waiting = 0

  constructor(clock: Clock, init: PaceInit) {
    this.#clock = clock
    this.#init = init
  }

  /** Resolves with true when so many bytes may go; at once with false when too many wait. */
  async take(bytes: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { bytesPerSecond, burstBytes, waitersMax } = this.#init
    const nowMs = this.#clock.monotonicMs()
    const waitMs = Math.max(this.#busyUntilMs - nowMs, 0) - (burstBytes / bytesPerSecond) * 1_000
    if (waitMs > 0 && this.#waiting >= waitersMax) return false
    this.#busyUntilMs = Math.max(this.#busyUntilMs, nowMs) + (bytes / bytesPerSecond) * 1_000
    if (waitMs <= 0) return true
    this.#waiting += 1
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#clock.after(waitMs, resolve)
    try {
      await unlessAborted(promise, signal)
      return true
    } finally {
      cancel()
      this.#waiting -= 1
    }
  }
}
