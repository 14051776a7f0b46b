/** Bounds of DVR windows and recordings. */

const KiB = 1024
const GiB = 1024 * 1024 * KiB

/** What is kept of live streams beyond their window. */
export const recordingLimits = {
  /** Segments of one rendition that wait for the disk: fewer than the default live window has, so that both join. */
  pendingSegmentsMax: 12,
  /** Segments of one file: old ones leave by whole files, so a window reaches back by up to this much further. */
  fileSegmentsMin: 2,
  fileSegmentsMax: 30,
  /** Files that a DVR window is made of, where their bounds allow it. */
  filesPerWindow: 8,
  /** Length of one recording; a longer one goes on in another video. */
  durationUsMax: 12 * 3_600 * 1_000_000,
  /** Size of one recording; a larger one goes on in another video. */
  bytesMax: 64 * GiB,
  /** Segments that a rendition may lack at the beginning and at the end of a recording: an encoder needs a moment to start. */
  missingSegmentsMax: 4,
  /** Bytes that a recording holds back, so that it can be finished on a full disk: its manifest, with folders. */
  reserveBytes: 64 * KiB,
  /** Windows become shorter while there is less room than for so many segments, so that nothing need be refused. */
  roomSegments: 16,
  /** How often windows of streams that have ended are looked at, and recordings that could not be finished are tried again. */
  sweepMs: 15_000,
  /** Recordings of earlier runs that are finished at a start; more stay for the next one. */
  recoveredMax: 1_000,
  /** Recordings that wait to be finished on a disk that refuses; others wait for the next start. */
  unfinishedMax: 100,
  /** Bytes of what is noted of a recording under way. */
  noteBytesMax: 16 * KiB,
} as const
