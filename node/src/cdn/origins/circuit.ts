/**
 * A circuit breaker: after some failures in a row an origin is left alone for a while, so that requests for a dead one fail at
 * once. Then a single request tries it; its outcome decides for all.
 */
import { backoffMs } from '../../backoff.ts'
import type { Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { originCircuitLimits as limits } from '../../limits/cdn-origins.ts'

/** What a circuit is built on. */
export interface CircuitComponents {
  readonly clock: Clock
  /** 0 to 1. */
  readonly random: () => number
}

/** How an attempt ended; `abandoned` says nothing of the origin: whoever asked has gone. */
export type AttemptOutcome = 'succeeded' | 'failed' | 'abandoned'

/** One request on its way to the origin. */
export interface Attempt {
  /** Says how it ended; only the first word counts. */
  readonly end: (outcome: AttemptOutcome) => void
}

/** Counts failures in a row. */
export class Circuit {
  readonly #clock: Clock
  readonly #random: () => number
  #failures = 0
  /** Monotonic time before which nobody tries; undefined while the circuit is closed. */
  #closedUntilMs: number | undefined
  #probe: Attempt | undefined

  constructor(components: CircuitComponents) {
    this.#clock = components.clock
    this.#random = components.random
  }

  /** True while requests are refused, a trial under way or not. */
  get isOpen(): boolean {
    return this.#closedUntilMs !== undefined
  }

  /** @throws KairoError `ERR_NO_PROVIDER` while the origin is left alone. */
  begin(): Attempt {
    const attempt: Attempt = { end: (outcome) => this.#end(attempt, outcome) }
    if (this.#closedUntilMs === undefined) return attempt
    const waitMs = this.#closedUntilMs - this.#clock.monotonicMs()
    if (waitMs > 0 || this.#probe !== undefined) {
      throw new KairoError('ERR_NO_PROVIDER', 'the origin does not answer; it is tried again soon')
    }
    this.#probe = attempt
    return attempt
  }

  #end(attempt: Attempt, outcome: AttemptOutcome): void {
    const isProbe = this.#probe === attempt
    if (isProbe) this.#probe = undefined
    if (outcome === 'succeeded') {
      this.#failures = 0
      this.#closedUntilMs = undefined
    } else if (outcome === 'failed' && (isProbe || !this.isOpen)) {
      // Those that were under way when the circuit opened fail after it; they are the same failure.
      this.#failures += 1
      const beyond = this.#failures - limits.failuresMax
      if (beyond >= 0) {
        this.#closedUntilMs = this.#clock.monotonicMs() + backoffMs(limits, beyond, this.#random)
      }
    }
  }
}
