/** Allows second requests up to a share of the first ones, so that a network that is slow everywhere is not asked twice for all. */
import { fetchLimits } from '../../limits/fetch.ts'

/** A bucket that each first request fills a little. */
export class HedgeBudget {
  #tokens = 1

  /** A first request went out. */
  earn(): void {
    this.#tokens = Math.min(this.#tokens + fetchLimits.hedgeShareMax, fetchLimits.hedgeBurstMax)
  }

  /** True when a second request may go out; it is counted. */
  spend(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** The request that was to go out did not. */
  refund(): void {
    this.#tokens += 1
  }
}
