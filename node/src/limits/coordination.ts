/** Bounds of the lines between the trackers of a region. */

const KiB = 1024
const MiB = 1024 * KiB

/** Lines to other peers, one a lane and direction. */
export const lineLimits = {
  /** Frames that wait for one peer on one lane, bytes: two of the largest of the lane. */
  queuedBytesMax: { raft: 16 * MiB, bulk: 4 * MiB, call: 8 * MiB },
  /** Frames that wait for one peer on one lane: beyond it nobody waits for the answers any more. */
  queuedFramesMax: 16_384,
  /** Frames that wait for all peers together. */
  queuedBytesTotalMax: 128 * MiB,
  /**
   * A line may hold this share of what is free of that, so that many peers that read nothing leave room for the others;
   * and at least so many bytes.
   */
  freeShareMax: 0.25,
  fairBytesMin: 64 * KiB,
  /** Lines out that are remembered: three lanes to as many peers as a host has connections to, and some that are gone. */
  linesMax: 2_048,
  /** Small frames are put together into writes of up to this; larger ones go without being copied. */
  writeBytesMax: 128 * KiB,
  /** Frames of other peers that are not whole yet, bytes of all lines: the one that has been at its frame longest gives way. */
  partialBytesTotalMax: 128 * MiB,
  /** Streams of one peer at once, and of all: two lanes of Raft and one of calls, and those that they take the place of. */
  streamsPerPeerMax: 8,
  streamsMax: 4_096,
  /** The first buffer of a frame; more only comes with the bytes. */
  firstBufferBytesMax: 64 * KiB,
  /** Frames and bytes that one peer may bring on one lane in a {@link lineLimits}.paceMs; then its line is not read until that is over. */
  paceMs: 100,
  framesPerPaceMax: 5_000,
  bytesPerPaceMax: 16 * MiB,
  /** Opening a line, with the dial that it may need. */
  openMsMax: 5_000,
  /** A write that the other side does not take, and a frame of which no more comes: the line is broken off after that. */
  stallMsMax: 10_000,
  /** Time between two looks for such lines. */
  sweepMs: 1_000,
  /** First wait after a line could not be opened; doubles up to the next. A new connection ends the wait. */
  retryMsMin: 50,
  retryMsMax: 5_000,
  /** A line that stood this long begins anew with the first wait. */
  steadyMs: 1_000,
  /** Share of those waits that is random. */
  retryJitterShare: 0.5,
  /** How long a link counts as broken after one of its lines broke while the connection stands. */
  blipMs: 500,
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
