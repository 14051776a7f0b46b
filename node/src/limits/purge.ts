/** Bounds of purges: how large, how many, how often, and how long anybody waits for them. */

const KiB = 1024
const MiB = 1024 * KiB

/** Purges of cached responses. */
export const purgeLimits = {
  /** One signed purge; a URL of 8,192 characters and room to spare. */
  purgeBytesMax: 40 * KiB,
  /** The same with its signature, as the log of a region keeps it. */
  signedBytesMax: 41 * KiB,
  /** One request: a purge, or all that a peer knows of every issuer. */
  requestBytesMax: 1 * MiB,
  /** One answer. */
  answerBytesMax: 4 * MiB,
  /** Bytes of missed purges in one answer. */
  pageBytesMax: 1 * MiB,
  /** Missed purges in one answer; their signatures cost about 0.15 ms each. */
  pagePurgesMax: 256,
  /** Answers that one catching up asks for; what is missing then comes with the next one. */
  pagesMax: 128,
  /** Missed purges that come at once and are carried out one by one; more than these are carried out as one of everything. */
  oneByOneMax: 64,
  /** Purges kept for peers that were away; beyond it the oldest go, and who lacks them must forget all that it has cached. */
  logPurgesMax: 10_000,
  /** Part of the log that a compaction leaves, so that not each purge is one. */
  logKeepShare: 0.75,
  /** Size of the log on disk at which it is written anew. */
  logFileBytesMax: 64 * MiB,
  /** Age at which a purge leaves the log; a peer that was away for longer forgets all that it has cached. */
  logAgeMsMax: 7 * 24 * 3_600_000,
  /** Issuers and their epochs; purges of further ones are refused until the oldest have aged. */
  originsMax: 4_096,
  /** Age since the last purge at which an issuer's epoch is forgotten to make room; longer than any peer's way back. */
  originAgeMsMax: 4 * 7 * 24 * 3_600_000,
  /** Issuers that are not believed here, remembered so that their purges are not sent again and again. */
  ignoredOriginsMax: 1_024,
  /** How far a purge may run ahead of those that are known of its issuer. */
  aheadMax: 1_024,
  /** Purges beyond a missing one in a state; those of one answer may come on top of {@link purgeLimits.aheadMax}. */
  beyondMax: 2_048,
  /** Purges that this peer makes at once, and then each second. */
  ownBurst: 200,
  ownPerSecond: 50,
  /** Purges taken from one issuer; above what an honest one makes, whatever the network does to their spacing. */
  issuerBurst: 400,
  issuerPerSecond: 75,
  /** Purges taken from all issuers together. */
  allBurst: 1_600,
  allPerSecond: 300,
  /** Issuers whose rate is remembered. */
  ratedIssuersMax: 4_096,
  /** Time that the caller of a purge waits for the last peer. */
  deadlineMs: 5_000,
  /** Peers that are sent a purge at the same time. */
  sendsMax: 256,
  /** Time without a purge after which the stream to a peer is closed; shorter than {@link purgeLimits.streamIdleMs}. */
  channelIdleMs: 60_000,
  /** One exchange about what was missed. */
  exchangeTimeoutMs: 5_000,
  /** Streams of other peers that are open, in all and for each; a connected peer needs one. */
  streamsMax: 1_024,
  streamsPerPeerMax: 4,
  /** Time without a request after which a stream of another peer is cut. */
  streamIdleMs: 90_000,
  /** Questions of one peer about what it has missed: at once, and then each second. */
  questionsBurst: 64,
  questionsPerSecond: 8,
  /** Time between questions to some peer, so that a message that was lost is found. */
  syncIntervalMs: 5_000,
  /** Peers that are asked at the same time. */
  syncsMax: 8,
  /** Time without a good answer of anybody after which a peer that has neighbours no longer trusts its cache. */
  inTouchMsMax: 15_000,
  /** Wait for a neighbour after the start, or for one that knows more, before this peer believes that there is none. */
  aloneMs: 3_000,
  /** Wait for neighbours that are there and do not answer. */
  unansweredMs: 30_000,
  /** Wait for the answer of a neighbour that has just come, before the cache is trusted. */
  hearOutMsMax: 1_000,
  /** Neighbours that are waited for at once, and then each second; so those that come and never answer cost a fifth of the time. */
  hearOutsBurst: 64,
  hearOutsPerSecond: 0.2,
  /** How often the peer looks whether it was paused. */
  tickMs: 250,
  /** A tick that comes later than this tells of a pause in which purges may have passed. */
  pauseMs: 2_000,
  /** How often the time at which nothing was missed is noted on disk. */
  inTouchNoteMs: 10 * 60_000,
  /** A peer that was alive so short a while ago may come back with all that it has cached; a purge is not done everywhere before it has. */
  awayMsMax: 15 * 60_000,
  /** Peers that are remembered for that; the one seen longest ago goes. More than a catalog holds, or each look at it would push some out. */
  membersMax: 16_384,
  /** Purges of which it is remembered how many responses they took here; more than are on their way at once. */
  tookMax: 1_024,
  /** Own purges whose reports are kept. */
  reportsMax: 100,
  /** Time for which peers that have not acknowledged are asked again, beyond the caller's wait. */
  lateMsMax: 10 * 60_000,
  /** Wait for the region's log after the start, or when purges may have been missed; then what neighbours say has to do. */
  regionWaitMs: 10_000,
  /** Time for which the answer to a purge waits for the region's log to have it. */
  regionWriteMs: 2_000,
  /** Wait before own purges that the region did not take are written again. */
  regionRetryMs: 1_000,
  /** Time for which a look at what has become of purges waits for peers that are asked. */
  refreshMs: 1_000,
  /** Issuers in a stamp; with more of them a stamp only says whether two peers know the same. */
  stampOriginsMax: 128,
  /** Characters of a stamp that another peer sends. */
  stampCharsMax: 16 * KiB,
} as const
