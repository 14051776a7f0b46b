/** Slows down whoever guesses credentials: too many failures from one address and it is refused unheard for a while. */
import { addressGroup } from '../address-group.ts'
import type { Clock } from '../clock.ts'
import { httpLimits } from '../limits.ts'

interface Failures {
  count: number
  untilMs: number
}

/** Counts failures by address over a fixed window; remembers a bounded number of addresses. */
export class FailureLimiter {
  readonly #clock: Clock
  readonly #failures = new Map<string, Failures>()

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** Milliseconds until the address may try again; 0 when it may now. */
  waitMs(address: string): number {
    const failures = this.#failures.get(addressGroup(address))
    if (failures === undefined || failures.count < httpLimits.authFailuresMax) {
      return 0
    }
    return Math.max(0, failures.untilMs - this.#clock.monotonicMs())
  }

  /** Notes one failure. */
  fail(address: string): void {
    const nowMs = this.#clock.monotonicMs()
    const group = addressGroup(address)
    const known = this.#failures.get(group)
    if (known !== undefined && known.untilMs > nowMs) {
      known.count += 1
      return
    }
    this.#failures.delete(group)
    if (this.#failures.size >= httpLimits.authFailureAddressesMax) {
      const oldest = this.#failures.keys().next().value
      this.#failures.delete(oldest as string)
    }
    this.#failures.set(group, { count: 1, untilMs: nowMs + httpLimits.authFailureWindowMs })
  }
}
