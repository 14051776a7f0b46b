/** The scheduler's figures; times in milliseconds. */
export const schedulerLimits = {
  /** Parts that are known about at once; the oldest that nobody wants are forgotten. */
  partsMax: 4_096,
  /** Peers of a part that are remembered. */
  holdersMax: 32,
  /** Asks under way at one peer. */
  asksPerPeerMax: 8,
  /** How long a wish waits for the edge's answer before HTTP takes it. */
  edgeWaitMs: 250,
  /** How long a peer may send nothing of an ask, beyond four round trips, until another source is tried. */
  silentMs: 400,
  /** So much before the deadline, beyond what the bytes will take, HTTP takes over what is missing. */
  marginMs: 150,
  /** A fetch that somebody else has the lease of goes on when so little of it is left. */
  finishMs: 250,
  /** Silences and refusals after which a peer is dropped. */
  faultsMax: 3,
  /** What is assumed of HTTP until it was measured, bits a second. */
  httpBpsFirst: 8_000_000,
} as const
