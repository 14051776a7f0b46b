/** Bounds by which the HTTP server shelters itself from those who ask for too much, and from all together asking for more than it can do. */

/** Clients, one by one. What one address may do is a setting (`requestsPerSecondMax`, `connectionsPerAddressMax`). */
export const clientLimits = {
  /** What a subnet (/24, /48) may do, in terms of one of its addresses: many homes share one, an attacker who rents one has it whole. */
  subnetShare: 4,
  /** Seconds of its rate that a client may use at once: a page with all its pictures, a player that comes back. */
  burstS: 2,
  /** Addresses, and subnets, that are remembered; the ones seen longest ago go, those without a connection first. */
  addressesMax: 65_536,
  /** Of those seen longest ago, how many are looked at for one without a connection. */
  evictionLookMax: 16,
  /** Requests of one connection under way at once at the ordinary server: browsers wait for each answer, pipelines do not. */
  inFlightPerConnectionMax: 32,
  /** Hops of X-Forwarded-For or Forwarded that are read, from the nearest. */
  hopsMax: 32,
  /** Seconds after which a client that did too much is asked to come back. */
  retryAfterS: 1,
} as const

/** The whole server. */
export const overloadLimits = {
  /** Requests under way at the ordinary server; each holds some 20 KB besides its bodies. The fast lane has one a connection at the most. */
  inFlightMax: 10_000,
  /** Requests of the operator under way at once while all others are turned away: enough to look, purge and switch things off. */
  operatorInFlightMax: 16,
  /** How often the event loop and the memory are looked at. */
  tickMs: 250,
  /** How late that look comes when the event loop is overloaded, and when it is no more. */
  lagMsHigh: 500,
  lagMsLow: 100,
  /** Share of the heap that may be in use, and of the memory that this process or its container may have. */
  memoryShareHigh: 0.9,
  memoryShareLow: 0.8,
  /** Looks in a row that must find it so: a pause for garbage collection is one late look. */
  looksToRise: 2,
  looksToFall: 4,
  /** Seconds after which whoever was turned away is asked to come back. */
  retryAfterS: 2,
} as const
