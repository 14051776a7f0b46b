/** The named limits of the soft state, each with its reason. */

/** Times and limits of one shard's soft state and of those who feed it. */
export const softLimits = {
  /** A peer that says nothing for so long is forgotten with all that it held. */
  ttlMs: 30_000,
  /** Step of the wheel that finds those peers: they go at most so much later. */
  tickMs: 1_000,
  /** One batch of a peer so often, while it has news. */
  refreshMs: 1_000,
  /** One without news so often: three of them fall into the time to live. */
  quietMs: 10_000,
  /** What a peer that learns of a new leader by its answer needs on top of a quiet time, to send all that it holds. */
  settleMs: 500,
  /** Batches of one peer in a tick: all that it holds may take several, after a leader changed. */
  batchesPerTickMax: 8,
  /** Peers in one shard, a region's whole population with room to grow. A handle has 20 bits for the place of a peer. */
  peersMax: 262_144,
  /** What all peers of a shard hold, in entries (a peer's stream or rendition): about 200 MB at most. */
  entriesMax: 2_097_152,
  /** What one peer holds: a large edge's library, and a 256th of the table, so that no peer fills it. */
  entriesPerPeerMax: 8_192,
  /** Streams and renditions known at once. */
  subjectsMax: 524_288,
  /** Peers that hold one rendition: half of all that there may be. Their list is one run of words, which bounds it. */
  holdersPerSubjectMax: 131_072,
  /** Bits and ranges of all entries, words of 4 bytes; with the tables it bounds the memory of a shard. */
  wordsMax: 67_108_864,
  /** A peer's id as text: libp2p's longest are 60 characters. */
  peerIdBytesMax: 128,
  /** A stream's id, UTF-8 bytes. */
  streamBytesMax: 128,
  /** A rendition's name, UTF-8 bytes. */
  renditionBytesMax: 64,
  /** Parts of one segment: 12 s in parts of 200 ms. */
  partsPerSegmentMax: 64,
  /** The bit field of parts, bytes: 1,024 parts are three minutes of parts of 200 ms. */
  windowBytesMax: 128,
  /** Ranges of whole segments in one entry: a viewer that seeks makes some, a cache that evicts by age makes one or two. */
  rangesPerEntryMax: 64,
  /** Viewers that one peer may claim for one stream, so that one that lies bends a count only so far. */
  viewersPerEntryMax: 100_000,
  /** Peers that one record of a batch is introduced to. */
  introductionsMax: 64,
  /** Introductions of one batch, so that its answer is at most this times 4 bytes. */
  introductionsPerBatchMax: 16_384,
  /** One batch. A peer that holds more sends several. */
  batchBytesMax: 256 * 1024,
  /** Records of one batch. */
  recordsPerBatchMax: 8_192,
  /** Questions in one request. Their replies stay below {@link softLimits}.answerBytesMax, however long the names of peers are. */
  questionsMax: 48,
  /** Of them, those for names or for what a peer holds. */
  largeQuestionsMax: 4,
  /** Holders in one reply. */
  holdersMax: 64,
  /** Holders of a rendition that one question looks at, from a place drawn at random: what a question costs at most. */
  holdersScannedMax: 1_024,
  /** Entries in one page of what a peer holds. */
  holdingsPageMax: 64,
  /** Handles whose names are asked for at once. */
  namesMax: 1_024,
  /** Answers of a leader: names are the most that is in them. */
  answerBytesMax: 1024 * 1024,
} as const

/** Limits of a member that answers. */
export const softServerLimits = {
  /** Requests with questions of one peer in a second: who would know more often asks for too much. */
  asksPerSecondMax: 100,
  /** Peers whose requests are counted in one second; more are refused, for nobody would count theirs. */
  askersMax: 65_536,
} as const

/** Limits of a member that asks. */
export const softClientLimits = {
  /** Questions of the program at once; they go out in requests of {@link softLimits}.questionsMax. */
  questionsMax: 1_024,
  /** Streams and renditions that the program may tell of at once, held or gone, so that one message between threads is bounded. */
  newsMax: 8_192,
} as const

/** Limits on the side of a peer that tells what it holds. */
export const softFeederLimits = {
  /** A load that moved by less is no news: it would be told every second. Thousandths of what is in use. */
  busyStepPermille: 50,
  /** The same for free upload, as a share of what was told. */
  uploadStepShare: 1 / 8,
  /** The same for the place in the network, milliseconds in any direction. */
  coordinateStepMs: 2,
  /** Looking for the leader of a shard, for one batch: where nobody leads, the pause after failures is better than asking on. */
  sendMs: 1_000,
  /** An answer that takes longer is given up; the next batch says the same again. */
  answerMs: 3_000,
  /** The goodbye of a peer that stops: what it does not tell is forgotten soon anyway. */
  goodbyeMs: 500,
  /** Longest pause after failures. A leader that answers again is known to the client, which wakes the feeder. */
  backoffMsMax: 8_000,
  /** Streams and renditions of a feeder over all shards: the most that all shards would take of it. */
  entriesMax: 65_536,
  /** After a shard refused something for want of room, all is sent again so late. */
  refusedRetryMs: 30_000,
  /** Names of other peers kept for each shard, by handle. */
  namesMax: 65_536,
  /** Batches sent at once to a shard, one after the other, when one could not hold all: enough for a new leader to get everything. */
  batchesInRowMax: 8,
} as const
