/** Bounds of being found behind NAT, of relaying for others, and of finding a network again. */

const KiB = 1024
const MiB = 1024 * KiB
const MINUTE_MS = 60_000

/** What this peer does to be reached, and whom it dials for it. */
export const reachLimits = {
  /** Time between two looks at addresses and reservations when nothing changes. */
  checkIntervalMs: 5_000,
  /** Time from a change among the neighbours to the look at it: many changes come together. */
  checkDelayMs: 100,
  /** Time that a public address may wait for another peer's word before this peer takes itself to be unreachable. */
  verdictWaitMs: MINUTE_MS,
  /** Neighbours asked in one look to try an own address that nobody has confirmed. */
  verifiersPerCheck: 3,
  /** Relays at which a peer that nobody can reach reserves a place; with two, one may go. */
  relaysMax: 2,
  /** Neighbours asked for a place in one look. */
  reservationsPerCheck: 2,
  /** Remembered relays dialled in one look when no neighbour relays. */
  relayDialsPerCheck: 2,
  /** First wait before a relay that refused is asked again; doubles up to the next. */
  retryMsMin: 1_000,
  /** Longest wait before a relay that refused is asked again. */
  retryMsMax: 5 * MINUTE_MS,
  /** Share of those waits that is random: a relay that comes back is not asked by all at once. */
  retryJitterShare: 0.5,
  /** Relays whose refusals are remembered. */
  refusalsMax: 256,
  /** Time for one request for a place. */
  reservationTimeoutMs: 10_000,
  /** Peers of the network that a look for relays meets at once; few networks have so many that none of them relays. */
  walkBurst: 16,
  /** Pause before each further one: a query to all neighbours. */
  walkPauseMs: 10_000,
  /** Time in which a relayed connection is to become a direct one before a stream of media gives up. */
  directWaitMs: 8_000,
  /** One try to dial the other side of a relayed connection. */
  upgradeTimeoutMs: 5_000,
  /** Relayed connections that are being replaced at once; further ones stay relayed until they are dialled again. */
  upgradesMax: 64,
  /** Time after a direct connection stands until the relayed one is closed: what runs over it may end. */
  relayedGraceMs: 5_000,
} as const

/** What a relay does for others, at most (circuit relay v2). */
export const relayLimits = {
  /** Peers with a reservation. */
  reservationsMax: 128,
  /** Peers with a reservation that share one public address. */
  reservationsPerAddressMax: 8,
  /** Life of a reservation; renewed at half of it, so one that the relay forgot is noticed within that time. */
  reservationTtlMs: 10 * MINUTE_MS,
  /** Relayed connections that one peer may have opened at once. */
  connectionsPerSourceMax: 8,
  /** Relayed connections to one peer at once. */
  connectionsPerTargetMax: 32,
  /** Relayed connections in all. */
  connectionsMax: 256,
  /** Life of a relayed connection: long enough for control traffic, and for a direct one to be made. */
  connectionMsMax: 10 * MINUTE_MS,
  /** Bytes over a relayed connection: lists of records and adverts, and no media. */
  connectionBytesMax: 32 * MiB,
  /** One exchange of messages with a relay. */
  hopTimeoutMs: 10_000,
} as const

/** Dials made to tell another peer whether it can be reached (AutoNAT). */
export const autonatLimits = {
  /** Requests of one address in a row. */
  requestBurstMax: 4,
  /** Time after which one more request of that address is taken. */
  requestIntervalMs: 10_000,
  /** Addresses whose requests are counted; beyond it nobody new is served until one is forgotten. */
  addressesMax: 1_024,
  /** One request; holds a dozen addresses, so that nobody has this peer dial hundreds of ports. */
  messageBytesMax: 1 * KiB,
  /** One request with its dials. */
  timeoutMs: 10_000,
  /** Requests at once on one connection. */
  streamsMax: 1,
} as const

/** Peers remembered from before, and when they are dialled again. */
export const rememberedLimits = {
  /** Connections below which a peer is lonely and dials whom it remembers. */
  lonelyConnectionsMax: 3,
  /** Peers dialled in one round. */
  dialsPerRoundMax: 8,
  /** First wait of a lonely peer between two rounds; doubles up to the next. */
  retryMsMin: 500,
  /** Longest wait of a lonely peer: minutes, for as long as it runs. */
  retryMsMax: 2 * MINUTE_MS,
  /** First wait before peers that were lost are tried again by one that is not lonely; doubles up to the next. */
  lostRetryMsMin: 10_000,
  /** Longest such wait: the halves of a network that was cut find each other within this time of its mending. */
  lostRetryMsMax: 10 * MINUTE_MS,
  /** Share of the waits that is random. */
  retryJitterShare: 0.5,
  /** Lost peers that are tried by a peer that is not lonely, the newest. */
  lostMax: 64,
  /** How long a lost peer is tried. */
  lostMsMax: 7 * 24 * 3_600_000,
  /** How long a peer is remembered after it was last seen. */
  memoryMsMax: 30 * 24 * 3_600_000,
  /** Peers that are remembered, those seen last. */
  peersMax: 4_096,
  /** Time between two looks for peers to forget; what is known by hearsay alone is forgotten at the second. */
  pruneIntervalMs: 6 * 3_600_000,
  /** Remembered peers looked at when some are chosen. */
  candidatesMax: 512,
} as const
