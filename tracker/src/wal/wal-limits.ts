/** The named limits of the write-ahead log and of snapshot files, each with its reason. */

const MIB = 1024 * 1024

/** Limits of one log. Those that `WalInit` names are its defaults. */
export const walLimits = {
  /** One segment file: large enough that a new one is rare, small enough that a released one gives room back soon. */
  segmentBytes: 64 * MIB,
  /** Segments below this could not hold one record and the state of all groups. */
  segmentBytesMin: 64 * 1024,
  /** A larger file is not of this log's making and is not read into memory. */
  segmentBytesMax: 1024 * MIB,
  /** The segment that a start begins with, when no prepared one is there: small, so that a start is quick. */
  firstSegmentBytes: 4 * MIB,
  /** Entries of one append are split into records of about this size, so that a damaged length is known as such. */
  recordBytesMax: 8 * MIB,
  /** Appended and not yet written: beyond it the disk is slower than the group, and memory would fill. */
  bufferBytesMax: 64 * MIB,
  /** From here on `append` asks its caller to wait. */
  bufferBytesHigh: 16 * MIB,
  /** A buffer that grew beyond this is given back to the engine once it is empty. */
  bufferBytesKept: 4 * MIB,
  /** What a buffer starts with. */
  bufferBytesFirst: 256 * 1024,
  /** Groups in one log: their states stand at the start of every segment. */
  groupsMax: 4096,
  /** The owner's name in each segment. */
  ownerBytesMax: 256,
  /** Prepared segments kept: one hides the making of a file from the writers, more would only hold disk. */
  sparesMax: 1,
} as const

/** Limits of snapshot files. */
export const snapshotLimits = {
  /** One snapshot: it is sent and read whole, so this is memory of every member. */
  snapshotBytesMax: 512 * MIB,
  /** Bytes that are hashed and written at once: between two such pieces the thread does other work. */
  pieceBytes: MIB,
  /** Members in one configuration, far above what a group can work with. */
  membersMax: 1024,
} as const
