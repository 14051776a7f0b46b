/** The named limits of lines between trackers, each with its reason. What both kinds of lines share is here, too. */

const KiB = 1024
const MiB = 1024 * KiB

/** Of frames, whatever carries them. */
export const frameLimits = {
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
  /** Small frames are put together into writes of up to this; larger ones go without being copied. */
  writeBytesMax: 128 * KiB,
  /** Frames of other peers that are not whole yet, bytes of all lines: the one that has been at its frame longest gives way. */
  partialBytesTotalMax: 128 * MiB,
  /** The first buffer of a frame; more only comes with the bytes. */
  firstBufferBytesMax: 64 * KiB,
  /** Frames and bytes that one peer may bring on one lane in a {@link frameLimits}.paceMs; then its line is not read until that is over. */
  paceMs: 100,
  framesPerPaceMax: 5_000,
  bytesPerPaceMax: 16 * MiB,
  /** A write that the other side does not take, and a frame of which no more comes: the line is broken off after that. */
  stallMsMax: 10_000,
  /** Time between two looks for such lines. */
  sweepMs: 1_000,
  /** How long a link counts as broken after one of its lines broke while the connection stands. */
  blipMs: 500,
} as const

/** Of direct lines. */
export const directLimits = {
  /** Peers with a direct line, or on the way to one. A line is three sockets, some 100 KiB each; what is beyond goes over the host's streams. */
  linesMax: 64,
  /** Frames to a peer on the call lane before a direct line to it is worth having; one on a lane of Raft is enough. */
  callsBeforeLine: 64,
  /** Connections that have not said yet whose they are. */
  strangersMax: 64,
  /** From an invitation to the line that stands, and each handshake of it. */
  openMsMax: 5_000,
  /** First wait after no line came about; doubles up to the next. A new connection ends the wait. */
  retryMsMin: 1_000,
  retryMsMax: 60_000,
  /** Share of those waits that is random, so that two peers do not ask each other at the same time for ever. */
  retryJitterShare: 0.5,
  /** A line that stood this long begins anew with the first wait. */
  steadyMs: 10_000,
  /** A socket that is silent says that it is there this often… */
  beatSweeps: 5,
  /** …and is broken off after so long without a word: some way between the two swallows everything. */
  silentSweepsMax: 15,
  /** What came before on the host's streams is waited for so long, then the line goes on without it. */
  gateMs: 2_000,
} as const
