/** Bounds of a log that the peers of a region share. */

const MiB = 1024 * 1024

/** What is kept, and how often the region is asked. */
export const regionLogLimits = {
  /** Entries kept; beyond it the oldest go. Whoever lacks more than a few dozen does no better with each of them than with none. */
  entriesMax: 1_024,
  /** Bytes of them: every peer holds them in memory, and a peer that comes back reads them all. */
  bytesMax: 4 * MiB,
  /** Part of both that trimming leaves, so that not each entry is followed by one. */
  keepShare: 0.75,
  /** Entries that one transaction trims, with its conditions below the steps that it may have. */
  trimBatchMax: 100,
  /** Entries that one transaction adds: it has a condition, a put and a get for each. */
  addBatchMax: 16,
  /** Pages of the whole log: room for what is kept and for the peers that follow; more was put there by somebody who means harm. */
  pagesMax: 32,
  /** Peers that follow and are remembered as such; more than regions have. */
  membersMax: 16_384,
  /** Wait before a region that gave no answer is asked again. */
  retryMs: 500,
  /** Time for one call. */
  callMs: 2_000,
  /** Part of its lease's time after which a follower renews it. */
  renewShare: 0.25,
  /** Saying goodbye at the end of the peer; a lease that is not let go then runs out. */
  releaseMsMax: 1_000,
} as const
