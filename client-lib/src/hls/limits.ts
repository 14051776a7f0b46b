/** The figures of the hls.js side; times in milliseconds, places in media time in seconds, as the media element has them. */
export const hlsLimits = {
  /** From a part's last byte until it can be played: transmuxing in a worker, appending. */
  appendMs: 60,
  /** A buffer shorter than this, or than half a segment, is nearly none. Where there are parts, one part is. */
  urgentS: 2,
  /** Holes in the buffer that players jump over. */
  holeS: 0.1,
  /** Share of the time that hls.js waits for a first byte, or for all of them, after which HTTP has to be on its way. */
  waitShare: 0.5,
  /** A deadline that moved by less is not told. */
  hastenMs: 50,
  /** How long a first byte of other pages seems to have taken at most; hls.js assumes as much until it has measured. */
  firstByteMsMax: 100,
  /** New parts of one playlist that are told at once; after a pause the oldest of many are of no use. */
  publishedMax: 32,
  /** Renditions whose newest part is remembered. */
  renditionsMax: 32,
  /** Beyond its target latency a page is at the live edge for so many target durations; when it was there, for twice as many. */
  edgeSlack: 2,
  /** How often figures are looked at that are not told. */
  lookMs: 1_000,
} as const
