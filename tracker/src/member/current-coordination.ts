/** {@link Coordination} for the region that this peer is in at the moment of each call: callers keep it while the peer changes its region. */
import type {
  CallOptions,
  Coordination,
  KeyList,
  Keyspace,
  KeyValue,
  Transaction,
  TransactionResult,
  WatchBatch,
} from '../coordination.ts'
import { checkName } from '../coordination-check.ts'
import { TrackerError } from '../errors.ts'

/** Coordination that may be there or not. */
export class CurrentCoordination implements Coordination {
  readonly #current: () => Coordination | undefined

  /** @param current that of the region that this peer is in; undefined while it is in none */
  constructor(current: () => Coordination | undefined) {
    this.#current = current
  }

  keyspace(name: string): Keyspace {
    checkName(name)
    return new CurrentKeyspace(() => {
      const coordination = this.#current()
      if (coordination === undefined)
        throw new TrackerError('ERR_UNAVAILABLE', 'this peer is in no region yet')
      return coordination.keyspace(name)
    })
  }

  /** Whoever opened the region ends it. */
  async stop(): Promise<void> {}
}

class CurrentKeyspace implements Keyspace {
  readonly #current: () => Keyspace

  constructor(current: () => Keyspace) {
    this.#current = current
  }

  async get(key: string, options?: CallOptions): Promise<KeyValue | undefined> {
    return await this.#current().get(key, options)
  }

  async list(
    prefix: string,
    options?: CallOptions & { readonly limit?: number; readonly after?: string },
  ): Promise<KeyList> {
    return await this.#current().list(prefix, options)
  }

  async transact(transaction: Transaction, options?: CallOptions): Promise<TransactionResult> {
    return await this.#current().transact(transaction, options)
  }

  async grantLease(ttlMs: number, options?: CallOptions): Promise<string> {
    return await this.#current().grantLease(ttlMs, options)
  }

  async renewLease(leaseId: string, options?: CallOptions): Promise<void> {
    await this.#current().renewLease(leaseId, options)
  }

  async revokeLease(leaseId: string, options?: CallOptions): Promise<void> {
    await this.#current().revokeLease(leaseId, options)
  }

  async *watch(
    prefix: string,
    options?: { readonly after?: number; readonly signal?: AbortSignal },
  ): AsyncGenerator<WatchBatch, void, undefined> {
    yield* this.#current().watch(prefix, options)
  }
}
