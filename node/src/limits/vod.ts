/** Bounds of what is kept on disk for good: segment logs, and the library of videos on demand. */

const KiB = 1024
const MiB = 1024 * KiB

/** Segment logs (content/archive). */
export const archiveLimits = {
  /** One record of an index; the largest, a rendition's description, takes a few hundred bytes. */
  recordBytesMax: 4 * KiB,
  /** An index file as it is read at the start: about 400,000 segments, weeks of a stream. */
  indexBytesMax: 64 * MiB,
  /** Bytes of segments that wait for the disk in one log; beyond it the disk is too slow for the stream, and it says so. */
  queueBytesMax: 64 * MiB,
  /** Segments at the end of a log whose bytes are checked when it is opened: a crash may have left holes in them. */
  tailSegmentsChecked: 4,
  /** Files of one log: with 30 segments each, a day of a stream with segments of 2 s. */
  filesMax: 4_096,
  /** Init segments of one file: a publisher that changes its configuration more often begins a new file. */
  initsMax: 1_000,
  /** A video's manifest: a few kilobytes, and 32 bytes for each sprite. */
  manifestBytesMax: 4 * MiB,
} as const

/** The library of videos on demand. */
export const vodLimits = {
  /** Videos of one peer; their segments are known in RAM, about 1.5 MB for an hour with five renditions. */
  assetsMax: 10_000,
  /** Characters of a title. */
  titleLengthMax: 200,
  /** Caption files of one video. */
  captionsMax: 32,
  /** One caption file; a film's takes 200 KiB. */
  captionBytesMax: 4 * MiB,
  /** Characters of a caption file's label. */
  labelLengthMax: 64,
  /** Length of a segment; the nearest keyframe decides. Longer than live ones, since nobody waits for the next. */
  segmentMs: 4_000,
  /** Keyframes further apart than this make segments too long to switch at: such a source is encoded and not copied. */
  keyframeGapMsMax: 6_000,
  /** Twice the mean size that a copied segment may come to; a source with more bits is encoded. */
  copySegmentBytesMax: 28 * MiB,
  /** B-frames in a row: viewers do not wait for each picture, and one more would make each start later. */
  bFrames: 2,
  /** Bits a second of one channel of encoded sound. */
  soundBps: 80_000,
  /** Stretches that one child encodes: each costs a moment to open the file and the encoders. */
  chunkMsMin: 8_000,
  chunkMsMax: 60_000,
  /** Stretches for each child that works, so that none waits long for another at the end. */
  chunksPerChild: 3,
  /** Pictures for scrubbing are at least this far apart. */
  storyboardIntervalMsMin: 2_000,
  /** Pictures for scrubbing of one video: two sprites of 10 x 10. */
  storyboardPicturesMax: 200,
  /** Times that a stretch is tried again after its child crashed or hung. */
  retriesMax: 2,
  /** Wait before asking again whether live streams leave room. */
  admissionRetryMs: 1_000,
  /** Bytes of one stretch that wait for the disk before its child is held back. */
  writeQueueBytesMax: 16 * MiB,
} as const

/** Files that people give. */
export const mediaFileLimits = {
  /** Streams of one file; a film with every language has about 40. */
  streamsMax: 100,
  /** Reads that may fail in a row before what follows counts as lost. */
  readErrorsMax: 64,
  /** Keyframes of one file that are listed: a day at two a second. */
  keyframesMax: 172_800,
  /** Length of a file, seconds. */
  durationSMax: 24 * 3_600,
  /** Sound tracks that are taken of one file; the others are left out. */
  audioTracksMax: 8,
  /** Text subtitles that are taken of one file. */
  subtitlesMax: 32,
  /** Longest side of a picture in pixels. */
  pictureSideMax: 16_384,
  /** Longer side of a picture over its shorter one: beyond this a small rung would have no lines left. */
  pictureAspectMax: 50,
  /** How far the clock of a transport stream or FLV file may be ahead of all its tracks before that counts as a jump. */
  clockGapMsMax: 10_000,
  /** How far the clock of a track may go back before that counts as a jump; less is a disordered packet. */
  clockBackMsMax: 1_000,
  /** Offsets of a file's clock that are kept to try when it jumps. */
  clockOffsetsMax: 16,
  /** Pixels of a picture: a square of 8K for goggles. A few kilobytes may claim more, and a decoder keeps a dozen of them. */
  picturePixelsMax: 8_192 * 8_192,
} as const
