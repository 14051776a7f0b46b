/** {@link Coordination} whose calls are made in the tracker's thread. */
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
import type { PortCalls } from './port-calls.ts'

/** Coordination over a port. */
export class ThreadCoordination implements Coordination {
  readonly #calls: () => PortCalls

  /** @param calls to the thread; throws while there is none */
  constructor(calls: () => PortCalls) {
    this.#calls = calls
  }

  keyspace(name: string): Keyspace {
    checkName(name)
    return new ThreadKeyspace(name, this.#calls)
  }

  /** The thread's end ends its calls. */
  async stop(): Promise<void> {}
}

class ThreadKeyspace implements Keyspace {
  readonly #name: string
  readonly #calls: () => PortCalls

  constructor(name: string, calls: () => PortCalls) {
    this.#name = name
    this.#calls = calls
  }

  async get(key: string, options: CallOptions = {}): Promise<KeyValue | undefined> {
    return (await this.#call('get', key, options)) as KeyValue | undefined
  }

  async list(
    prefix: string,
    options: CallOptions & { readonly limit?: number; readonly after?: string } = {},
  ): Promise<KeyList> {
    return (await this.#call('list', prefix, options)) as KeyList
  }

  async transact(transaction: Transaction, options: CallOptions = {}): Promise<TransactionResult> {
    return (await this.#call('transact', transaction, options)) as TransactionResult
  }

  async grantLease(ttlMs: number, options: CallOptions = {}): Promise<string> {
    return (await this.#call('grantLease', ttlMs, options)) as string
  }

  async renewLease(leaseId: string, options: CallOptions = {}): Promise<void> {
    await this.#call('renewLease', leaseId, options)
  }

  async revokeLease(leaseId: string, options: CallOptions = {}): Promise<void> {
    await this.#call('revokeLease', leaseId, options)
  }

  watch(
    prefix: string,
    { signal, ...options }: { readonly after?: number; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<WatchBatch> {
    const args = [this.#name, prefix, options]
    return this.#calls().stream('watch', args, signal) as AsyncGenerator<WatchBatch>
  }

  async #call(
    method: string,
    what: unknown,
    { signal, ...options }: CallOptions,
  ): Promise<unknown> {
    return await this.#calls().call(method, [this.#name, what, options], signal)
  }
}
