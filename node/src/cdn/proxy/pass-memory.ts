/** Keys whose last response could not be kept: their requests do not wait for each other, since each is likely to need an answer of its own. */
import { cdnLimits } from '../../limits/cdn.ts'

/** Remembers keys for a while. */
export class PassMemory {
  readonly #clock: { monotonicMs(): number }
  /** Until when, in monotonic milliseconds; the oldest first. */
  readonly #until = new Map<string, number>()

  constructor(components: { readonly clock: { monotonicMs(): number } }) {
    this.#clock = components.clock
  }

  add(key: string): void {
    this.#until.delete(key)
    if (this.#until.size >= cdnLimits.passKeysMax) {
      const [oldest] = this.#until.keys()
      if (oldest !== undefined) this.#until.delete(oldest)
    }
    this.#until.set(key, this.#clock.monotonicMs() + cdnLimits.passMs)
  }

  has(key: string): boolean {
    const untilMs = this.#until.get(key)
    if (untilMs === undefined) return false
    if (untilMs > this.#clock.monotonicMs()) return true
    this.#until.delete(key)
    return false
  }
}
