/** Bounds of the lines between the trackers of a region over the host's streams; those of frames are the tracker's own (`frameLimits`). */

/** Lines to other peers, one a lane and direction. */
export const lineLimits = {
  /** Lines out that are remembered: three lanes to as many peers as a host has connections to, and some that are gone. */
  linesMax: 2_048,
  /** Streams of one peer at once, and of all: two lanes of Raft and one of calls, and those that they take the place of. */
  streamsPerPeerMax: 8,
  streamsMax: 4_096,
  /** Opening a line, with the dial that it may need. */
  openMsMax: 5_000,
  /** First wait after a line could not be opened; doubles up to the next. A new connection ends the wait. */
  retryMsMin: 50,
  retryMsMax: 5_000,
  /** A line that stood this long begins anew with the first wait. */
  steadyMs: 1_000,
  /** Share of those waits that is random. */
  retryJitterShare: 0.5,
} as const

/** Introductions of trackers to one another. */
export const introductionLimits = {
  /** One question and its answer, over a connection that stands. */
  askMsMax: 5_000,
} as const

/** The life of the tracker. */
export const coordinationServiceLimits = {
  /** Time between two looks at what the tracker counts, and at what this peer tells of itself. */
  roundMs: 5_000,
  /** Change of the load from which it is told. */
  loadStep: 0.1,
  /** Figures that become metrics. */
  figuresMax: 256,
  /**
   * One look at the whole region, for an operator. Without a quorum the members' list and the questions to members that are gone run into
   * their limits, and it is then that the operator must know who they are.
   */
  viewMsMax: 8_000,
  /** One question to etcd, for an operator. */
  probeMsMax: 2_000,
  /** Time for an orderly stop: what it leads is handed over. */
  stopMsMax: 4_000,
} as const
