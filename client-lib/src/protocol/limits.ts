/** Bounds of what pages and edges tell each other; both sides refuse what is beyond them. */
export const protocolLimits = {
  /** Of one message between page and edge, as text. */
  edgeMessageCharsMax: 65_536,
  /** Of one control message between pages, as text. */
  meshMessageCharsMax: 16_384,
  /** Bytes of a part in one message between pages; browsers take 16 KiB from each other without splitting. */
  chunkBytesMax: 16_384,
  /** Of a part or segment; what is longer is no matter for the swarm and comes by HTTP. */
  partBytesMax: 64 * 1_048_576,
  /** Parts named in one message. */
  partsPerMessageMax: 256,
  /** Peers named in one message. */
  peersPerMessageMax: 64,
  /** Stripes of a rendition. */
  stripesMax: 16,
  /** Characters of a session description or candidate. */
  signalCharsMax: 16_384,
  /** Characters of the name of a swarm. */
  swarmCharsMax: 256,
  /** Characters of a ticket. */
  ticketCharsMax: 2_048,
  /** The longest that an edge may let a page wait for another one. */
  waitMsMax: 60_000,
} as const
