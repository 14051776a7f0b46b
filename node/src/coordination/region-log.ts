/**
 * A log that the peers of a region share: entries in one order, each added once, the newest of them kept, and who follows it. It lies in a
 * keyspace of its own, so that it has one revision and is watched as a whole:
 *
 * - `id`: 32 hex digits, drawn when the log began; tells it from that of another region.
 * - `entries/<name>`: an entry. Its revision is its place.
 * - `horizon`: the revision of the newest entry that was trimmed. Whoever had not come so far has missed entries for good.
 * - `members/<peer id>`: a peer that follows, on its lease: up to which revision it had taken all when it wrote this.
 */
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import type {
  Comparison,
  Coordination,
  Keyspace,
  KeyValue,
  Operation,
  TransactionResult,
  WatchBatch,
} from '@kairo/tracker'
import type { Clock } from '../clock.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { regionLogLimits as limits } from '../limits/region-log.ts'
import type { Logger } from '../logger.ts'
import type { RegionEntry, RegionFollower } from './region-follower.ts'
import { RegionLogMember } from './region-log-member.ts'
import type { RegionLogMetrics } from './region-log-metrics.ts'
import { entryKey, HORIZON_KEY, ID_KEY, RegionLogMirror, textOf } from './region-log-mirror.ts'
import { trackerFailure } from './tracker-errors.ts'
import { waitFor } from './wait-for.ts'

/** What the log works with. */
export interface RegionLogComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly coordination: Coordination
  readonly metrics: RegionLogMetrics
  /** This peer's id, base58. */
  readonly peerId: string
}

/** What is kept in it. */
export interface RegionLogInit {
  /** Name of its keyspace. */
  readonly keyspace: string
  /** An entry that is larger is not one of ours. */
  readonly valueBytesMax: number
  /** Age at which an entry is trimmed by whoever adds one. */
  readonly ageMsMax: number
  /** How long a follower that went without a word is remembered, milliseconds. */
  readonly memberTtlMs: number
}

const ID_BYTES = 16
const ID = /^[0-9a-f]{32}$/

/** The log as one peer follows it. */
export class RegionLog {
  readonly #components: RegionLogComponents
  readonly #init: RegionLogInit
  readonly #logger: Logger
  readonly #keyspace: Keyspace
  readonly #mirror: RegionLogMirror
  readonly #member: RegionLogMember
  #follower: RegionFollower | undefined
  #id: string | undefined
  #isFollowing = false
  readonly #stopping = new AbortController()
  #round = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #trimming: Promise<void> | undefined

  constructor(components: RegionLogComponents, init: RegionLogInit) {
    const { clock, coordination, metrics } = components
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:region-log' })
    this.#keyspace = coordination.keyspace(init.keyspace)
    this.#mirror = new RegionLogMirror(
      { clock, onLimit: (limit) => metrics.limits.inc({ limit }) },
      init,
    )
    this.#member = new RegionLogMember(
      { ...components, logger: this.#logger, keyspace: this.#keyspace },
      { ttlMs: init.memberTtlMs },
    )
    metrics.watch({
      entries: () => this.#mirror.size,
      members: () => this.#mirror.members.size,
      isFollowing: () => this.#isFollowing,
    })
  }

  /** True while the region tells this peer of entries, as far as is known. */
  get isFollowing(): boolean {
    return this.#isFollowing
  }

  /** Peers that follow, and up to which revision each had taken all when it said so last. Empty until the log was read once. */
  get members(): ReadonlyMap<string, number> {
    return this.#mirror.members
  }

  /** What is in the log, oldest first. */
  entries(): Iterable<RegionEntry> {
    return this.#mirror.entries()
  }

  /** The entry of this name. */
  find(name: string): RegionEntry | undefined {
    return this.#mirror.find(name)
  }

  /** Begins to follow, as soon as the region answers. */
  start(follower: RegionFollower): void {
    assert(this.#follower === undefined, 'a log is followed once')
    this.#follower = follower
    const { signal } = this.#stopping
    this.#running = Promise.all([
      this.#run(follower, signal),
      this.#member.run(
        () => (this.#isFollowing ? this.#id : undefined),
        () => follower.taken(),
        signal,
      ),
    ]).then(() => undefined)
  }

  /** Says goodbye and follows no more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    await this.#running
    await this.#trimming
    await this.#member.leave()
  }

  /** Reads the log whole again: this peer may have missed something. */
  relist(): void {
    this.#isFollowing = false
    this.#round.abort()
  }

  /**
   * Adds entries; those that are there already stay as they are.
   * @returns names under which there is something else.
   * @throws KairoError `ERR_NO_QUORUM`, `ERR_TIMEOUT` when it may have been done, `ERR_OVERLOADED`.
   */
  async add(entries: readonly Pick<RegionEntry, 'name' | 'value'>[]): Promise<readonly string[]> {
    assert(entries.length > 0 && entries.length <= limits.addBatchMax, 'a batch of entries')
    const id = this.#id
    if (id === undefined || !this.#isFollowing) {
      throw new KairoError('ERR_NO_QUORUM', 'the log of the region is not there now')
    }
    const puts = entries.map(({ name, value }) => ({ key: entryKey(name), value }))
    const { succeeded, results } = await this.#ask(() =>
      this.#keyspace.transact(
        {
          when: [
            { key: ID_KEY, value: Buffer.from(id) },
            ...puts.map(({ key }) => ({ key, exists: false })),
          ],
          then: puts.map(({ key, value }) => ({ type: 'put', key, value })),
          otherwise: [ID_KEY, ...puts.map(({ key }) => key)].map((key) => ({ type: 'get', key })),
        },
        { timeoutMs: limits.callMs, signal: this.#stopping.signal },
      ),
    )
    this.#trim()
    if (succeeded) return []
    const [current, ...found] = results.map((each) => (each.type === 'got' ? each.item : undefined))
    if (current === undefined || textOf(current) !== id) {
      this.relist()
      throw new KairoError('ERR_NO_QUORUM', 'the log is that of another region now')
    }
    const missing = entries.filter((_, index) => found[index] === undefined)
    const taken = entries.filter(({ value }, index) => {
      const item = found[index]
      return item !== undefined && Buffer.compare(item.value, value) !== 0
    })
    const later = missing.length === 0 ? [] : await this.add(missing)
    return [...taken.map(({ name }) => name), ...later]
  }

  async #run(follower: RegionFollower, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#round = new AbortController()
      const signal = AbortSignal.any([this.#round.signal, stop])
      try {
        await this.#follow(follower, signal)
      } catch (error) {
        if (!signal.aborted) this.#failed(error)
      }
      this.#isFollowing = false
      if (!this.#round.signal.aborted) await waitFor(this.#components.clock, limits.retryMs, stop)
    }
  }

  async #follow(follower: RegionFollower, signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#components
    const askedMs = clock.monotonicMs()
    const { revision, items } = await this.#list(signal)
    const id = idIn(items)
    if (id === undefined) {
      await this.#begin(signal)
      return await this.#follow(follower, signal)
    }
    if (id !== this.#id) this.#mirror.clear()
    this.#id = id
    this.#mirror.replace(items)
    metrics.lists.inc({ outcome: 'done' })
    await follower.onWhole({ id, horizon: this.#mirror.horizon.revision, revision, askedMs })
    signal.throwIfAborted()
    this.#isFollowing = true
    this.#member.wake()
    follower.onFollowing()
    this.#trim()
    for (const peerId of this.#mirror.members.keys()) follower.onMember(peerId)
    const batches = this.#keyspace.watch('', { after: revision, signal })
    for await (const batch of batches) await this.#take(batch, follower)
  }

  async #take(batch: WatchBatch, follower: RegionFollower): Promise<void> {
    const news: RegionEntry[] = []
    for (const event of batch.events) {
      const key = event.type === 'put' ? event.item.key : event.key
      if (key === ID_KEY && (event.type === 'deleted' || textOf(event.item) !== this.#id)) {
        throw new KairoError('ERR_PROTOCOL', 'the log of the region began anew')
      }
      const { entry, member } = this.#mirror.take(event)
      if (entry !== undefined) news.push(entry)
      if (member !== undefined) follower.onMember(member)
    }
    await follower.onNews(news, batch.revision)
  }

  /** Everything there is, as of the revision of the first page or later. */
  async #list(signal: AbortSignal): Promise<{ revision: number; items: readonly KeyValue[] }> {
    const items: KeyValue[] = []
    let revision: number | undefined
    for (let page = 0; page < limits.pagesMax; page += 1) {
      const after = items.at(-1)?.key
      const options = { timeoutMs: limits.callMs, signal, ...(after !== undefined && { after }) }
      const list = await this.#ask(() => this.#keyspace.list('', options))
      revision ??= list.revision
      items.push(...list.items)
      if (!list.more) return { revision, items }
    }
    this.#components.metrics.limits.inc({ limit: 'pagesMax' })
    throw new KairoError('ERR_LIMIT', 'the log of the region is larger than any of ours')
  }

  /** Begins the log, unless somebody else does just now. */
  async #begin(signal: AbortSignal): Promise<void> {
    const id = Buffer.from(randomBytes(ID_BYTES).toString('hex'))
    await this.#ask(() =>
      this.#keyspace.transact(
        {
          when: [{ key: ID_KEY, exists: false }],
          then: [{ type: 'put', key: ID_KEY, value: id }],
        },
        { timeoutMs: limits.callMs, signal },
      ),
    )
  }

  /** Keeps the log within its bounds, in the background. Of several peers that do so at once, one gets its way. */
  #trim(): void {
    if (this.#trimming !== undefined || this.#stopping.signal.aborted) return
    this.#trimming = this.#trimAll()
      .catch((error: unknown) => {
        this.#logger.debug({ err: error }, 'the log of the region could not be trimmed')
      })
      .finally(() => {
        this.#trimming = undefined
      })
  }

  async #trimAll(): Promise<void> {
    const { metrics } = this.#components
    const ageMs = (entry: RegionEntry): number => this.#follower?.ageMs(entry) ?? 0
    const old = this.#mirror.surplus((entry) => ageMs(entry) > this.#init.ageMsMax)
    let { modRevision } = this.#mirror.horizon
    for (let at = 0; at < old.length; at += limits.trimBatchMax) {
      const batch = old.slice(at, at + limits.trimBatchMax)
      const { succeeded, revision } = await this.#trimBatch(batch, modRevision)
      // Somebody else trims.
      if (!succeeded) return
      metrics.trimmed.inc(batch.length)
      modRevision = revision
    }
  }

  async #trimBatch(
    batch: readonly RegionEntry[],
    modRevision: number | undefined,
  ): Promise<TransactionResult> {
    const value = Buffer.from(String(batch.at(-1)?.revision))
    const isHorizon: Comparison =
      modRevision === undefined
        ? { key: HORIZON_KEY, exists: false }
        : { key: HORIZON_KEY, modRevision }
    const deletes = batch.map(({ name }) => ({ type: 'delete', key: entryKey(name) }) as const)
    const then: Operation[] = [...deletes, { type: 'put', key: HORIZON_KEY, value }]
    const when = [{ key: ID_KEY, value: Buffer.from(this.#id ?? '') }, isHorizon]
    const options = { timeoutMs: limits.callMs, signal: this.#stopping.signal }
    return await this.#ask(() => this.#keyspace.transact({ when, then }, options))
  }

  async #ask<Value>(question: () => Promise<Value>): Promise<Value> {
    try {
      return await question()
    } catch (error) {
      this.#stopping.signal.throwIfAborted()
      throw trackerFailure(error)
    }
  }

  #failed(error: unknown): void {
    const { code } = trackerFailure(error)
    this.#components.metrics.lists.inc({ outcome: code })
    const isUsual = isKairoError(error, 'ERR_NO_QUORUM') || isKairoError(error, 'ERR_TIMEOUT')
    this.#logger[isUsual ? 'debug' : 'warn']({ err: error }, 'the log of the region is not there')
  }
}

/** @throws KairoError `ERR_PROTOCOL` for one that nobody of this version writes. */
function idIn(items: readonly KeyValue[]): string | undefined {
  const item = items.find(({ key }) => key === ID_KEY)
  if (item === undefined) return undefined
  const id = textOf(item)
  if (!ID.test(id)) throw new KairoError('ERR_PROTOCOL', 'the log of the region has no true name')
  return id
}
