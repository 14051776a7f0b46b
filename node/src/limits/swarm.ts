/** Bounds of the swarms of viewers' pages: what strangers may make this peer read, hold, plan and pass on. Times in milliseconds. */

const KiB = 1024

/** The WebSockets at `/swarm`. */
export const swarmLimits = {
  /** Pages connected at once. One holds some 20 KB, and `messageBytesMax` more while a message comes in pieces. */
  connectionsMax: 20_000,
  /** Of them of one address: half of the connections that it may have by default, since players behind one address need the others for media. */
  connectionsPerAddressMax: 512,
  /** One message: what the protocol allows as text, in letters of one byte; only a session description comes near. */
  messageBytesMax: 64 * KiB,
  /** Pieces that a message may come in, as frames and as reads of the socket; browsers send one frame, and slow networks carry 500 bytes at a time. */
  fragmentsMax: 16,
  chunksMax: 512,
  /** Messages and pings a second of one page, and how many at once: a page that enters connects to a dozen others, with some twelve candidates each. */
  messagesPerSecondMax: 40,
  messageBurstMax: 400,
  /** Bytes waiting for a page that does not read; more ends its connection. */
  unsentBytesMax: 512 * KiB,
  /** Time between pings; half of what most proxies and NATs keep a quiet connection for. One that does not answer until the next one is gone. */
  pingIntervalMs: 25_000,
  /** How often connections are looked for that are due a ping, and how many are pinged then, so that pings never hold up the rest. */
  sweepMs: 250,
  pingsPerSweepMax: 250,
  /** Time that a page has to answer a close. */
  closeGraceMs: 2_000,
  /** Time that a page has to say who it is; pages do so at once. */
  helloMsMax: 10_000,
  /** How often pages are asked how they are doing. */
  stateEveryMs: 5_000,
  /** How long a page whose connection broke keeps its id, and what is known of it. */
  resumeMsMax: 60_000,
  /** Such pages at once; the one that is away longest is forgotten. */
  absentMax: 5_000,
  /** How long its neighbours are not told: their connections to it may be whole. */
  absenceMsMax: 5_000,
  /** How often those are looked for whose time is over. */
  absenceSweepMs: 1_000,
  /** Pages of one swarm. */
  pagesPerSwarmMax: 10_000,
} as const

/** One swarm. */
export const pageSwarmLimits = {
  /** Neighbours that a page is told of when it enters. */
  neighboursFirst: 8,
  /** Connections that a page grows to as others are told of it. */
  neighboursMax: 12,
  /** Of the first ones, those that are drawn from all: they may grow to `neighboursFarMax`. */
  neighboursFar: 2,
  /** A page that has fewer left gets new ones. */
  neighboursMin: 4,
  /** To those that are drawn from all they may grow so far. */
  neighboursFarMax: 16,
  /** Connections with those of trees, and to pages that have what is wanted; fewer than a page takes. The oldest that no tree needs are ended above it. */
  linksMax: 26,
  /** A connection so old may be ended for a new one to a page that has what is wanted: nothing keeps those together that play other parts. */
  linkKeptMs: 30_000,
  /** Pages looked at, at random, for each that is wanted. */
  samplesPerNeighbour: 4,
  /** A connection that neither side tells of for so long was not made, or is gone. */
  linkMsMax: 20_000,
  /** Messages of connecting passed on between two pages, at once and a second: an offer, an answer, two times twenty candidates, twice. */
  signalBurst: 128,
  signalsPerSecond: 4,
  /** Parts that a page asks about, at once and a second: a player is some windows ahead at its start, then wants a few parts a second. */
  wantBurst: 512,
  wantsPerSecond: 64,
  /** Runs of parts that a page holds, as far as they are listened to. */
  heldRunsMax: 64,
  /** Parts of one run or state that are noted with the part, the newest. */
  heldNotedMax: 64,
  /** Parts that a page told of since its last state. */
  heldSinceMax: 64,
  /** Parts of a swarm of which anything is remembered; the one unused for longest is forgotten. */
  partsMax: 4_096,
  /** Such parts of all swarms together: some 300 MB. */
  partsOfAllMax: 500_000,
  /** Pages that hold a part, as far as they are remembered, the newest. */
  holdersMax: 16,
  /** Pages that wait to be told what a part is. */
  curiousMax: 1_024,
  /** Pages named to one that wants a part. */
  holdersNamedMax: 4,
  /** How long it is worth waiting for a page that has a part whole. */
  wholeWaitMs: 5_000,
  /** Times that a page is sent to others for a part before it is let fetch. */
  sentToOthersMax: 2,
  /** Parts for which that is remembered, of one page. */
  sentPartsMax: 64,
  /** Digests of one part that pages claim; beyond two that differ nothing is learned from more. */
  claimsMax: 6,
  /** Reports of one page that count. */
  reportsPerPageMax: 8,
  /** Leases of a page that are checked, the first ones. */
  probationLeases: 2,
  /** After them one in so many is. */
  checkEvery: 16,
  /** Checks cost a fetch: one in so many leases at the most, in swarms below `smallSwarmPages`, and in larger ones; saved up to `checksSavedMax`. */
  leasesPerCheckSmall: 32,
  leasesPerCheck: 8,
  smallSwarmPages: 8,
  checksSavedMax: 4,
  /** Who has to have a part sooner is not made to fetch what another one fetches, for a check. */
  checkWithinMsMin: 4_000,
} as const

/** Leases. */
export const leaseLimits = {
  /** A lease's length: as the first deadline of those who wait allows, within these. */
  leaseMsMin: 500,
  leaseMsMax: 15_000,
  /** So much before a deadline the next one begins to fetch. */
  marginMs: 1_000,
  /** Leases of one swarm at once. */
  leasesMax: 4_096,
  /** Parts that one page waits for. */
  waitsPerPageMax: 64,
  /** Pages that had a lease of a part before, as far as they are remembered. */
  formersMax: 8,
  /** How long it is waited who else wants a part; pages wait for an answer for a quarter of a second. */
  gatherMs: 50,
  /** Who has to have a part sooner is answered at once. */
  gatherWithinMsMin: 2_000,
  /** Pages that wanted the same part within so long play alike. */
  companyMs: 20_000,
  /** What was granted counts half after so long. */
  grantedHalfMs: 30_000,
  /** Leases so much over the mean are more than a page's share. */
  shareSlack: 0.25,
  /** Expiries are looked at in steps. */
  stepMs: 100,
} as const

/** Trees of live renditions. */
export const treeLimits = {
  /** Followers up to which trees are flat: each one's stripe goes to all others. Two more, or fewer, change nothing that is planned. */
  flatMax: 8,
  flatSlack: 2,
  /** Stripes of larger ones, and the fewest. */
  stripes: 8,
  stripesMin: 4,
  /** Children of a page beyond the number of stripes: it sends some more than it takes. And where nobody else is left. */
  childrenBeyondStripes: 2,
  childrenStretch: 4,
  /** Groups below a group. */
  branches: 3,
  /** Plans of a rendition follow each other at this distance, with few followers and with many. */
  planMsMin: 50,
  planMsMax: 1_000,
  /** Followers up to which a plan is made at once when one leaves, and when one comes. */
  promptLeaveMax: 64,
  promptJoinMax: 16,
  /** An uplink and an age beyond which more is no better. */
  uploadBpsEnough: 20_000_000,
  steadyMs: 60_000,
  /** Weight of the newest part in what a rendition's bit rate is taken to be. */
  bpsWeight: 0.2,
  /** Renditions of one swarm with followers. */
  renditionsMax: 256,
  /** Digests for followers gather for so long for each of them, at the most so long: a message to each is what they cost. */
  digestMsPerFollower: 0.05,
  digestMsMax: 250,
} as const
