/** Bounds of the replication of popular objects. */

const MiB = 1024 * 1024

/** Replication of popular objects. */
export const replicationLimits = {
  /** Share of the disk for cached objects that those offered by others may take. */
  diskShare: 0.25,
  /** Objects whose popularity is counted, some 300 bytes each; one with more than a 4,096th of all requests is never missed. */
  keysMax: 4_096,
  /** Of this many reads one is counted, for all of them: reads from RAM come with every request. */
  sampleEvery: 8,
  /** Time in which a count halves. */
  halfLifeMs: 120_000,
  /** Time between looks at what is popular. */
  intervalMs: 5_000,
  /** Decayed requests from which an object is popular: some six a minute that go on. */
  popularMin: 48,
  /** Each time an object is this many times as popular, one copy more a region. */
  copyStep: 4,
  /** Copies of one object in one region, beside the peers that have it anyhow. */
  copiesMax: 4,
  /** Regions that a popular object is offered to. */
  regionsMax: 32,
  /** Objects looked at in one turn. */
  popularMax: 64,
  /** Peers that are sent an offer in one turn. */
  offersMax: 64,
  /** Objects named by one offer. */
  offerObjectsMax: 64,
  /** Time for a peer to answer an offer. */
  offerMsMax: 5_000,
  /** Time until an object that is still popular is offered to the same peer again, which may have let it go. */
  offerAgainMs: 600_000,
  /** Offers remembered: objects times peers. */
  offeredMax: 16_384,
  /** Offered objects that wait to be fetched, and of them those of one peer. */
  queueMax: 1_024,
  queuePerPeerMax: 256,
  /** Offered objects fetched at once; players' fetches go on beside them. */
  fetchesMax: 2,
  /** Bytes of offered objects fetched a second, and in one go after a pause. */
  bytesPerSecondMax: 8 * MiB,
  burstBytesMax: 64 * MiB,
  /** Time for one offered object to come. */
  fetchMsMax: 30_000,
  /** Time between looks for kept objects that are not here any more. */
  mendIntervalMs: 60_000,
  /** Kept objects that are fetched again in one look. */
  mendMax: 32,
  /** Peers asked for a kept object that is not here. */
  obtainPeersMax: 8,
} as const
