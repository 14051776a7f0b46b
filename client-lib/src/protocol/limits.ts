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
  /** The longest that an edge may let a page wait for another one; no span on the wire is longer. */
  waitMsMax: 60_000,
  /** How often an edge may ask for a page's state at the most; more often it would be the state that fills the line. */
  stateEveryMsMin: 100,
  /** Segments in one run of what a page holds: more than fit in a page's memory at 64 KiB each. */
  runPartsMax: 1_024,
  /** A rate, bits a second: ten times what a machine of a viewer has; what is beyond it was measured wrongly. */
  bpsMax: 10_000_000_000,
  /** Characters of a session, which an edge signs for itself. */
  sessionCharsMax: 512,
  /** ICE servers and edges that a page is told, and URLs of one server. */
  serversMax: 8,
  /** Characters of a URL. */
  urlCharsMax: 1_024,
  /** Characters of a user name or credential of an ICE server. */
  credentialCharsMax: 1_024,
  /** Characters of why there is no swarm. */
  detailCharsMax: 512,
} as const
