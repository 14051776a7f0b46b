/**
 * When a child is replaced that failed. Pure but for the clock's readings that it is handed. The first new child comes at once, for
 * viewers wait; after that waits double, and after some failures in a row the rungs are given up and tried again later.
 */
import { backoffMs } from '../backoff.ts'
import { transcodeLimits as limits } from '../limits/transcode.ts'

const restartBounds = { retryMsMin: limits.restartMsMin, retryMsMax: limits.restartMsMax }

/** What to do after a failure. */
export interface RestartDecision {
  /** `restart`: a new child after the wait. `give-up`: rungs are taken off, and planned anew after the wait. */
  readonly action: 'restart' | 'give-up'
  readonly waitMs: number
  /** True when hardware has failed often enough to be suspected. */
  readonly suspectHardware: boolean
}

/** Counts the failures of one stream's children. */
export class RestartPolicy {
  #failures = 0
  #givenUp = 0
  #stalls = 0

  /** Silence after which the child counts as hanging, milliseconds. */
  get stallMs(): number {
    return Math.min(limits.stallMsMax, limits.stallMs * 2 ** this.#stalls)
  }

  /** A child failed that had lived for `livedMs`. */
  failed(livedMs: number, kind: 'stall' | 'end'): RestartDecision {
    const healthy = livedMs >= limits.healthyMs
    if (healthy) this.#givenUp = 0
    this.#failures = healthy ? 1 : this.#failures + 1
    this.#stalls = kind === 'stall' ? (healthy ? 1 : this.#stalls + 1) : 0
    const suspectHardware = this.#failures >= limits.hardwareFailuresMax
    if (this.#failures < limits.failuresMax) {
      const again = this.#failures - 2
      const waitMs = again < 0 ? 0 : backoffMs(restartBounds, again)
      return { action: 'restart', waitMs, suspectHardware }
    }
    const waitMs = backoffMs(limits, this.#givenUp)
    this.#givenUp += 1
    this.#failures = 0
    this.#stalls = 0
    return { action: 'give-up', waitMs, suspectHardware }
  }
}
