/** Bounds of what peers tell one another of their videos on demand, and of those of others that are played here. */

const KiB = 1024
const MiB = 1024 * KiB

/** Lists of videos. */
export const videoLimits = {
  /** Life of a list after its last announcement: its videos play on from copies when their peer is away. */
  listTtlMs: 7 * 24 * 3_600_000,
  /** Longest life that a list may claim. */
  listTtlMsMax: 14 * 24 * 3_600_000,
  /** Times at which a change is announced again: neighbours that have just come may not hear gossip yet. */
  announceAgainMs: [2_000, 10_000, 60_000],
  /** Time between announcements of the own list when nothing changes; new neighbours ask for it at once. */
  announceIntervalMs: 10 * 60_000,
  /** Wait after a change before it is announced, so that several make one list. */
  announceDelayMs: 100,
  /** How far another peer's clock may be off ours. */
  clockSkewMsMax: 5 * 60_000,
  /** A signed list as it is gossiped: 32 bytes a page. */
  listBytesMax: 16 * KiB,
  /** Pages of one list. */
  pagesMax: 256,
  /** A page may end from this size on, at an id that is like few others, so that a change leaves the other pages as they are. */
  pageBytesMin: 32 * KiB,
  /** An encoded page of a list. */
  pageBytesMax: 256 * KiB,
  /** One video in a list: some 500 bytes an hour of five renditions. */
  videoBytesMax: 64 * KiB,
  /** Pages of one list in all: some 16,000 videos. */
  ownerBytesMax: 8 * MiB,
  /** Other peers whose lists are kept. */
  ownersMax: 1_000,
  /** Bytes of all lists of others; in RAM they take about four times as much. */
  bytesMax: 32 * MiB,
  /** Lists whose pages are fetched at once. */
  loadsMax: 4,
  /** Time to fetch the pages of one list. */
  loadMsMax: 30_000,
  /** Wait before a list whose pages did not come is tried again; doubles up to the next. */
  retryMsMin: 2_000,
  retryMsMax: 5 * 60_000,
  /** Peers that are remembered for one list as having its pages. */
  sourcesMax: 8,
} as const

/** A video's own bounds. */
export const videoRecordLimits = {
  /** Segments of one page; one takes some 60 bytes. */
  segmentsPerPage: 1_024,
  /** An encoded page of segments. */
  segmentPageBytesMax: 256 * KiB,
  /** Segments of one rendition: three days of 4 s. */
  segmentsMax: 65_536,
  /** Longest segment, microseconds. */
  segmentUsMax: 3_600_000_000,
  /** Caption files of one video. */
  captionsMax: 32,
  /** Sprites of a storyboard, and one side of what is on them. */
  spritesMax: 1_024,
  pictureSideMax: 4_096,
  /** Pictures of a sprite, each way. */
  spriteGridMax: 64,
  /** Pictures of a storyboard. */
  picturesMax: 100_000,
} as const

/** Videos of other peers that are played here. */
export const networkVideoLimits = {
  /** Videos whose segments are known here; the one unused for the longest goes first. */
  openMax: 256,
  /** Segments of all of them: about 350 bytes of RAM each. */
  segmentsMax: 400_000,
  /** Pages of one video that are fetched at once. */
  pagesAtOnce: 8,
  /** Time to learn a video's segments from others. */
  openMsMax: 12_000,
  /** Time for which the answer of the DHT to who has a video holds. */
  providersMs: 30_000,
  /** Peers asked without being known to have a video, after those that are. */
  guessedPeersMax: 8,
} as const

/** Answers of the API about videos. */
export const vodListLimits = {
  /** Videos of other peers in one answer, which pages ask for again and again. */
  networkVideosMax: 500,
} as const
