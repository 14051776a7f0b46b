/**
 * Owning things, one owner at a time: a key that its owner makes with a lease, and that goes with it. Works over any engine. Whatever an
 * owner writes elsewhere carries its fencing token.
 */
import type { Clock } from '../clock.ts'
import type {
  Comparison,
  Coordination,
  FencingToken,
  Keyspace,
  KeyValue,
  TransactionResult,
} from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import { HeldLease } from './held-lease.ts'

/** How something is to be owned. */
export interface OwnOptions {
  /** Milliseconds after which somebody else may be the owner when this one is gone, `coordinationLimits.leaseMsMin` at least. */
  readonly ttlMs: number
  /** What others read while it is owned: who owns it. */
  readonly value: Uint8Array
  /** Gives up waiting; something owned already stays so. */
  readonly signal?: AbortSignal
}

/** Takes keys for this peer. */
export class Ownership {
  readonly counters = { acquired: 0, waited: 0, lost: 0, released: 0 }
  readonly #components: { readonly coordination: Coordination; readonly clock: Clock }

  constructor(components: { readonly coordination: Coordination; readonly clock: Clock }) {
    this.#components = components
  }

  /**
   * Takes a key, and waits while another one has it.
   * @throws what the engine throws but ERR_UNKNOWN_OUTCOME; the signal's reason when it is aborted
   */
  async acquire(keyspace: string, key: string, options: OwnOptions): Promise<Owned> {
    const owned = await this.#take(keyspace, key, options, true)
    if (owned === undefined) throw new TrackerError('ERR_UNAVAILABLE', 'the key is taken')
    return owned
  }

  /** Takes a key, unless another one has it: then undefined. @throws as {@link acquire} */
  tryAcquire(keyspace: string, key: string, options: OwnOptions): Promise<Owned | undefined> {
    return this.#take(keyspace, key, options, false)
  }

  async #take(
    name: string,
    key: string,
    options: OwnOptions,
    waits: boolean,
  ): Promise<Owned | undefined> {
    const { coordination, clock } = this.#components
    const keyspace = coordination.keyspace(name)
    const { value, ttlMs } = options
    const given = options.signal === undefined ? {} : { signal: options.signal }
    const lease = await HeldLease.grant({ keyspace, clock }, ttlMs, given)
    try {
      // Aborted as well when the lease is lost while it waits.
      const signal = options.signal ? AbortSignal.any([options.signal, lease.signal]) : lease.signal
      for (;;) {
        const attempt = await take(keyspace, key, { value, leaseId: lease.id, signal })
        if (attempt.item !== undefined) {
          lease.signal.throwIfAborted()
          this.counters.acquired += 1
          return new Owned({ keyspace, lease, counters: this.counters }, attempt.item)
        }
        if (!waits) break
        this.counters.waited += 1
        await untilGone(keyspace, key, attempt.revision, signal)
      }
    } catch (error) {
      // What went wrong is told; the lease ends by itself where it cannot be let go.
      await lease.release().catch(() => undefined)
      throw error
    }
    await lease.release()
    return undefined
  }
}

/** What stands behind something owned. */
interface OwnedComponents {
  readonly keyspace: Keyspace
  readonly lease: HeldLease
  readonly counters: { lost: number; released: number }
}

/** Something that this peer owns. */
export class Owned {
  readonly key: string
  /** Larger than that of every owner before. */
  readonly token: FencingToken
  readonly #components: OwnedComponents
  readonly #createRevision: number
  #updates: Promise<void> = Promise.resolve()
  #isReleased = false

  constructor(components: OwnedComponents, item: KeyValue) {
    this.#components = components
    this.key = item.key
    this.token = item.token
    this.#createRevision = item.createRevision
    components.lease.signal.addEventListener(
      'abort',
      () => {
        if (!this.#isReleased) components.counters.lost += 1
      },
      { once: true },
    )
  }

  /** Aborted the moment that another one may be the owner, and by {@link release}. Asked again, it looks at the clock again. */
  get signal(): AbortSignal {
    return this.#components.lease.signal
  }

  /** Milliseconds for which this peer is the owner unless the lease is renewed; 0 once it may not be. */
  get leftMs(): number {
    const { lease } = this.#components
    return lease.signal.aborted ? 0 : lease.leftMs
  }

  /**
   * Changes what others read. Updates are done in the order of asking.
   * @throws TrackerError ERR_LEASE_NOT_FOUND when it is owned no longer; what the engine throws
   */
  update(value: Uint8Array): Promise<void> {
    const update = this.#updates.then(() => this.#update(value))
    // Whoever asked for one is told; the next one is tried all the same.
    this.#updates = update.catch(() => undefined)
    return update
  }

  /**
   * Owns it no longer; others may at once.
   * @throws what the engine throws; others may when the lease's time is over then
   */
  async release(): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#components.counters.released += 1
    await this.#components.lease.release()
  }

  async #update(value: Uint8Array): Promise<void> {
    const { keyspace, lease } = this.#components
    const { key } = this
    lease.signal.throwIfAborted()
    const isMine: Comparison[] = [
      { key, createRevision: this.#createRevision },
      { key, leaseId: lease.id },
    ]
    const put = { type: 'put', key, value, leaseId: lease.id } as const
    const { succeeded } = await keyspace.transact({ when: isMine, then: [put] })
    if (succeeded) return
    lease.lose('another one has the key')
    lease.signal.throwIfAborted()
  }
}

/** One attempt: the key as it is owned with this lease, or the revision as of which another one has it. */
async function take(
  keyspace: Keyspace,
  key: string,
  claim: {
    readonly value: Uint8Array
    readonly leaseId: string
    readonly signal: AbortSignal
  },
): Promise<{ readonly item: KeyValue | undefined; readonly revision: number }> {
  const { value, leaseId, signal } = claim
  let result: TransactionResult
  try {
    result = await keyspace.transact(
      {
        when: [{ key, exists: false }],
        then: [{ type: 'put', key, value, leaseId }],
        otherwise: [{ type: 'get', key }],
      },
      { signal },
    )
  } catch (error) {
    if (!(error instanceof TrackerError) || error.code !== 'ERR_UNKNOWN_OUTCOME') throw error
    // Done or not, now or later: asked again, it finds the key with this lease, or takes it.
    return take(keyspace, key, claim)
  }
  const [first] = result.results
  const item = first?.type === 'deleted' ? undefined : first?.item
  const isMine = item !== undefined && item.leaseId === leaseId
  return { item: isMine ? item : undefined, revision: result.revision }
}

/** Waits until a key was deleted after a revision, or may have been. */
async function untilGone(
  keyspace: Keyspace,
  key: string,
  after: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const { events } of keyspace.watch(key, { after, signal })) {
      if (events.some((event) => event.type === 'deleted' && event.key === key)) return
    }
  } catch (error) {
    // So much has happened since that it may have been among it.
    if (error instanceof TrackerError && error.code === 'ERR_COMPACTED') return
    throw error
  }
  signal.throwIfAborted()
}
