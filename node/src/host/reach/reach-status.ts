/** What is told of how this peer is reached. */
import type { NatStatus } from './nat-status.ts'

/** How this peer is reached, for `kairo doctor` and status pages. */
export interface ReachStatus {
  readonly nat: NatStatus
  /** Own public addresses, and whether another peer has dialled them. */
  readonly publicAddresses: readonly { readonly multiaddr: string; readonly verified: boolean }[]
  /** Ids of the relays through which this peer is reached. */
  readonly relays: readonly string[]
  /** What this peer relays for others; undefined when it does not. */
  readonly relaying: { readonly reservations: number; readonly connections: number } | undefined
  /** Open connections of either kind. */
  readonly connections: { readonly direct: number; readonly relayed: number }
  /** Relayed connections that were to become direct ones, and those that did. */
  readonly holePunches: { readonly tried: number; readonly succeeded: number }
}

/** The status of a host that does not run. */
export const reachUnknown: ReachStatus = {
  nat: 'unknown',
  publicAddresses: [],
  relays: [],
  relaying: undefined,
  connections: { direct: 0, relayed: 0 },
  holePunches: { tried: 0, succeeded: 0 },
}
