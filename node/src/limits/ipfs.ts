/** Bounds of the IPFS room: names, blocks, walks over trees, archives, pins, the gateway and bitswap. */

const KiB = 1024
const MiB = 1024 * KiB

/** Names, blocks and walks. */
export const ipfsLimits = {
  /** Characters of a CID: an identity CID with its bytes inline is the longest that is taken. */
  cidCharsMax: 256,
  /** Bytes inline in an identity CID. */
  inlineBytesMax: 128,
  /** One block that comes from outside, or is decoded: what every IPFS implementation takes. */
  blockBytesMax: 2 * MiB,
  /** Blocks of one tree, so that every name it has fits in memory: 64 GiB in chunks of 256 KiB. */
  treeBlocksMax: 262_144,
  /** Links from the root to the deepest block; a file of a petabyte has seven, a folder one more for each level. */
  treeDepthMax: 256,
  /** Links of blocks on the way to the deepest one that are still to be followed. */
  pendingLinksMax: 262_144,
  /** Segments of a path below a CID, and its characters. */
  pathSegmentsMax: 64,
  pathCharsMax: 4_096,
  /** Entries of a folder that is listed or exported, at all levels together. */
  entriesMax: 100_000,
  /** Nested arrays and maps in a DAG-CBOR block. */
  cborDepthMax: 64,
  /** Values in a DAG-CBOR block. */
  cborItemsMax: 65_536,
  /** Head of a CAR: one root takes some 60 bytes. */
  carHeadBytesMax: 16 * KiB,
  /** Bytes that an archive may be read ahead. */
  readAheadBytesMax: 4 * MiB,
  /** Pinned trees. */
  pinsMax: 10_000,
  /** Blocks that the store is told of together when a tree goes: it writes them down with one call. */
  keepsMax: 1_024,
  /** Trees that are added at once: each holds the names of its blocks. */
  addsMax: 8,
  /** Time for one block to come from other peers; bitswap has no time-out of its own. */
  blockTimeoutMs: 30_000,
  /** Blocks that are fetched ahead when a tree is taken from other peers. */
  fetchesMax: 16,
} as const

/** The trustless gateway. */
export const gatewayLimits = {
  /** Requests at once, and of one address. */
  requestsMax: 64,
  requestsPerAddressMax: 16,
  /** Time to look for a block at other Kairo peers. */
  findTimeoutMs: 5_000,
  /** Kairo peers asked for a block. */
  providersMax: 4,
  /** Look-ups at other peers that run at once for clients; further blocks count as missing. */
  lookupsMax: 64,
  /** Blocks that no peer had, and for how long nobody is asked again: a stranger must not make work by inventing names. */
  missesMax: 10_000,
  missMs: 30_000,
  /** Blocks of a CAR with duplicates: a tree of forty small blocks can hold one of them a billion times over. */
  duplicateBlocksMax: 65_536,
  /** Characters of a file name that a client chooses for a download. */
  filenameCharsMax: 255,
  /** Ranges of an Accept field that are looked at. */
  acceptRangesMax: 32,
} as const

/** Bitswap. */
export const bitswapLimits = {
  /** Streams at once over one connection, either way. Kubo keeps one. */
  inboundStreamsMax: 64,
  outboundStreamsMax: 64,
  /** Wants of one peer that are remembered, as many as Kubo remembers: one that is dropped is never answered. */
  wantsPerPeerMax: 1_024,
  /** One message, either way: what Kubo takes is 4 MiB. */
  messageBytesMax: 4 * MiB - 64 * KiB,
  /** A message that began and has not left or come in this time ends its stream; between messages a stream may be quiet. */
  messageTimeoutMs: 10_000,
  /** Bytes that all peers together get in a second; with the time-out of messages this bounds what waits in memory for slow ones. */
  servedBytesPerSecondMax: 32 * MiB,
  /** Bytes served at once before the pace above counts. */
  servedBurstBytes: 16 * MiB,
  /** Blocks that wait for their turn in that pace; further ones are not given. */
  servedQueueMax: 4_096,
  /** Peers that are dialled for one request of the operator. */
  peersMax: 16,
  /** Blocks that we ask others for at once. */
  wantsMax: 256,
} as const
