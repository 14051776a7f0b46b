/** Bounds of pulling streams from other servers: time-outs, retries, and what is taken of a source. */

/** One pulled stream. */
export const pullLimits = {
  /** Time to connect to a source and to learn what it sends; cameras wake up slowly. */
  openTimeoutMs: 15_000,
  /** Time that a source may send nothing, after which the connection is given up. */
  readTimeoutMs: 10_000,
  /** Media that FFmpeg looks at, microseconds, to learn what the source sends. */
  analyzeUsMax: 3_000_000,
  /** The same in bytes. */
  probeBytesMax: 5_000_000,
  /** Sound tracks of one source that are taken. */
  audioTracksMax: 8,
  /** Streams that a source may declare; more is no source for viewers. */
  sourceStreamsMax: 64,
  /** Damaged reads in a row after which a source is given up. */
  readErrorsMax: 20,
  /** A decoding time that goes back by less than this is damage, by more a new beginning; 1/90000 s. */
  backwardTicksMax: 90_000,
  /** Bit rate of sound that is encoded because players do not take the source's codec. */
  aacBitrateBps: 128_000,
  /** Wait before the second attempt; doubles with each failure in a row. */
  retryMsMin: 1_000,
  /** Longest wait: a camera that comes back is seen within a minute. */
  retryMsMax: 60_000,
  /** Part of a wait that is random, so that a hundred cameras of one place do not come back at once. */
  retryJitterShare: 0.3,
  /** Wait after another publisher took the stream, or an operator ended it. */
  replacedMs: 60_000,
  /** Pulling for this long makes the next failure a first one. */
  healthyMs: 20_000,
  /** Time over which the bit rate is measured. */
  rateWindowMs: 2_000,
  /** Configurations and units that may come although reading is paused, while other peers are asked for the stream. */
  heldMax: 2_048,
  /** Characters of a failure's reason that are shown. */
  reasonCharsMax: 300,
} as const
