/**
 * Time as a component, so that a simulation can drive it. Nothing in the tracker reads a clock or starts a timer except through a
 * {@link Clock}. The shape is that of the program's own clock, so either fits.
 */

/** Stops a timer that has not fired; stopping one that has is harmless. */
export type CancelTimer = () => void

/** Wall time, monotonic time and timers. */
export interface Clock {
  /** Wall time in milliseconds since the Unix epoch. May jump when the system clock is set. */
  now(): number
  /** Milliseconds since an arbitrary start; never goes back, and stands still while the machine sleeps. */
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
