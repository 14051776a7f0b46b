/** The engine's figures; times in milliseconds. */
export const engineLimits = {
  /** Parts whose URL is remembered: the playlist's window and what was played of late. */
  sourcesMax: 4_096,
  /** An HTTP answer that brings nothing for so long is given up. LL-HLS answers for hinted parts wait for up to a part's duration. */
  fetchSilentMs: 10_000,
  /** Weight of the newest measurement of a rate. */
  rateWeight: 0.3,
  /** Spans shorter than this say nothing about a rate. */
  rateSpanMsMin: 8,
  /** A part all of which is there waits so long for its digest, if nobody is in a hurry. */
  digestWaitMs: 3_000,
  /** And no shorter, however late it is: the answer of the edge is on its way, and HTTP would take longer. */
  digestWaitMsMin: 400,
  /** So much before a deadline a part without a digest is fetched by HTTP after all. */
  digestMarginMs: 100,
  /** Parts that wait for their digest at once. */
  unverifiedMax: 256,
} as const
