/** What can be done to the state of a group, and what comes of it. */
import type { Transaction, TransactionResult } from '../coordination.ts'
import type { TrackerErrorCode } from '../errors.ts'
import type { ByteText } from './key-text.ts'

/** A command before it becomes bytes. */
export type Command =
  | {
      readonly type: 'transact'
      readonly keyspace: string
      readonly transaction: Transaction
    }
  | { readonly type: 'grant-lease'; readonly ttlMs: number }
  | { readonly type: 'revoke-lease'; readonly leaseId: string }
  /** Ends leases that ran out at the leader of `term`; void in an entry of any other term. */
  | { readonly type: 'expire-leases'; readonly term: number; readonly leaseIds: readonly string[] }
  /** Forgets changes up to a revision. */
  | { readonly type: 'compact'; readonly revision: number }

/** What became of a command: the same at every member. */
export type CommandResult =
  | ({ readonly type: 'transacted' } & TransactionResult)
  | { readonly type: 'granted'; readonly leaseId: string; readonly ttlMs: number }
  | { readonly type: 'revoked'; readonly revision: number }
  | { readonly type: 'expired'; readonly count: number; readonly revision: number }
  | { readonly type: 'compacted'; readonly revision: number }
  /** Nothing was done. */
  | { readonly type: 'refused'; readonly code: TrackerErrorCode; readonly message: string }

/** Kinds of commands as their first byte. New ones go to the end, and are proposed once every member knows them. */
export const commandKinds = {
  transact: 1,
  grantLease: 2,
  revokeLease: 3,
  expireLeases: 4,
  compact: 5,
} as const

/** Kinds of comparisons. */
export const comparisonKinds = {
  missing: 1,
  exists: 2,
  modRevision: 3,
  createRevision: 4,
  value: 5,
  leaseId: 6,
} as const

/** Kinds of operations. */
export const operationKinds = { put: 1, delete: 2, deletePrefix: 3, get: 4 } as const

/** A comparison as it is carried out. */
export interface ComparisonStep {
  readonly kind: number
  readonly order: ByteText
  /** `modRevision`, `createRevision`. */
  readonly revision: number
  /** `value`. */
  readonly value: Uint8Array
  /** `leaseId`. */
  readonly leaseId: string
}

/** An operation as it is carried out; `order` is a prefix in `deletePrefix`. */
export interface OperationStep {
  readonly kind: number
  readonly order: ByteText
  /** `put`. */
  readonly value: Uint8Array
  /** `put`: '' for a key that stays. */
  readonly leaseId: string
}

/** A transaction as it is carried out. */
export interface TransactionSteps {
  readonly kind: typeof commandKinds.transact
  readonly keyspace: ByteText
  readonly when: readonly ComparisonStep[]
  readonly then: readonly OperationStep[]
  readonly otherwise: readonly OperationStep[]
}

/** A command as it is carried out. */
export type DecodedCommand =
  | TransactionSteps
  | { readonly kind: typeof commandKinds.grantLease; readonly ttlMs: number }
  | { readonly kind: typeof commandKinds.revokeLease; readonly leaseId: string }
  | {
      readonly kind: typeof commandKinds.expireLeases
      readonly term: number
      readonly leaseIds: readonly string[]
    }
  | { readonly kind: typeof commandKinds.compact; readonly revision: number }
