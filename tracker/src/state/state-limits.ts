/** The named limits of the state of one group, each with its reason. */
import { coordinationLimits } from '../coordination.ts'

const MIB = 1024 * 1024

/**
 * What a group holds at most. Every member carries out the same commands under the same limits, or their states would part:
 * these are part of the protocol (docs/protocol/tracker-state.md), never a setting of one peer.
 */
export interface GroupLimits {
  /** Keys of all keyspaces. */
  readonly keysMax: number
  /** Names of keyspaces, keys and values, with {@link itemOverheadBytes} for each key. */
  readonly bytesMax: number
  /** Leases that were granted and have not ended. */
  readonly leasesMax: number
  /** Keys that go with one lease: its end is one revision, which a watcher is told at once. */
  readonly keysPerLeaseMax: number
  /** Keys that one transaction changes; more are deleted in parts. Its changes too are told at once. */
  readonly changesMax: number
  /** Values that the gets of one transaction read: its answer is one frame. */
  readonly readBytesMax: number
}

/** The limits of every group. */
export const groupLimits: GroupLimits = {
  // A sixteenth of a region: eight million keys over all shards.
  keysMax: 500_000,
  // A snapshot is written and sent whole, and the limit of its file is four times this.
  bytesMax: 128 * MIB,
  // Two for each of 100,000 peers.
  leasesMax: 200_000,
  // Keys of the greatest length are 2 MiB of events, half a frame of the call lane.
  keysPerLeaseMax: coordinationLimits.leaseKeysMax,
  changesMax: coordinationLimits.transactionChangesMax,
  readBytesMax: coordinationLimits.transactionReadBytesMax,
}

/** What a key costs a member beside its bytes: numbers, token, places in the map and in the order. */
export const itemOverheadBytes = 128

/** Limits of one member that touch nobody else. Those that `GroupStateInit` names are its defaults. */
export const stateLimits = {
  /** Changes kept for watches: minutes of a busy group, so that a watch goes on after a change of leader. */
  historyChangesMax: 65_536,
  /** Keys and values among them; 17 groups of one peer stay below 300 MiB. */
  historyBytesMax: 16 * MIB,
  /** What a kept change costs beside its bytes. */
  historyOverheadBytes: 96,
  /** Watches of one group: each looks at every change of its keyspace. */
  watchesMax: 10_000,
  /** Bytes of items in one list, so that it fits a frame of the call lane; `more` says that there is more. */
  listBytesMax: 2 * MIB,
  /** Texts that a reader of commands knows again; a power of two. The keys that are written often are fewer. */
  knownTextsMax: 4_096,
  /** Longer ones are read anew. */
  knownTextBytesMax: 64,
  /** Keys in one piece of the ordered list: inserting moves half of it, finding one halves the number of pieces. */
  orderedPieceMax: 128,
} as const

/** Limits of whoever runs the leases of a group, the leader. */
export const leaseLimits = {
  /** Share by which a leader's clock may run faster than a holder's: a lease lasts that much longer here. */
  driftShare: 0.1,
  /** The deadlines are looked at this often at most, so that many of nearly one time are one command. */
  wakeGapMs: 20,
  /** An expiry that was proposed and did not happen is proposed again: proposals may be dropped. */
  proposeAgainMs: 1_000,
  /** Leases in one command, so that carrying it out takes no more than a few milliseconds. */
  expireLeasesMax: 256,
  /** A command is full, too, when its leases have this many keys together. */
  expireKeysMax: 4_096,
  /** Commands proposed at one wake; what is left waits for the next, so that clients' commands come in between. */
  expireCommandsMax: 16,
  /** Leases in one call of `renew`. */
  renewMax: 4_096,
} as const

/** A lease's id: term and index of the entry that granted it. */
export const leaseIdBytesMax = 32

/** Longest command: a transaction with the most bytes and steps, and what frames them. */
export const commandBytesMax: number =
  coordinationLimits.transactionBytesMax +
  coordinationLimits.transactionStepsMax * 64 +
  coordinationLimits.nameBytesMax +
  64
