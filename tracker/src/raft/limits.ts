/** The named limits of the Raft core, each with its reason. Those that are settings are defaults of `RaftConfig`. */

/** Limits of one group. */
export const raftLimits = {
  /** Encoded bytes of entries in one append: large enough to fill a disk sync, small enough that a loss costs little. */
  messageBytesMax: 1024 * 1024,
  /** Appends on their way to one follower: at 1 ms between syncs this covers a round trip of a quarter second. */
  inflightMessagesMax: 256,
  /** Bytes on their way to one follower: keeps a slow line from holding the leader's memory. */
  inflightBytesMax: 16 * 1024 * 1024,
  /** Bytes proposed and not yet committed: beyond it a leader without a quorum would only fill its memory. */
  uncommittedBytesMax: 64 * 1024 * 1024,
  /** Encoded bytes handed out for applying at once: bounds how long one batch holds up the next. */
  committedBytesMax: 4 * 1024 * 1024,
  /** Reads that wait for a quorum or for the first commit of a term; further ones are dropped, callers ask again. */
  pendingReadsMax: 65_536,
} as const
