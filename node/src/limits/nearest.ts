/** Bounds of what peers tell of themselves, of the network's coordinates, and of sending clients to the nearest peer. */

const KiB = 1024
const MiB = 1024 * KiB

/** The catalog of peers. */
export const nearestLimits = {
  /** Peers that are kept; those that are there stay, newcomers wait until one expires. */
  peersMax: 10_000,
  /** One signed advert; with eight addresses of each kind it takes about 2 KiB. */
  advertBytesMax: 4 * KiB,
  /** Addresses of one kind in an advert. */
  addressesMax: 8,
  /** Characters of one address. */
  addressCharsMax: 256,
  /** Time between two adverts of a peer that has nothing new to say. */
  announceIntervalMs: 10_000,
  /** How long a peer that has started is a newcomer, which many have not heard of, and its time between two adverts. */
  newcomerMs: 20_000,
  newcomerIntervalMs: 2_000,
  /** Least time between two adverts that a change of load causes: every peer hears each, and peers on a busy machine all change at once. */
  announceIntervalMsMin: 5_000,
  /** Life of an own advert from its signing: two announcements may be lost. */
  advertTtlMs: 35_000,
  /** Longest life an advert may claim. */
  advertTtlMsMax: 5 * 60_000,
  /** How far another peer's clock may be off ours. */
  clockSkewMsMax: 5 * 60_000,
  /** Adverts of one peer taken in a row, and then a second. Beyond that they are dropped, and not passed on. */
  advertBurstMax: 8,
  advertsPerSecondMax: 1,
  /** The whole answer on the peers protocol. */
  listBytesMax: 8 * MiB,
  /** Time for one answer on the peers protocol. */
  listTimeoutMs: 10_000,
  /** Answers on the peers protocol at once; one for each peer. */
  answersMax: 32,
  /** Peers asked at once. */
  queriesMax: 16,
  /** Time to make a lost connection again before the peer counts as unreachable. */
  redialTimeoutMs: 2_000,
  /** First wait before an unreachable peer is tried again; doubles up to the next. */
  retryMsMin: 2_000,
  /** Longest wait before an unreachable peer is tried again. */
  retryMsMax: 60_000,
  /** Connections beyond which a lost one is not made again at once: the host prunes there, and would be worked against. */
  redialConnectionsMax: 384,
  /** Connections up to which peers of the catalog are connected only to notice at once when they die. */
  watchedPeersMax: 64,
  /** Unconnected peers tried in one round. */
  dialsPerRoundMax: 4,
  /** Round trips of one peer of which the median counts; a busy moment at either end must not move the network. */
  rttSamplesMax: 5,
  /** Pings sent to a new neighbour, so that it is placed before the first regular ones. */
  firstPings: 3,
} as const

/** The network's coordinates (Vivaldi). */
export const coordinateLimits = {
  /** Dimensions, besides the height. */
  dimensions: 3,
  /** Largest value of a position or height in an advert, milliseconds: four times round the earth by satellite. */
  valueMsMax: 10_000,
  /** Round trips are taken to be between these; below it is one machine, above it a queue and no distance. */
  rttMsMin: 1,
  rttMsMax: 3_000,
  /** Smallest height: no peer has none, and one of none could never grow. */
  heightMsMin: 0.01,
  /** Smallest error that is believed of anybody: who claims less would be followed blindly. */
  errorMin: 0.05,
  /** Furthest that one sample may move this peer. */
  moveMsMax: 25,
} as const

/** The load meter. */
export const loadLimits = {
  /** Time between two samples. */
  sampleIntervalMs: 1_000,
  /** Weight of a new sample: half of a step shows within two seconds. */
  sampleWeight: 0.3,
  /** Shares at which the load changes its class, which is told at once. */
  classEdges: [0.5, 0.7, 0.85, 0.95],
  /** How far below its edge a load must fall before its class goes down. */
  hysteresis: 0.05,
  /** Uplink that is assumed where the operator says nothing. */
  unknownUplinkBitsPerSecond: 1_000_000_000,
} as const

/** Sending clients to peers. */
export const rankingLimits = {
  /** Load from which a peer takes no new clients, unless all are so. */
  fullLoad: 0.95,
  /** Costs within one step count as equal, and clients are spread over their peers. */
  equalCostMs: 10,
  /** What another region costs: more than any distance within one. */
  otherRegionCostMs: 150,
  /** What a full load costs; it grows with the square, so that half of it costs a quarter. */
  loadCostMs: 200,
  /** Free uplink below which a peer costs more, up to the next where there is none left. */
  scarceBitsPerSecond: 100_000_000,
  scarceCostMs: 50,
  /** What a peer costs that nothing is known of: about half the world. */
  unknownDistanceCostMs: 100,
  /** Error of a coordinate from which it says nothing. */
  coordinateErrorMax: 0.9,
  /** Kilometres that a round trip gets in a millisecond, by fibres that are no straight lines. */
  kilometresPerMs: 67,
  /** Peers in one answer. */
  peersMax: 16,
  /** Groups that clients are spread by over equal peers; those of one subnet are in one. */
  spreadGroups: 64,
  /** Degrees of latitude and longitude within which clients count as being at one place: 110 km cost less than 2 ms. */
  placeDegrees: 1,
  /** Rankings made anew in a second; beyond that clients are answered as if they were at no known place. */
  rankingsPerSecondMax: 50,
  /** Rankings kept for clients that are answered alike. */
  rememberedMax: 1_000,
  /** How long one is kept; a change of any peer drops all. */
  rememberedMs: 1_000,
  /** Characters of a path that a client is redirected to. */
  pathCharsMax: 2_048,
  /** How long a redirect may be kept, seconds. */
  redirectMaxAgeS: 5,
} as const

/** The operator's database of places. */
export const geoLimits = {
  /** Bytes of the file; it is held in memory. The largest city databases take about 130 MB. */
  fileBytesMax: 1_024 * MiB,
  /** Time between two looks at whether the file has changed. */
  checkIntervalMs: 60_000,
} as const
