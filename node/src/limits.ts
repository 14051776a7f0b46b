/**
 * Every bound that keeps a peer's memory, sockets and time finite, in one place. Where an operator may
 * change one it is also a setting (config.ts) and the value here is the default.
 */

const KiB = 1024
const MiB = 1024 * KiB

/** RTMP ingest. */
export const rtmpLimits = {
  /** Connections at once, publishing or not; each holds a socket and its reassembly buffers. */
  connectionsMax: 512,
  /** Time from accept to an accepted `publish`; a scanner that connects and waits ends here. */
  handshakeTimeoutMs: 10_000,
  /** Silence from a publisher after which its connection ends. */
  readTimeoutMs: 15_000,
  /** One RTMP message; an 8K keyframe at high quality stays below this. */
  messageBytesMax: 16 * MiB,
  /** Largest chunk size a peer may set (the field allows 2^31-1). */
  chunkBytesMax: 16 * MiB,
  /** Chunk streams one connection may use; encoders use 4 to 6. */
  chunkStreamsMax: 64,
  /** Bytes of incomplete messages over all chunk streams of one connection. */
  reassemblyBytesMax: 24 * MiB,
  /** AMF values nested deeper than this are refused. */
  amfDepthMax: 16,
  /** Values and properties of one AMF message. */
  amfItemsMax: 4_096,
  /** Window acknowledgement size we ask of publishers. */
  windowAckBytes: 2_500_000,
  /** Chunk size we use for what we send. */
  sendChunkBytes: 4_096,
  /** How far media time may run ahead of real time before reading pauses (a file pushed without pacing). */
  leadMsMax: 4_000,
} as const

/** Packaging. */
export const packagingLimits = {
  /** A segment is cut without a keyframe at this length, so that a publisher without keyframes stays bounded. */
  segmentMsMax: 20_000,
  /** Bytes of one segment; cut likewise. */
  segmentBytesMax: 64 * MiB,
  /** Access units waiting for the other track's configuration at the start. */
  startupUnitsMax: 600,
  /** Time to wait at the start for an announced track that does not come, in media time. */
  startupWaitMs: 1_500,
  /** A step between timestamps larger than this, either way, is a discontinuity. */
  timestampJumpMsMax: 10_000,
  /** Streams published at one peer at once. */
  publicationsMax: 256,
} as const

/** The content plane. */
export const contentLimits = {
  /** One object (part, init segment). */
  objectBytesMax: 32 * MiB,
  /** Encoded header of a feed frame without its payload; a window of 1,000 entries takes about 110 KiB. */
  frameHeaderBytesMax: 256 * KiB,
  /** Entries of one index window. */
  windowEntriesMax: 2_000,
  /** An encoded stream record. */
  recordBytesMax: 16 * KiB,
  /** Renditions of one stream. */
  renditionsMax: 32,
  /** Records the directory keeps; the one that expires first goes. */
  recordsMax: 10_000,
  /** Feeds one peer serves at once. */
  feedsServedMax: 1_024,
  /** Bytes queued for one slow feed subscriber before it is dropped. */
  feedQueueBytesMax: 32 * MiB,
  /** Replicated streams at once. */
  replicasMax: 512,
  /** Waits for parts to come, over all viewers of one rendition. */
  waitersMax: 20_000,
  /** Disk writes in flight; beyond it objects stay in RAM only. */
  diskWritesMax: 64,
} as const

/** The HTTP server. */
export const httpLimits = {
  /** Open connections. */
  connectionsMax: 100_000,
  /** Request line and headers. */
  headerBytesMax: 16 * KiB,
  /** Body of an API request. */
  bodyBytesMax: 1 * MiB,
  /** Time to send one request's headers. */
  headerTimeoutMs: 10_000,
  /** Idle time of a keep-alive connection. */
  keepAliveTimeoutMs: 65_000,
  /** Time a client may take to read one response. */
  responseTimeoutMs: 120_000,
  /** A blocked playlist or part request is answered at the latest after this (RFC 8216bis asks for three target durations). */
  blockTimeoutMs: 12_000,
} as const

/** Shutdown. */
export const lifecycleLimits = {
  /** All of an orderly stop; what is not done by then is cut off. */
  stopMsMax: 8_000,
} as const
