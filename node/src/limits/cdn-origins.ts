/** Bounds of how origins are asked. */

const KiB = 1024

/** HTTP and S3 origins; each bound is one origin's. */
export const httpOriginLimits = {
  /** Requests under way, each on a socket of its own. A cache asks for each object once, so more only means a slow origin. */
  socketsMax: 256,
  /** Sockets kept for the next request. */
  idleSocketsMax: 32,
  /** An idle socket is kept for this long, unless the origin says that it closes earlier. */
  idleSocketMs: 30_000,
  /** Requests that wait for a socket; each is a viewer that waits with it. */
  waitingMax: 1_000,
  /** A request that found no socket in this time gives up. */
  waitMsMax: 10_000,
  /** Time to look up the name, connect and agree on TLS. */
  connectMsMax: 5_000,
  /** Time from the whole request to the whole head of the answer, however slowly it trickles. */
  headMsMax: 30_000,
  /** Silence within a body, either way. */
  stallMsMax: 30_000,
  /** Bytes of a head, all its fields together; likewise of the trailers. */
  headBytesMax: 32 * KiB,
  /** Fields of a head. */
  headFieldsMax: 256,
  /** Informational responses before the answer. */
  informationalMax: 16,
  /** An address that the origin's name was looked up to is used for this long, so that a burst asks the resolver once. */
  lookupMs: 5_000,
  /** Peers of this network that a request may pass, one behind the other, before it is taken for a loop. */
  hopsMax: 8,
} as const

/** When an origin that does not answer is left alone. */
export const originBreakerLimits = {
  /** Failures to connect or to answer in a row after which requests fail at once. */
  failuresMax: 5,
  keptShare: 0,
  /** What an origin sends cannot be checked. */
  lieOpenings: 1,
  /** Then one request tries again after this long; the time doubles with each failure. */
  retryMsMin: 500,
  retryMsMax: 30_000,
  /** Part of it that is random, so that peers do not come back to the origin together. */
  retryJitterShare: 0.5,
} as const

/** Folders. */
export const folderOriginLimits = {
  /** Files open at once. */
  filesMax: 256,
  /** Requests that wait for that. */
  waitingMax: 1_000,
  waitMsMax: 10_000,
  /** Bytes read at a time. */
  readBytes: 256 * KiB,
  /** Names in one path. */
  depthMax: 64,
  /** A file changed within this time may change again without its time of change showing it, so its tag is weak (RFC 9110 8.8.1). */
  settledMs: 2_000,
} as const

/** S3 buckets. */
export const s3OriginLimits = {
  /** Bytes of an error document that are read for its code. */
  errorBytesMax: 16 * KiB,
  /** Bytes of a key, in UTF-8 (S3's own bound). */
  keyBytesMax: 1_024,
} as const
