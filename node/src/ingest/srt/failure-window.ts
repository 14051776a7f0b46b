/**
 * Remembers refused handshakes by address, so that one host can try only so many stream keys and passphrases a minute.
 */
import { addressGroup } from '../../address-group.ts'
import type { Clock } from '../../clock.ts'
import { srtLimits } from '../../limits/srt.ts'

interface Window {
  readonly sinceMs: number
  count: number
}

/** Counts failures of each address within `srtLimits.failureWindowMs`. */
export class FailureWindow {
  readonly #clock: Clock
  readonly #windows = new Map<string, Window>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True when this address has failed too often to be heard now. */
  isFull(address: string): boolean {
    const group = addressGroup(address)
    const window = this.#windows.get(group)
    if (window === undefined) return false
    if (this.#clock.monotonicMs() - window.sinceMs >= srtLimits.failureWindowMs) {
      this.#windows.delete(group)
      return false
    }
    return window.count >= srtLimits.failuresPerAddressMax
  }

  /** Counts a failure. */
  add(address: string): void {
    if (this.isFull(address)) return
    const group = addressGroup(address)
    const window = this.#windows.get(group)
    if (window !== undefined) {
      window.count += 1
      return
    }
    if (this.#windows.size >= srtLimits.failureAddressesMax) {
      for (const oldest of this.#windows.keys()) {
        this.#windows.delete(oldest)
        break
      }
    }
    this.#windows.set(group, { sinceMs: this.#clock.monotonicMs(), count: 1 })
  }
}
