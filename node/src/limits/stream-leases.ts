/** Bounds of owning streams through the tracker of the region. */

/** The lease of one stream, and the numbers reserved with it. */
export const streamLeaseLimits = {
  /** After this another peer may own the stream of one that was killed: short for viewers, above the slowest elections. */
  ttlMs: 3_000,
  /** Time for the region to answer before a publisher is taken unconfirmed: an election of the slowest kind. */
  answerMsMax: 1_000,
  /**
   * How long a publisher waits for the lease of an owner that cannot be reached. The killed peer may have led the group that keeps the
   * lease: an election, and the whole lease that a new leader gives, on a machine that is busy.
   */
  waitMsMax: 8_000,
  /** Wait after the region gave no answer, while a publisher waits: a peer that just started is in its region within a moment. */
  askAgainMs: 200,
  /** The same once the publisher is taken unconfirmed; the region is asked again for as long as the stream is published. */
  retryMs: 1_000,
  /** Attempts to take over from an owner that is gone, or was this peer before a restart; then it is refused. */
  takeoversMax: 4,
  /** Media sequence numbers reserved in the region ahead of use; a peer that takes over after a crash begins above them. */
  sequenceBlock: 64,
  /** A value of the region beyond this is not one of ours. */
  valueBytesMax: 1_024,
  /** Letting a stream go at the end of the peer; what is not let go then runs out. */
  releaseMsMax: 1_000,
} as const

/** Looking up who owns streams, for an operator. */
export const streamOwnerLimits = {
  /** Streams in one look: each is a question to a leader. */
  streamsMax: 50,
  /** Time for the region to answer; an operator looks on while it does not, and the next look asks again. */
  answerMsMax: 1_500,
} as const
