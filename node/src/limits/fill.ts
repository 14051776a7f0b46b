/** Bounds of fills: URLs that the operator wants cached before anybody asks. */

/** Fills. */
export const fillLimits = {
  /** URLs in the list, done ones among them; the oldest done ones leave it for new ones. */
  fillsMax: 10_000,
  /** URLs of one order. */
  orderMax: 1_000,
  /** Characters of a URL. */
  urlCharsMax: 2_000,
  /** Fills at once; viewers' requests go on beside them. */
  runningMax: 2,
  /** Times that one is tried. */
  attemptsMax: 3,
  /** Wait before it is tried again: from, doubling, up to. */
  retryMsMin: 10_000,
  retryMsMax: 120_000,
  /** Time for one URL to be read whole. */
  runMsMax: 600_000,
  /** How often the list is looked through for those whose time has come. */
  lookMs: 15_000,
  /** Time after which a change of the list is on disk. */
  saveMs: 1_000,
} as const
