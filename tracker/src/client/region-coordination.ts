/** {@link Coordination} over the region's own Raft groups. */
import type { Clock } from '../clock.ts'
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
import {
  checkKey,
  checkLease,
  checkLimit,
  checkName,
  checkPrefix,
  checkRevision,
} from '../coordination-check.ts'
import { TrackerError } from '../errors.ts'
import { groupOf } from '../region/shard-of.ts'
import { encodeCommand } from '../state/encode-command.ts'
import { type CallLane, callServices } from './call-lane.ts'
import { regionClientLimits } from './call-limits.ts'
import {
  decodeGranted,
  decodeItem,
  decodeList,
  decodeTransacted,
  encodeRequest,
} from './coordination-codec.ts'
import { LeaderBook, type RegionMembers } from './leader-book.ts'
import { RegionCalls, stopped } from './region-calls.ts'
import { RegionWatch } from './region-watch.ts'
import { encodeSoftRequest } from './soft-request.ts'

/** What the client works with. */
export interface RegionCoordinationComponents {
  readonly lane: CallLane
  readonly clock: Clock
  readonly members: RegionMembers
  /** Somebody leads a group in a term of which nothing was known. */
  readonly onLeader?: ((group: number) => void) | undefined
}

/** Coordination over the region that this peer is in, or knows members of. */
export class RegionCoordination implements Coordination {
  readonly #components: RegionCoordinationComponents
  readonly #book: LeaderBook
  readonly #calls: RegionCalls
  readonly #stop = new AbortController()
  #watches = 0

  constructor(components: RegionCoordinationComponents) {
    const { lane, clock } = components
    this.#components = components
    this.#book = new LeaderBook(components)
    this.#calls = new RegionCalls({ lane, clock, book: this.#book })
  }

  /** Calls, further attempts, calls refused because too many waited, calls of which nobody knows what became, and leaders followed. */
  get counters(): RegionCalls['counters'] & LeaderBook['counters'] & { readonly watches: number } {
    return { ...this.#calls.counters, ...this.#book.counters, watches: this.#watches }
  }

  keyspace(name: string): Keyspace {
    checkName(name)
    return new RegionKeyspace(name, this.#calls, (prefix, options) =>
      this.#watch(name, prefix, options),
    )
  }

  /**
   * Brings a message of the soft state to the leader of a shard; saying it twice does no harm.
   * @throws TrackerError ERR_UNAVAILABLE, ERR_OVERLOADED, ERR_INVALID_INPUT, ERR_STOPPED
   */
  tellLeader(shard: number, message: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    const request = encodeSoftRequest({ region: this.#calls.region, shard, message })
    return this.#calls.run('again', shard, request, options, callServices.soft)
  }

  async stop(): Promise<void> {
    if (this.#calls.isStopped) return
    this.#calls.stop()
    this.#stop.abort()
    this.#book.stop()
  }

  async *#watch(
    keyspace: string,
    prefix: string,
    options: { readonly after?: number; readonly signal?: AbortSignal },
  ): AsyncGenerator<WatchBatch, void, undefined> {
    const stop = this.#stop.signal
    if (stop.aborted) throw stopped()
    if (this.#watches >= regionClientLimits.watchesMax) {
      const message = `${regionClientLimits.watchesMax} watches are open already`
      throw new TrackerError('ERR_OVERLOADED', message)
    }
    const { lane } = this.#components
    const { after } = options
    const signal = options.signal ? AbortSignal.any([options.signal, stop]) : stop
    const init = { group: groupOf(keyspace), keyspace, prefix, after, signal, stop }
    this.#watches += 1
    try {
      yield* new RegionWatch({ lane, book: this.#book }, init).batches()
    } finally {
      this.#watches -= 1
    }
  }
}

type WatchOptions = { readonly after?: number; readonly signal?: AbortSignal }

/** One keyspace of the region. */
class RegionKeyspace implements Keyspace {
  readonly #name: string
  readonly #group: number
  readonly #calls: RegionCalls
  readonly #watch: (prefix: string, options: WatchOptions) => AsyncIterable<WatchBatch>

  constructor(
    name: string,
    calls: RegionCalls,
    watch: (prefix: string, options: WatchOptions) => AsyncIterable<WatchBatch>,
  ) {
    this.#name = name
    this.#group = groupOf(name)
    this.#calls = calls
    this.#watch = watch
  }

  async get(key: string, options: CallOptions = {}): Promise<KeyValue | undefined> {
    checkKey(key)
    const request = { type: 'get', group: this.#group, keyspace: this.#name, key } as const
    return decodeItem(await this.#ask('again', request, options))
  }

  async list(
    prefix: string,
    options: CallOptions & { readonly limit?: number; readonly after?: string } = {},
  ): Promise<KeyList> {
    checkPrefix(prefix)
    const { after } = options
    if (after !== undefined) checkKey(after)
    const limit = checkLimit(options.limit)
    const [group, keyspace] = [this.#group, this.#name]
    const request = { type: 'list', group, keyspace, prefix, after, limit } as const
    return decodeList(await this.#ask('again', request, options))
  }

  async transact(transaction: Transaction, options: CallOptions = {}): Promise<TransactionResult> {
    // Its checks are those of `checkTransaction`.
    const command = encodeCommand({ type: 'transact', keyspace: this.#name, transaction })
    return decodeTransacted(await this.#propose('once', command, options), transaction)
  }

  async grantLease(ttlMs: number, options: CallOptions = {}): Promise<string> {
    checkLease(ttlMs)
    // Asked again after a lost answer, it leaves a lease that nobody knows, and that ends by itself.
    const command = encodeCommand({ type: 'grant-lease', ttlMs })
    return decodeGranted(await this.#propose('again', command, options))
  }

  async renewLease(leaseId: string, options: CallOptions = {}): Promise<void> {
    const request = { type: 'renew', group: this.#group, leaseId } as const
    await this.#ask('again', request, options)
  }

  async revokeLease(leaseId: string, options: CallOptions = {}): Promise<void> {
    await this.#propose('again', encodeCommand({ type: 'revoke-lease', leaseId }), options)
  }

  watch(prefix: string, options: WatchOptions = {}): AsyncIterable<WatchBatch> {
    checkPrefix(prefix)
    if (options.after !== undefined) checkRevision(options.after)
    return this.#watch(prefix, options)
  }

  #propose(kind: 'once' | 'again', command: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    return this.#ask(kind, { type: 'propose', group: this.#group, command }, options)
  }

  #ask(
    kind: 'once' | 'again',
    request: Parameters<typeof encodeRequest>[0],
    options: CallOptions,
  ): Promise<Uint8Array> {
    const bytes = encodeRequest(request, this.#calls.region)
    return this.#calls.run(kind, this.#group, bytes, options)
  }
}
