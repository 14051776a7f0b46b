/**
 * What callers of the tracker work with, whatever engine stands behind it: the region's own Raft groups, or an etcd that the operator runs
 * already. Small values under keys, changed by compare-and-set, owned by leases, watched from a revision.
 *
 * Keys lie in **keyspaces**. All of one keyspace lies in one Raft group: it is linearizable, has one revision that grows with each change,
 * and a transaction may touch any of it. Nothing is promised between keyspaces.
 */

/** The keyspace of what concerns the whole region: members, roles, configuration. */
export const regionKeyspace = 'region'

/** Proof of who came later: a resource that remembers the largest token it saw refuses older ones. Ordered by term, then index. */
export interface FencingToken {
  readonly term: number
  readonly index: number
}

/** One key. */
export interface KeyValue {
  readonly key: string
  readonly value: Uint8Array
  /** The keyspace's revision at which the key came to be, and changed last. */
  readonly createRevision: number
  readonly modRevision: number
  /** Of the change that made the key: a lock's key carries its owner's token. */
  readonly token: FencingToken
  /** The lease with which the key goes; undefined for one that stays. */
  readonly leaseId: string | undefined
}

/** A condition of a transaction, on one key. */
export type Comparison =
  | { readonly key: string; readonly exists: boolean }
  | { readonly key: string; readonly modRevision: number }
  | { readonly key: string; readonly createRevision: number }
  | { readonly key: string; readonly value: Uint8Array }
  | { readonly key: string; readonly leaseId: string }

/** One step of a transaction. A prefix of '' is all keys. */
export type Operation =
  | {
      readonly type: 'put'
      readonly key: string
      readonly value: Uint8Array
      readonly leaseId?: string
    }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'delete-prefix'; readonly prefix: string }
  | { readonly type: 'get'; readonly key: string }

/**
 * If all of `when` holds, `then` is done, else `otherwise`; all at once and by nobody else meanwhile. Steps are done in order, and a `get`
 * sees those before it. A branch puts no key twice, and none that it deletes: a key changes once in a revision.
 */
export interface Transaction {
  readonly when?: readonly Comparison[]
  readonly then: readonly Operation[]
  readonly otherwise?: readonly Operation[]
}

/** What became of a transaction. */
export interface TransactionResult {
  /** True when `then` was done. */
  readonly succeeded: boolean
  /** The keyspace's revision after it. */
  readonly revision: number
  /** The entry of this transaction: a lock that it took is fenced by it. */
  readonly token: FencingToken
  /** One for each operation that was done: what was put or got (undefined: not there), or how many were deleted. */
  readonly results: readonly OperationResult[]
}

/** What one operation brought. */
export type OperationResult =
  | { readonly type: 'put'; readonly item: KeyValue }
  | { readonly type: 'deleted'; readonly count: number }
  | { readonly type: 'got'; readonly item: KeyValue | undefined }

/** Keys under a prefix. */
export interface KeyList {
  /** The keyspace's revision as of which this is true. */
  readonly revision: number
  /** In ascending order of their UTF-8 bytes. */
  readonly items: readonly KeyValue[]
  /** True when there are more: ask again with the last key as `after`. */
  readonly more: boolean
}

/** Changes of one revision, in order. */
export interface WatchBatch {
  readonly revision: number
  readonly events: readonly WatchEvent[]
}

/** One change of a key. */
export type WatchEvent =
  | { readonly type: 'put'; readonly item: KeyValue }
  | { readonly type: 'deleted'; readonly key: string }

/** Options of every call. */
export interface CallOptions {
  /** Gives the call up: it throws the signal's reason, and may have been done all the same. */
  readonly signal?: AbortSignal
  /** Milliseconds until the call is given up. Default {@link coordinationLimits}.callMs. */
  readonly timeoutMs?: number
}

/** One keyspace. All calls throw TrackerError ERR_UNAVAILABLE, ERR_OVERLOADED, ERR_INVALID_INPUT, ERR_STOPPED. */
export interface Keyspace {
  /** One key, linearizable: at least as new as anything acknowledged before the call. */
  get(key: string, options?: CallOptions): Promise<KeyValue | undefined>
  /** Keys under a prefix ('' for all), linearizable, at most {@link coordinationLimits}.listMax at once. */
  list(
    prefix: string,
    options?: CallOptions & { readonly limit?: number; readonly after?: string },
  ): Promise<KeyList>
  /**
   * Carries out a transaction.
   * @throws TrackerError ERR_UNKNOWN_OUTCOME when it may or may not have been done; ERR_LEASE_NOT_FOUND when it puts with a lease that is
   *   not there, in which case nothing was done
   */
  transact(transaction: Transaction, options?: CallOptions): Promise<TransactionResult>
  /** Grants a lease: keys put with it go when it ends. It ends `ttlMs` after the last renewal at the earliest, and soon after that. */
  grantLease(ttlMs: number, options?: CallOptions): Promise<string>
  /** Begins the lease's time anew, counted from when this call was made. @throws TrackerError ERR_LEASE_NOT_FOUND */
  renewLease(leaseId: string, options?: CallOptions): Promise<void>
  /** Ends a lease and deletes its keys. One that is not there is no error. */
  revokeLease(leaseId: string, options?: CallOptions): Promise<void>
  /**
   * Every change under a prefix after a revision, in order and none twice, until the signal is aborted; without a revision, from now on. Goes
   * on by itself at another member when its own is gone.
   * @throws TrackerError ERR_COMPACTED when changes after that revision are forgotten
   */
  watch(
    prefix: string,
    options?: { readonly after?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<WatchBatch>
}

/** Coordination for one region. */
export interface Coordination {
  /** A keyspace by its name, 1 to {@link coordinationLimits}.nameBytesMax bytes. Cheap; nothing is asked. */
  keyspace(name: string): Keyspace
  /** Ends all watches and calls. */
  stop(): Promise<void>
}

/** Limits that hold for every engine, so that what works with one works with the other. */
export const coordinationLimits = {
  /** A call: five elections of the slowest kind. */
  callMs: 5_000,
  /** Name of a keyspace, UTF-8 bytes: a stream's id with room for a kind. */
  nameBytesMax: 256,
  /** A key, UTF-8 bytes. */
  keyBytesMax: 1_024,
  /** A value: this is for who owns what, not for media. */
  valueBytesMax: 256 * 1024,
  /** Comparisons and operations of one transaction. */
  transactionStepsMax: 128,
  /** All keys and values of one transaction: a command is one entry of the log. */
  transactionBytesMax: 1024 * 1024,
  /**
   * Keys that one transaction changes, with what lies under the prefixes that it deletes: watches are told of them at once. An engine may
   * refuse more with ERR_OVERLOADED; delete in parts.
   */
  transactionChangesMax: 2_048,
  /** Values that the gets of one transaction bring; more may be refused likewise. */
  transactionReadBytesMax: 2 * 1024 * 1024,
  /** Keys of one lease, for its end is told at once, too; more may be refused likewise. */
  leaseKeysMax: 2_048,
  /** Keys in one list, so that an answer is bounded. */
  listMax: 1_000,
  /** The shortest lease: above the longest election, so that no lease ends because its leader changed. */
  leaseMsMin: 2_000,
  /** The longest: whoever wants longer keeps no lease but a key. */
  leaseMsMax: 3_600_000,
} as const
