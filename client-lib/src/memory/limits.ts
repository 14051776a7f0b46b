/** Bounds of the memory for parts, beside its bytes, which its owner sets. */
export const memoryLimits = {
  /** Parts, those of which only the length is known too: an hour of LL-HLS parts of a second, and some. */
  partsMax: 4_096,
  /**
   * Stretches of one part with holes between them. A few peers send in order, each its range, and a channel brings little out of order; a thousand
   * holes are made on purpose.
   */
  runsMax: 1_024,
  /** Neighbours in a part's bytes that are together no larger are put into one piece: thousands of small ones would cost more than their bytes. */
  pieceBytesMin: 16_384,
  /** Peers that brought some of one part; more than are ever connected at once. */
  sourcesMax: 64,
  /** Renditions that play at once: picture and sound of the level before and of this one. */
  playheadsMax: 4,
  /** So many playheads set for others later, one is out of date: its rendition plays no more. */
  playheadAge: 8,
  /** Listeners to parts: each neighbour's asks and pushes, and the player's wishes. */
  watchersMax: 4_096,
} as const
