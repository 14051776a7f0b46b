/** One keyspace in etcd. */
import type { Etcd3, IRangeResponse } from 'etcd3'
import type {
  CallOptions,
  KeyList,
  Keyspace,
  KeyValue,
  Transaction,
  TransactionResult,
  WatchBatch,
} from '../coordination.ts'
import {
  checkKey,
  checkLease,
  checkLimit,
  checkPrefix,
  checkRevision,
  checkTransaction,
} from '../coordination-check.ts'
import { TrackerError } from '../errors.ts'
import type { AttemptOptions, EtcdCalls } from './etcd-calls.ts'
import { isTooLarge } from './etcd-errors.ts'
import {
  itemFromEtcd,
  leaseToEtcd,
  transactionFromEtcd,
  transactionToEtcd,
} from './etcd-transaction.ts'
import type { KeyNames } from './key-names.ts'
import type { LeaseRenewals } from './lease-renewals.ts'

/** What a keyspace works with. */
export interface EtcdKeyspaceComponents {
  readonly client: Etcd3
  readonly calls: EtcdCalls
  readonly renewals: LeaseRenewals
  readonly names: KeyNames
  /** Starts a watch. */
  readonly watch: (
    names: KeyNames,
    prefix: string,
    options: { readonly after?: number; readonly signal?: AbortSignal },
  ) => AsyncIterable<WatchBatch>
}

/** {@link Keyspace} over etcd; what etcd does differently is evened out here. */
export class EtcdKeyspace implements Keyspace {
  readonly #components: EtcdKeyspaceComponents

  constructor(components: EtcdKeyspaceComponents) {
    this.#components = components
  }

  async get(key: string, options: CallOptions = {}): Promise<KeyValue | undefined> {
    checkKey(key)
    const { calls, client, names } = this.#components
    const request = { key: names.toEtcd(key) }
    const response = await calls.run('again', options, (o) => client.kv.range(request, o))
    const [kv] = response.kvs
    return kv === undefined ? undefined : itemFromEtcd(names, kv)
  }

  async list(
    prefix: string,
    options: CallOptions & { readonly limit?: number; readonly after?: string } = {},
  ): Promise<KeyList> {
    checkPrefix(prefix)
    const limit = checkLimit(options.limit)
    const { names, calls } = this.#components
    const first = names.toEtcd(prefix)
    let key = first
    if (options.after !== undefined) {
      checkKey(options.after)
      const next = names.after(options.after)
      if (Buffer.compare(next, first) > 0) key = next
    }
    const range = { key, range_end: names.endOf(prefix) }
    const response = await calls.run('again', options, (o) => this.#range(range, limit, o))
    const items = response.kvs.flatMap((kv) => itemFromEtcd(names, kv) ?? [])
    return { revision: Number(response.header.revision), items, more: response.more }
  }

  async transact(transaction: Transaction, options: CallOptions = {}): Promise<TransactionResult> {
    checkTransaction(transaction)
    const { calls, client, names } = this.#components
    const request = transactionToEtcd(names, transaction)
    const operations = [...transaction.then, ...(transaction.otherwise ?? [])]
    const kind = operations.every(({ type }) => type === 'get') ? 'again' : 'once'
    const response = await calls.run(kind, options, (o) => client.kv.txn(request, o))
    return transactionFromEtcd(names, transaction, response)
  }

  /** etcd counts in seconds: a lease lasts up to one longer. */
  async grantLease(ttlMs: number, options: CallOptions = {}): Promise<string> {
    checkLease(ttlMs)
    const { calls, client } = this.#components
    // Asked again after a lost answer, it leaves a lease that nobody knows, and that ends by itself.
    const request = { TTL: Math.ceil(ttlMs / 1000) }
    const lease = await calls.run('again', options, (o) =>
      client.leaseClient.leaseGrant(request, o),
    )
    if (lease.error !== '') throw new TrackerError('ERR_UNAVAILABLE', `no lease: ${lease.error}`)
    return lease.ID
  }

  async renewLease(leaseId: string, options: CallOptions = {}): Promise<void> {
    const { calls, renewals } = this.#components
    const id = leaseToEtcd(leaseId)
    await calls.run('again', options, (o) => renewals.renew(id, o))
  }

  async revokeLease(leaseId: string, options: CallOptions = {}): Promise<void> {
    const { calls, client } = this.#components
    const request = { ID: leaseToEtcd(leaseId) }
    try {
      await calls.run('again', options, (o) => client.leaseClient.leaseRevoke(request, o))
    } catch (error) {
      const isGone = error instanceof TrackerError && error.code === 'ERR_LEASE_NOT_FOUND'
      if (!isGone) throw error
    }
  }

  watch(
    prefix: string,
    options: { readonly after?: number; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<WatchBatch> {
    checkPrefix(prefix)
    if (options.after !== undefined) checkRevision(options.after)
    return this.#components.watch(this.#components.names, prefix, options)
  }

  /** A range whose answer would be too large is asked for in smaller parts. */
  async #range(
    range: { readonly key: Buffer; readonly range_end: Buffer },
    limitMax: number,
    options: AttemptOptions,
  ): Promise<IRangeResponse> {
    for (let limit = limitMax; ; limit = Math.ceil(limit / 4)) {
      try {
        return await this.#components.client.kv.range({ ...range, limit }, options)
      } catch (error) {
        if (!isTooLarge(error) || limit === 1) throw error
      }
    }
  }
}
