/** What a member's groups offer to those who answer calls here. */
import type { KeyList, KeyValue } from '../coordination.ts'
import type { Watch, WatchListener } from '../state/watches.ts'

/** Who leads a group, as a member knows it. */
export interface Leadership {
  /** The term that this is of: what another member says of an older one is out of date. */
  readonly term: number
  /** The leader's libp2p peer id; undefined while there is none. */
  readonly peerId: string | undefined
}

/** The state of a group at this member. */
export interface GroupStore {
  readonly revision: number
  get(keyspace: string, key: string): KeyValue | undefined
  list(
    keyspace: string,
    prefix: string,
    options?: { readonly limit?: number; readonly after?: string },
  ): KeyList
  watch(keyspace: string, prefix: string, after: number | undefined, listener: WatchListener): Watch
  renewLeases(
    leaseIds: readonly string[],
    confirm: () => Promise<void>,
  ): Promise<readonly boolean[]>
}

/** The groups of this peer. */
export interface GroupAccess {
  /** Number of the region that they are of; requests that mean another one are refused. Default: 0. */
  readonly region?: number
  /** Groups that this peer has a part in. */
  readonly groups: Iterable<number>
  /** The leader's libp2p peer id; undefined while there is none, or when this peer has no part in the group. */
  leaderPeerId(group: number): string | undefined
  /** The same with its term; undefined when this peer has no part in the group. */
  leadership(group: number): Leadership | undefined
  /** Calls back when this peer begins to lead a group, and when it does so no longer. Returns what ends that. */
  onLeadership(listener: (group: number) => void): () => void
  /**
   * Proposes a command.
   * @returns what the state machine made of it
   * @throws TrackerError ERR_NOT_LEADER, ERR_UNAVAILABLE, ERR_OVERLOADED, ERR_STORAGE when it was not appended, ERR_UNKNOWN_OUTCOME when it was
   */
  propose(group: number, command: Uint8Array): Promise<unknown>
  /**
   * Passes when this member has applied all that was acknowledged anywhere before.
   * @throws TrackerError ERR_NOT_LEADER, ERR_UNAVAILABLE
   */
  barrier(group: number): Promise<void>
  /** The state of a group; undefined when this peer has no part in it. */
  store(group: number): GroupStore | undefined
}
