/** The named limits of the tracker's thread, each with its reason. */
export const workerLimits = {
  /**
   * Wait before a thread that ended by itself is followed by another; doubles with each one in a row. The first is about what a member
   * needs to come back from its log, so that a single defect costs little more than a start.
   */
  restartMsMin: 500,
  restartMsMax: 60_000,
  /** Threads in a row that end by themselves before the tracker gives up: by then it is not chance, and a person must look. */
  restartsMax: 8,
  /** A thread that lived so long has nothing to do with those before it. */
  steadyMs: 600_000,
} as const
