/** Bounds of fetching objects from other peers: time, memory, second requests, and when a peer is left alone. */

const KiB = 1024
const MiB = 1024 * KiB

/** Fetches of objects. */
export const fetchLimits = {
  /** Bytes of objects that are under way, over all fetches. */
  bytesInFlightMax: 256 * MiB,
  /** Callers that wait for objects, over all fetches. */
  waitersMax: 20_000,
  /** Providers of one object that are asked. */
  providersMax: 20,
  /** Silence of a peer, from a request on, before its answer's head; connecting is part of it. */
  headMsMax: 5_000,
  /** Time for a request to get its turn at a busy peer, and its head. */
  waitMsMax: 60_000,
  /** Time for a body, besides what its size takes at `bytesPerSecondMin`. */
  bodyMsBase: 2_000,
  /** A provider slower than this is worse than none: 1 Mbit/s, for each of the objects that come from it at once. */
  bytesPerSecondMin: 128 * KiB,
  /** A second provider is asked after the 95th percentile of the first one's latencies, kept between these. */
  hedgeMsMin: 20,
  hedgeMsMax: 1_000,
  /** The same for a peer of which too little is known. */
  hedgeMsDefault: 300,
  hedgeSamplesMin: 8,
  /** Latencies of one peer that are kept. */
  latencySamplesMax: 64,
  /** Second requests for each first one, in the long run. */
  hedgeShareMax: 0.05,
  /** Second requests that may follow each other after a quiet time. */
  hedgeBurstMax: 10,
  /** Peers whose latencies and failures are kept; the one unused for the longest goes. */
  peersMax: 4_096,
  /** Last bytes of what a stream's reader asked for, which it gets when the whole object is verified. */
  withheldBytes: 64 * KiB,
  /** One piece that a stream's reader gets. */
  readBytesMax: 256 * KiB,
  /** Memory taken for an object before any of it has come; beyond this it grows with what comes. */
  firstBufferBytes: 1 * MiB,
} as const

/** When a peer is left alone. */
export const fetchBreakerLimits = {
  /** Failures, each success halving their number, after which it is. */
  failuresMax: 5,
  keptShare: 0.5,
  /** How long the first time; doubles each time that it fails again, up to the next. */
  retryMsMin: 1_000,
  retryMsMax: 5 * 60_000,
  /** Whoever sends what does not match its digest is left alone as if it had failed this many times over: half a minute. */
  lieOpenings: 6,
} as const
