/** Slows down whoever guesses secrets: too many failures from one address and it is refused unheard for a while. */
import { addressGroup } from './address-group.ts'
import type { Clock } from './clock.ts'

/** The bounds of a limiter, from the limits of the room that has it. */
export interface FailureLimiterInit {
  /** Failures of one address within the window. */
  readonly failuresMax: number
  /** Length of the window; it begins with an address's first failure. */
  readonly windowMs: number
  /** Addresses that are remembered; the oldest goes. */
  readonly addressesMax: number
}

interface Failures {
  count: number
  readonly untilMs: number
}

/** Counts failures by address over a fixed window; remembers a bounded number of addresses. */
export class FailureLimiter {
  readonly #clock: Clock
  readonly #init: FailureLimiterInit
  readonly #failures = new Map<string, Failures>()

  constructor(components: { readonly clock: Clock }, init: FailureLimiterInit) {
    this.#clock = components.clock
    this.#init = init
  }

  /** Milliseconds until the address may try again; 0 when it may now. */
  waitMs(address: string): number {
    const failures = this.#failures.get(addressGroup(address))
    if (failures === undefined || failures.count < this.#init.failuresMax) return 0
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
    const [oldest] = this.#failures.keys()
    if (this.#failures.size >= this.#init.addressesMax && oldest !== undefined) {
      this.#failures.delete(oldest)
    }
    this.#failures.set(group, { count: 1, untilMs: nowMs + this.#init.windowMs })
  }
}
