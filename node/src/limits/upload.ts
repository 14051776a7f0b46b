/** Bounds of streaming HTTP bodies, uploads, the watched folder and downloads. */

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

/** Streaming routes of the HTTP server. */
export const streamRouteLimits = {
  /** How often a transfer's pace is looked at. */
  paceWindowMs: 15_000,
  /** Bytes that a client moves in that time at the least, either way: far below any line that could finish an upload. */
  paceBytesMin: 8 * KiB,
  /** Windows that a handler may take to go on without a byte moving; making the index of a long download takes minutes. */
  handlerWindowsMax: 40,
  /** After an early answer the rest of the body is thrown away for this long, so that the client reads why; then it is cut. */
  lingerMs: 2_000,
  /** Seconds that a client is asked to wait when too many of its kind are served. */
  retryAfterS: 5,
} as const

/** Uploads by tus. */
export const uploadLimits = {
  /** One file. */
  fileBytesMax: 512 * GiB,
  /** Unfinished uploads kept at once, stale ones too. */
  uploadsMax: 64,
  /** The same of one address. */
  uploadsPerAddressMax: 16,
  /** Requests under way at once, and of one address: browsers send a few in parallel. */
  requestsMax: 64,
  requestsPerAddressMax: 16,
  /** An upload that nobody touched for this long is removed. */
  staleMs: 24 * 3_600_000,
  /** What became of a finished upload is told for this long, so that a client that missed the last answer asks again. */
  finishedMs: 24 * 3_600_000,
  /** Finished uploads remembered. */
  finishedMax: 1_000,
  /** How often stale uploads are looked for. */
  sweepMs: 10 * 60_000,
  /** Disk that uploads leave free, whatever the quota says: logs and state must still be written. */
  diskReserveBytes: 256 * MiB,
  /** Time that a request whose upload another one wants has to let go of it. */
  lockDrainMs: 500,
  /** Time to wait for an upload that another request holds. */
  lockWaitMsMax: 10_000,
  /** Requests that wait for one upload. */
  lockWaitersMax: 4,
  /** Characters of a file name that are kept. */
  filenameCharsMax: 255,
} as const

/** The watched folder. */
export const watchFolderLimits = {
  /** Folders below the watched one. */
  depthMax: 16,
  /** Files that wait to be taken; more are seen at the next start. */
  pendingMax: 10_000,
  /** How often waiting files are looked at. */
  pollMs: 1_000,
  /** A file that has not changed for this long is whole. */
  stableMs: 5_000,
  /** Files taken that are remembered; the oldest go. */
  takenMax: 50_000,
  /** Failures kept for the status. */
  failuresMax: 100,
  /** Wait before a file is tried again that there was no room for. */
  retryMs: 60_000,
} as const

/** Downloads as one MP4 file. */
export const downloadLimits = {
  /** Samples of one track: four days of 60 pictures a second, 20 MB of tables each million. */
  samplesMax: 20_000_000,
  /** Segments of one track. */
  segmentsMax: 500_000,
  /** Sample descriptions of one track: a recording changes its codec configuration at most so often. */
  descriptionsMax: 64,
  /** Files being indexed, one after the other: each reads all its segments once. */
  buildQueueMax: 8,
  /** Indexes kept on disk; the least recently used go. */
  indexFilesMax: 256,
  indexBytesMax: 1 * GiB,
  /** Bytes of the header file read at once. */
  headReadBytes: 256 * KiB,
  /** Downloads at once, and of one address: players open several. */
  requestsMax: 128,
  requestsPerAddressMax: 16,
  /** One segment of a download that does not come in this time ends it. */
  segmentReadMsMax: 30_000,
} as const

/** Caption files that people add. */
export const captionUploadLimits = {
  /** One WebVTT file: a long film in every detail takes a tenth of it. */
  bytesMax: 4 * MiB,
  /** Requests at once. */
  requestsMax: 8,
  requestsPerAddressMax: 4,
} as const
