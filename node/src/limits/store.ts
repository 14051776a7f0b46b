/** Bounds of the content store. Its bytes and files are settings. */

const KiB = 1024
const MiB = 1024 * KiB

/** The content store. */
export const storeLimits = {
  /** Objects in RAM, whatever their size: each costs some 250 bytes beside its own. */
  memoryEntriesMax: 500_000,
  /** Files of cached objects where the operator says nothing. */
  diskFilesMax: 1_000_000,
  /** Keys remembered of objects that left a tier, some 200 bytes each. */
  ghostsMax: 100_000,
  /** Share of the disk cache's bytes and files that kept objects may have, so that live streams have some too. */
  keptShareMax: 0.9,
  /** Kept objects listed by one answer of the API. */
  keptPageObjects: 1_000,
  /** Tenants and streams with objects on disk; objects of further ones count for nobody. */
  ownersMax: 100_000,
  /** Bytes of a tenant's or stream's name. */
  ownerNameBytesMax: 256,
  /** Objects of one owner that go round for one that leaves. */
  quotaRoundsMax: 256,
  /** Removals that wait; beyond it nothing is written, or more would lie on disk than is counted. */
  removalsMax: 50_000,
  /** Time after which what changed on disk is in the catalog; what a crash loses of it is known to nobody's account. */
  catalogFlushMs: 1_000,
  /** Changes that wait for the catalog's file; beyond it the whole is written anew. */
  catalogPendingBytesMax: 4 * MiB,
  /** One batch of records of the catalog. */
  catalogBatchBytesMax: 64 * KiB,
  /** Records in the catalog beyond twice the objects there are, before it is written anew. */
  catalogSlackRecords: 10_000,
  /** Folders looked through at once at the start. */
  scanFoldersMax: 4,
  /** Objects taken over in one turn of the event loop at the start. */
  restoreSliceObjects: 500,
  /** Objects up to this size are hashed at once, in about a millisecond; larger ones in another thread. */
  hashInlineBytesMax: 1 * MiB,
} as const
