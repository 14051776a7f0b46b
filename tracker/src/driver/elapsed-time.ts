/**
 * How much time has passed, for leases: the larger of what two clocks say. The monotonic one stands still while a machine sleeps, the
 * wall clock may be set back.
 */
import type { Clock } from '../clock.ts'

/** Measures from one call to the next. */
export class ElapsedTime {
  readonly #clock: Clock
  #monotonicMs: number
  #wallMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#monotonicMs = clock.monotonicMs()
    this.#wallMs = clock.now()
  }

  /** Milliseconds since the last call. */
  take(): number {
    const monotonicMs = this.#clock.monotonicMs()
    const wallMs = this.#clock.now()
    const passed = Math.max(monotonicMs - this.#monotonicMs, wallMs - this.#wallMs, 0)
    this.#monotonicMs = monotonicMs
    this.#wallMs = wallMs
    return passed
  }
}
