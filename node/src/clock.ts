/**
 * Time as a component, so that tests and simulations can drive it. No room of the peer reads
 * `Date.now()` or starts a timer except through a {@link Clock}; only the process around it (commands, the bound of a stop, the
 * test stream's child) does.
 */

/** Stops a timer that has not fired; stopping one that has is harmless. */
export type CancelTimer = () => void

/** Wall time, monotonic time and timers. */
export interface Clock {
  /** Wall time in milliseconds since the Unix epoch. May jump when the system clock is set. */
  now(): number
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number
  /** Calls `callback` once after `delayMs`; the timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): CancelTimer
}

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
