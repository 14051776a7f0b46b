/** The figures of the line to the edge; times in milliseconds. */
export const signallingLimits = {
  /** From the first try to `welcome`; an edge that is slower than that is of no use for leases. */
  openMsMax: 5_000,
  /** The wait after the first failure, doubled with each one in a row; half of it is random, so that the viewers of an edge that died spread. */
  retryMsMin: 500,
  retryMsMax: 30_000,
  /** The wait when the swarm is full. */
  fullRetryMs: 60_000,
  /** A line that was open for so long was a good one: the waits begin anew. */
  stableMs: 10_000,
  /** What may wait in the socket, bytes: an edge that takes less than some minutes of what a page says is gone. */
  bufferedBytesMax: 262_144,
  /** An edge that says nothing after so many wants over so long a time is gone; pages see no pings. */
  silentWantsMax: 8,
  silentMs: 10_000,
} as const
