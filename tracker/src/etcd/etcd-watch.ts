/** One watch: a gRPC stream of its own, so that a slow reader holds up etcd and nobody else, and another stream after it broke. */
import type { Etcd3, IEvent, IWatchResponse } from 'etcd3'
import type { WatchBatch, WatchEvent } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import { type EtcdCalls, stopped, throwFinal } from './etcd-calls.ts'
import { compacted, isTokenError } from './etcd-errors.ts'
import { etcdLimits } from './etcd-limits.ts'
import { itemFromEtcd } from './etcd-transaction.ts'
import type { KeyNames } from './key-names.ts'

/** What a watch works with. */
export interface EtcdWatchComponents {
  readonly client: Etcd3
  readonly calls: EtcdCalls
  readonly names: KeyNames
}

/** What a watch looks at. */
export interface EtcdWatchInit {
  readonly prefix: string
  readonly after: number | undefined
  readonly signal: AbortSignal
  /** The client's stop; `signal` is aborted with it. */
  readonly stop: AbortSignal
}

type WatchStream = Awaited<ReturnType<Etcd3['watchClient']['watch']>>

/** Follows one prefix; {@link batches} is read once. */
export class EtcdWatch {
  readonly #components: EtcdWatchComponents
  readonly #init: EtcdWatchInit
  /** Everything up to this revision was seen; undefined until etcd said what "now" is. */
  #seen: number | undefined
  #events: IEvent[] = []
  #retryMs: number = etcdLimits.retryMs

  constructor(components: EtcdWatchComponents, init: EtcdWatchInit) {
    this.#components = components
    this.#init = init
    this.#seen = init.after
  }

  /**
   * The changes, until the signal is aborted.
   * @throws TrackerError ERR_COMPACTED, ERR_STOPPED, ERR_NOT_A_MEMBER, ERR_OVERLOADED
   */
  async *batches(): AsyncGenerator<WatchBatch, void, undefined> {
    const { signal, stop } = this.#init
    const { calls } = this.#components
    while (!signal.aborted) {
      try {
        yield* this.#follow()
      } catch (error) {
        if (stop.aborted) throw stopped()
        if (signal.aborted) return
        throwFinal(error)
        if (isTokenError(error)) await this.#renewToken()
      }
      calls.counters.retries += 1
      await calls.pause(this.#retryMs, signal)
      this.#retryMs = Math.min(this.#retryMs * 2, etcdLimits.watchRetryMsMax)
    }
    if (stop.aborted) throw stopped()
  }

  async *#follow(): AsyncGenerator<WatchBatch, void, undefined> {
    const { signal } = this.#init
    const stream = await this.#components.client.watchClient.watch()
    const onAbort = () => close(stream)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#events = []
    try {
      stream.write({ create_request: this.#request() })
      for await (const response of stream as unknown as AsyncIterable<IWatchResponse>) {
        if (signal.aborted) return
        this.#retryMs = etcdLimits.retryMs
        for (const batch of this.#take(response)) {
          this.#seen = batch.revision
          yield batch
          if (signal.aborted) return
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      close(stream)
    }
  }

  #request(): object {
    const { names } = this.#components
    const { prefix } = this.#init
    return {
      key: names.toEtcd(prefix),
      range_end: names.endOf(prefix),
      start_revision: this.#seen === undefined ? 0 : this.#seen + 1,
      // So that a quiet watch does not go on from a revision that is forgotten by then.
      progress_notify: true,
      fragment: true,
    }
  }

  #take(response: IWatchResponse): WatchBatch[] {
    const revision = Number(response.header.revision)
    if (response.canceled) throw canceled(response)
    if (response.created) this.#seen ??= revision
    else if (response.events.length === 0 && !response.fragment && this.#events.length === 0) {
      this.#seen = Math.max(this.#seen ?? 0, revision)
    }
    for (const event of response.events) this.#events.push(event)
    if (this.#events.length > etcdLimits.revisionEventsMax) {
      throw new TrackerError('ERR_OVERLOADED', 'a revision has more changes than a watch gathers')
    }
    if (response.fragment) return []
    const events = this.#events
    this.#events = []
    return this.#byRevision(events)
  }

  #byRevision(events: readonly IEvent[]): WatchBatch[] {
    const batches: { revision: number; events: WatchEvent[] }[] = []
    for (const event of events) {
      const revision = Number(event.kv.mod_revision)
      if (revision <= (this.#seen ?? 0)) continue
      const change = this.#change(event)
      if (change === undefined) continue
      const last = batches.at(-1)
      if (last?.revision === revision) last.events.push(change)
      else batches.push({ revision, events: [change] })
    }
    return batches
  }

  #change(event: IEvent): WatchEvent | undefined {
    const { names } = this.#components
    if (event.type === 'Put' || String(event.type) === 'PUT') {
      const item = itemFromEtcd(names, event.kv)
      return item && { type: 'put', item }
    }
    const key = names.fromEtcd(event.kv.key)
    return key === undefined ? undefined : { type: 'deleted', key }
  }

  /** Only unary calls let package etcd3 notice that its token ran out. */
  async #renewToken(): Promise<void> {
    const { calls, client, names } = this.#components
    const key = names.toEtcd('')
    await calls.run('again', {}, (options) => client.kv.range({ key, count_only: true }, options))
  }
}

function canceled(response: IWatchResponse): Error {
  if (Number(response.compact_revision) > 0) return compacted()
  return new Error(`14 UNAVAILABLE: etcd ended the watch: ${response.cancel_reason}`)
}

/** Ended first: package etcd3 takes the error of a writable stream for a broken connection, and closes it for all. */
function close(stream: WatchStream): void {
  stream.end()
  stream.cancel()
}
