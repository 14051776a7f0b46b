/** How long to wait before something that failed is tried again. Pure. */

/** The bounds of waits, from the limits of the room that tries again. */
export interface BackoffBounds {
  /** Wait after the first failure; doubles with each one in a row. */
  readonly retryMsMin: number
  readonly retryMsMax: number
  /** Part of a wait that is random, so that many who failed together do not come back together. Default 0. */
  readonly retryJitterShare?: number
}

/**
 * The wait in milliseconds after so many failures in a row before this one, 0 for the first.
 * @param random gives 0 to 1; needed where there is a share of it.
 */
export function backoffMs(
  { retryMsMin, retryMsMax, retryJitterShare = 0 }: BackoffBounds,
  failuresBefore: number,
  random: () => number = () => 0,
): number {
  const wholeMs = Math.min(retryMsMax, retryMsMin * 2 ** failuresBefore)
  return wholeMs * (1 - retryJitterShare * random())
}
