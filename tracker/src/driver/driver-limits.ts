/** The named limits of the driver, each with its reason. Those that are settings are defaults of `DriverInit`. */

const MIB = 1024 * 1024

/** Limits of one driver. */
export const driverLimits = {
  /** Ticks of an election timeout T, and between heartbeats: two heartbeats may be late before anybody thinks of an election. */
  electionTicks: 5,
  heartbeatTicks: 2,
  /** Shortest T: below it the timers of a busy machine elect for no reason. */
  electionMsMin: 50,
  /** Longest T: beyond it a group without a leader is worse than one election too many. */
  electionMsMax: 1_000,
  /** T of a leader of whom nothing was asked for a while: heartbeats are most of what an idle region does. */
  electionMsIdle: 250,
  /** That while: beyond it whoever asks next hardly minds a slower failover. */
  idleAfterMs: 10_000,
  /** Lag and round trips are the worst but one of the last one to two of these: one stall alone tells nothing of the next. */
  timingWindowMs: 1_000,
  /** What a start counts as lag for one to two of those windows: code is compiled and files are read then. */
  firstLagMs: 50,
  /** How often T is worked out anew: measuring is cheap, looking at all lines each turn is not. */
  timingRefreshMs: 200,
  /** A command: a transaction of the largest size with room for its frame; an append carries it whole. */
  commandBytesMax: 2 * MIB,
  /** Proposals of one group that wait for their outcome. */
  proposalsMax: 16_384,
  /** Their bytes, per group. */
  proposalBytesMax: 32 * MIB,
  /**
   * For how long proposals in the log outlive the leadership that they were made in. What becomes of them is known when the first entry
   * of another leader comes, so this is for the longest T twice: an election that fails, one that does not, and a machine too busy for
   * either. Whoever has heard nothing by then is cut off, and its callers are better off looking elsewhere.
   */
  keptMs: 2_000,
  /** Commands handed to the core at once: they are arguments of one call. */
  proposalsAtOnce: 4_096,
  /** Barriers of one group that wait. */
  barriersMax: 65_536,
  /** A frame is sent when it grew beyond this: half of what a line takes, so that one more append still fits. */
  frameBytesHigh: 4 * MIB,
  /** A frame's buffer that grew beyond this is given back. */
  frameBytesKept: MIB,
  /** Frames that came and were not looked at yet; beyond it this thread is too slow, and the core asks again for what is dropped. */
  inboxBytesMax: 64 * MIB,
  /** Members that one group's directory holds: far above what a group can work with. */
  directoryMax: 128,
  /** A libp2p peer id as text. */
  peerIdBytesMax: 256,
  /** Members whom no directory names yet and who spoke to a group: a leader and its successors while this member catches up. */
  strangersMax: 16,
  /** A group's snapshot after that many entries, or bytes of them: bounds the start and the log. */
  snapshotEntries: 20_000,
  snapshotEntryBytes: 32 * MIB,
  /** Entries behind a snapshot that stay in memory, and their bytes, for followers that are a little slow: an append is cheaper than a snapshot. */
  tailEntries: 2_000,
  tailBytes: 4 * MIB,
  /** Segments of the log from which on groups that hold the oldest one are asked for a snapshot. */
  segmentsHigh: 3,
  /** One piece of a snapshot on its way. */
  pieceBytes: 256 * 1024,
  /** Pieces on their way that the receiver has not confirmed. */
  piecesInFlight: 4,
  /** Snapshots that are sent at a time: each is held in memory whole. */
  sendsMax: 2,
  /** Snapshots that wait to be sent; for more the core tries again. */
  sendsWaitingMax: 64,
  /** Snapshots that come in at a time. */
  receiptsMax: 4,
  /** Their bytes in memory together. */
  receiptBytesMax: 512 * MIB,
  /** A snapshot on its way of which nothing is heard is given up. */
  transferIdleMs: 10_000,
  /** A piece that the line did not take is tried again after this long. */
  pieceRetryMs: 50,
  /** A full disk is tried again after the first, at last every second of these. */
  fullRetryMsMin: 250,
  fullRetryMsMax: 5_000,
} as const
