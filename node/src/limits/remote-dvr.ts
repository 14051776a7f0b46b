/** Bounds of going back in streams of other peers. */

/** DVR windows of streams that are replicated here. */
export const remoteDvrLimits = {
  /** Time that the first viewer of a rendition waits for its window; after that there is only the live one. */
  prepareMsMax: 2_000,
  /** Time to learn a window, or how it goes on. */
  requestMsMax: 10_000,
  /** A window is asked to go on after this share of the live window has passed, within the next two. */
  refreshShare: 1 / 3,
  refreshMsMin: 500,
  refreshMsMax: 10_000,
  /** A window that nobody asked for is forgotten after this time. */
  idleMs: 120_000,
  /** Pages of one window, a thousand segments each: a day of 2 s. */
  pagesMax: 48,
  /** Windows known at once, and segments of all of them, about 350 bytes of RAM each; the ones unused for the longest go. */
  windowsMax: 1_024,
  segmentsInAllMax: 600_000,
} as const
