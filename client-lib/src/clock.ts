/** Time as a component, so that tests and the simulator drive it. */

/** Takes a timer back. */
export type CancelTimer = () => void

/** A clock. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  nowMs(): number
  /** Calls back once, after so many milliseconds. */
  after(ms: number, callback: () => void): CancelTimer
}

/** The browser's. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
