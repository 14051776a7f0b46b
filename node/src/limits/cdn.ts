/** Limits of the shared cache: what it may hold, how long it waits, and how far it goes for clients that left. */

const KiB = 1024
const MiB = 1024 * KiB

export const cdnLimits = {
  /** Host rules. More belong into one wildcard rule. */
  rulesMax: 1_000,
  /** Hosts whose rule is remembered; beyond it the memory is begun anew, so that invented hosts cost nothing. */
  hostsRememberedMax: 4_096,
  /** Responses in the index. The heads of a million small ones take about as much memory as the RAM tier of the store by default. */
  entriesMax: 1_000_000,
  /** Bytes of heads in the index, as estimated when they are stored. */
  headBytesMax: 512 * MiB,
  /** What an entry costs beside its text: objects, sets and map slots of V8. */
  entryOverheadBytes: 600,
  /** Variants of one key (RFC 9111 4.1); the oldest go, so that a site that varies by cookie cannot fill the index with one page. */
  variantsMax: 32,
  /** Purges that are remembered for responses still under way; one whose request is older than all of these is not stored. */
  purgesRememberedMax: 1_024,
  /** How often changes of the index go to its journal: a crash loses at most this much. */
  journalFlushMs: 500,
  /** Journals below this are never rewritten. */
  journalBytesMin: 8 * MiB,
  /** A journal is rewritten when it is this many times as long as when it was last. */
  journalGrowthMax: 2,
  /** Lines read or written in one go, so that a large index does not hold up requests. */
  journalBatchLines: 500,
  /** A line of the journal; longer ones are not kept and their responses are lost at a restart. */
  journalLineBytesMax: 4 * MiB,
  /** Slices of one response: at 1 MiB a slice 64 GiB. */
  slicesMax: 65_536,
  /** How far a body is fetched ahead of the fastest client that reads it. */
  leadBytesMax: 4 * MiB,
  /** A body that nobody reads any more is fetched to its end when no more than this is missing. */
  abandonedBytesMax: 32 * MiB,
  /** Clients that read one body while it is fetched. */
  followersMax: 100_000,
  /** A response without a length is not kept beyond this: it may never end. */
  unknownLengthBytesMax: 1_024 * MiB,
  /** Requests that wait for or read from origins at once; more get 503. */
  flightsMax: 10_000,
  /** From the request to the head of the origin's response. */
  headTimeoutMs: 60_000,
  /** How long one slice may take. */
  sliceTimeoutMs: 60_000,
  /** Keys whose last response could not be stored are not collapsed for this long, lest their clients wait for each other in vain. */
  passMs: 10_000,
  /** Keys that are remembered so. */
  passKeysMax: 10_000,
  /** How often a request begins anew when what it waited for turned out not to fit it. */
  attemptsMax: 3,
  /** Text below this is not worth compressing. */
  compressBytesMin: 1 * KiB,
  /** Larger text is sent as it is. */
  compressBytesMax: 8 * MiB,
  /** Compressions that run at once; others wait for the next request. */
  compressionsMax: 4,
  /** First answers that are compressed on their way at once; more are sent as they are, lest a flood of new pages takes all cores. */
  compressedStreamsMax: 16,
  /** Prepared answers of the fast lane. */
  hotAnswersMax: 10_000,
  /** Bytes of bodies that they hold; they are the store's own, and what it lets go of they keep for a second at most. */
  hotBytesMax: 16 * MiB,
  /** A range request of a response up to this length is answered with bytes at hand, in place of a stream. */
  wholeBytesMax: 2 * MiB,
  /** How often the wall clock is compared with the monotonic one. */
  clockWatchMs: 1_000,
  /** A difference beyond this is a jump, not drift. */
  clockJumpMs: 2_000,
  /** What clients are told to wait when the origin fails, seconds. */
  retryAfterS: 5,
  /** Peers of the region that are asked before the origin is. */
  shieldsMax: 2,
  /** From the request to a shield to the head of its response: it may have to ask the origin first. */
  shieldHeadTimeoutMs: 20_000,
  /** A request that waits for a turn at a busy machine's event loop is no sign of trouble; so long is silence looked at in turns. */
  shieldLookMs: 250,
  /** So many turns without an answer to a ping, and a shield counts as hanging: as long as a pause in which purges may be missed. */
  shieldLooks: 8,
  /** The same for one that has told a load of this or more: a machine whose processors are all in use holds up a process for longer. */
  shieldBusyLooks: 32,
  shieldBusyLoad: 0.9,
  /** A shield that waits for its origin is pinged again so often, lest it hang since. */
  shieldAgainMs: 1_000,
  /** Shields whose latencies and failures are kept; the one unused for the longest goes. */
  shieldsKnownMax: 1_024,
  /** Purges carried out once more after a run that was cut off; more are never between the log and the cache. */
  purgesRepeated: 64,
} as const

/** When a shield's silence is looked into: beyond the 95th percentile of its last heads, kept between these. */
export const shieldLatencyLimits = {
  latencySamplesMax: 64,
  hedgeSamplesMin: 8,
  hedgeMsDefault: 300,
  /** A hit between neighbours takes a few milliseconds, and a ping for every hiccup would cost more than it finds. */
  hedgeMsMin: 50,
  /** A shield with a slow origin has slow heads; that it hangs has to show all the same. */
  hedgeMsMax: 1_000,
} as const

/** When a shield is left alone: once it has hung or failed, until a ping finds it alive. */
export const shieldBreakerLimits = {
  /** What makes it fail takes longer to go than one request. */
  failuresMax: 1,
  keptShare: 0,
  /** What a shield sends cannot be checked. */
  lieOpenings: 1,
  retryMsMin: 10_000,
  retryMsMax: 60_000,
} as const
