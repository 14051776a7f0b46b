/** Limits of what this peer tells its region's soft state, and of what it asks. */

/** Telling the region what is held here. */
export const swarmFeedLimits = {
  /** How often what is held is looked at: the tracker sends no more than one batch a second. */
  roundMs: 1_000,
  /** Streams and renditions that are told of. As many may be gone at the same time, and the tracker takes news of twice so many. */
  subjectsMax: 4_096,
  /** Parts of one segment that are told of one by one; a whole segment is told as such. */
  partsPerSegmentMax: 64,
  /** Parts of the segments that are not whole: there is one open segment, and a few with holes after a loss. */
  partsMax: 256,
  /** Whole segments are told in so many ranges, the newest. */
  rangesMax: 64,
} as const

/** Viewers of streams in the whole region. */
export const swarmViewersLimits = {
  /** Streams whose viewers are asked for again and again, the ones of interest last. */
  streamsMax: 1_000,
  /** Nobody asked for so long: the figure is read no more. */
  interestMs: 15_000,
  /** Figures are this old at most while somebody looks. */
  readMs: 2_000,
  /** And not told at all when they are older than this. */
  oldMs: 10_000,
  /** Time for the leaders to answer. */
  answerMsMax: 1_500,
} as const

/** Asking who holds a stream. */
export const swarmAskLimits = {
  /** Streams in one look of an operator. */
  streamsMax: 50,
  /** Holders of each rendition that are told. */
  holdersMax: 32,
  /** Renditions of one stream that are asked for. */
  renditionsMax: 32,
  /** Time for the leaders to answer an operator. */
  answerMsMax: 1_500,
  /** Peers to have a stream from, in one look-up. */
  providersMax: 16,
  /** The same for a look-up, beside the DHT's: a leader that is there answers in milliseconds. */
  providersMsMax: 500,
} as const
