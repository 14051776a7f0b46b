/** The named limits of ownership, each with its reason. */
export const ownershipLimits = {
  /** Share of a lease's time that its holder does not use: by so much may clocks differ. */
  driftShare: 0.1,
  /** A lease is renewed when this share of its time has passed: a renewal may fail twice before it is over. */
  renewShare: 1 / 3,
  /** A renewal that failed is tried again after this share of the time. */
  retryShare: 1 / 20,
} as const
