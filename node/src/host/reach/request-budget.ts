/** How often one address may have this peer do something. */
import type { Clock } from '../../clock.ts'
import { autonatLimits } from '../../limits/reach.ts'

/** So many requests in a row of one address, then one each interval. */
export class RequestBudget {
  readonly #clock: Clock
  /** When each address will have its whole burst again. */
  readonly #fullAtMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether one more request of this address is served. */
  take(group: string): boolean {
    const now = this.#clock.monotonicMs()
    const { requestBurstMax, requestIntervalMs, addressesMax } = autonatLimits
    for (const [other, fullAtMs] of this.#fullAtMs) {
      if (fullAtMs <= now) this.#fullAtMs.delete(other)
    }
    const fullAtMs = Math.max(now, this.#fullAtMs.get(group) ?? now) + requestIntervalMs
    if (fullAtMs - now > requestBurstMax * requestIntervalMs) return false
    if (this.#fullAtMs.size >= addressesMax && !this.#fullAtMs.has(group)) return false
    this.#fullAtMs.set(group, fullAtMs)
    return true
  }
}
