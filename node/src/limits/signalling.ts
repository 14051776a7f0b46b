/** Bounds of the signalling of browsers: what strangers may make this peer read, hold and pass on. */

const KiB = 1024

/** The WebTorrent tracker. */
export const webtorrentLimits = {
  /** Connections at once. One holds some 20 KB, and `messageBytesMax` more while a message comes in pieces. */
  connectionsMax: 20_000,
  /** Of them of one address: half of the connections that it may have by default, since players behind one address need the others for media. */
  connectionsPerAddressMax: 512,
  /** One message: the five offers that clients send at a time, each as long as it may be. */
  messageBytesMax: 64 * KiB,
  /** Pieces that a message may come in, as frames and as reads of the socket; browsers send one frame, and slow networks carry 500 bytes at a time. */
  fragmentsMax: 16,
  chunksMax: 512,
  /** Messages and pings a second of one connection, and how many may come at once: an announce for each swarm, and an answer to each offer that it is given. */
  messagesPerSecondMax: 20,
  messageBurstMax: 100,
  /** Offers a second that one connection is given, and how many at once; fewer than it may answer, so that offers to it never cost it its connection. */
  offersGivenPerSecondMax: 10,
  offersGivenBurstMax: 50,
  /** Offers of one connection that may still be answered, the newest ones: clients forget theirs after 50 seconds. */
  offeredMax: 64,
  /** Swarms of this peer. */
  swarmsMax: 50_000,
  /** Peers of one swarm; of so many, those that more of them would find are no better. */
  peersPerSwarmMax: 10_000,
  /** Swarms that one connection is in, as one peer or as several; the longest quiet one is left for a new one: a player is in two, and leaves those of other qualities without a word. */
  peersPerConnectionMax: 16,
  /** Offers of one announce that are passed on; bittorrent-tracker sends five, others up to ten. */
  offersMax: 10,
  /** Characters of a session description: one with forty candidates has about five thousand. */
  sdpCharsMax: 12 * KiB,
  /** Swarms of one scrape. */
  scrapedMax: 64,
  /** Bytes waiting for a client that does not read; more ends its connection. */
  unsentBytesMax: 256 * KiB,
  /** How often clients are asked to announce themselves. Each time they make five fresh offers, which costs them some; new peers come to them without. */
  announceIntervalMs: 60_000,
  /** A peer that announced itself longest ago has left: three times the interval, since tabs in the background run timers once a minute. */
  announceMsMax: 180_000,
  /** Time between pings; half of what most proxies and NATs keep a quiet connection for. One that does not answer until the next one is gone. */
  pingIntervalMs: 25_000,
  /** How often connections are looked for that are due a ping, and how many are pinged then, so that pings never hold up the rest. */
  sweepMs: 250,
  pingsPerSweepMax: 250,
  /** Time without a swarm after which a connection ends; clients announce at once. */
  idleMsMax: 60_000,
  /** Time that a client has to answer a close. */
  closeGraceMs: 2_000,
} as const
