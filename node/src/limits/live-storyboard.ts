/** Bounds of the pictures that live streams are scrubbed by. */
export const liveStoryboardLimits = {
  /** Pixels; other shapes than 16:9 get bars. */
  width: 160,
  height: 90,
  /** Least time between two pictures of a stream; the next keyframe that opens a segment decides. */
  intervalMs: 10_000,
  /** Pictures of one stream: a longer window has them further apart. Each takes 3 to 6 KiB of RAM. */
  picturesMax: 360,
  /** A picture larger than this is no thumbnail. */
  pictureBytesMax: 64 * 1024,
  /** Streams with pictures at once. */
  streamsMax: 64,
  /** Keyframes that wait for the child; more come when it is stuck, and are left out. */
  pendingMax: 16,
  /** A child without work for so long is given back. */
  idleMs: 60_000,
  /** Wait after a child failed or none was to be had. */
  retryMs: 30_000,
  /** Pictures of one recording as a video; a longer one has them further apart. */
  recordedMax: 200,
} as const
