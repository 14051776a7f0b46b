/**
 * Fetches single objects from other peers: once for all who want one, from the nearest provider first, from a second one when that
 * is late, and verified before it counts.
 */
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { abortReason, unlessAborted } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import type { PeerHttp } from '../../host/peer-http.ts'
import { fetchLimits } from '../../limits/fetch.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import type { Digest } from '../digest.ts'
import type { ObjectOwner } from '../store/owner-accounts.ts'
import type { ContentStore } from '../store/store.ts'
import { BytesBudget } from './bytes-budget.ts'
import { FetchMetrics } from './fetch-metrics.ts'
import { FetchPeers } from './fetch-peers.ts'
import { HedgeBudget } from './hedge-budget.ts'
import { ObjectFlight, type ObjectFlightComponents } from './object-flight.ts'

/** What a fetcher works with. */
export interface FetcherComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly http: PeerHttp
  readonly store: Pick<ContentStore, 'put'>
  /** Round trip to a peer, milliseconds; undefined where it was not measured. Without it providers are asked in the order given. */
  readonly rttOf?: (peerId: string) => number | undefined
}

/** How one object is fetched. The first of several callers for one object decides. */
export interface FetchOptions {
  readonly signal?: AbortSignal
  /** Whose quota the object counts for in the store. */
  readonly owner?: ObjectOwner
  /** Ask the providers in the order given, not the nearest first. */
  readonly keepOrder?: boolean
}

/** How an object is read while it comes. */
export interface FetchStreamOptions extends FetchOptions {
  /** First and last byte wanted; the last one is the object's without `end`. */
  readonly range?: { readonly start: number; readonly end?: number }
}

/** An object, or a part of one, that is read while it comes. */
export interface FetchedStream {
  /** Length of the whole object, as its sender says. */
  readonly length: number
  /** Bytes of `body`. */
  readonly bytes: number
  /** Ends in good order only when the whole object was verified; before that its last bytes are kept back. */
  readonly body: AsyncIterable<Buffer>
}

interface Entry {
  readonly flight: ObjectFlight
  waiting: number
}

/** Fetches objects into the store. */
export class Fetcher {
  readonly #store: Pick<ContentStore, 'put'>
  readonly #metrics: FetchMetrics
  readonly #peers: FetchPeers
  readonly #flightComponents: ObjectFlightComponents
  readonly #flights = new Map<Digest, Entry>()
  #waiting = 0

  constructor(components: FetcherComponents) {
    const { clock, http, registry } = components
    const logger = components.logger.child({ name: 'kairo:fetch' })
    const budget = new BytesBudget(fetchLimits.bytesInFlightMax)
    const metrics = new FetchMetrics(registry, () => budget.used)
    const peers = new FetchPeers({
      clock,
      rttOf: components.rttOf ?? (() => undefined),
      onOpened: (peer, reason) => {
        metrics.opened.inc({ reason })
        logger.info({ peer, reason }, 'a peer failed too often and is not asked for a while')
      },
    })
    const onBytes = (peerId: string, bytes: number): void => {
      metrics.receivedBytes.inc(bytes)
      peers.heard(peerId)
    }
    const silentMs = (peerId: string): number => peers.silentMs(peerId)
    const hedges = new HedgeBudget()
    this.#store = components.store
    this.#metrics = metrics
    this.#peers = peers
    this.#flightComponents = {
      ...{ clock, logger, http, budget, metrics, peers, hedges },
      ...{ onBytes, silentMs },
    }
  }

  /**
   * The object from the first of these providers that gives it, verified and stored.
   * @throws KairoError `ERR_NO_PROVIDER` when none gives it, `ERR_VERIFICATION` when what came last was not it,
   * `ERR_LIMIT` when too many fetches run, `ERR_TIMEOUT` when the signal fires.
   */
  async fetch(
    digest: Digest,
    providers: readonly string[],
    options: FetchOptions = {},
  ): Promise<Buffer> {
    const { flight, leave } = this.#join(digest, providers, options)
    try {
      return await unlessAborted(flight.done, options.signal)
    } finally {
      leave()
    }
  }

  /**
   * The object, or a range of it, while it comes. Resolves once its length is known. Whoever does not read the body to its end
   * must leave its loop, or fire the signal.
   * @throws as {@link Fetcher.fetch}, also from the body; `ERR_INVALID_INPUT` for a range beyond the object.
   */
  async fetchStream(
    digest: Digest,
    providers: readonly string[],
    options: FetchStreamOptions = {},
  ): Promise<FetchedStream> {
    const { flight, leave } = this.#join(digest, providers, options)
    const { signal, range = { start: 0 } } = options
    try {
      const length = await flight.length(signal)
      const start = range.start
      const end = Math.min((range.end ?? length - 1) + 1, length)
      if (start > end || (start === end && options.range !== undefined)) {
        throw new KairoError('ERR_INVALID_INPUT', 'the range lies beyond the object')
      }
      signal?.addEventListener('abort', leave, { once: true })
      const body = readThenLeave(flight.read({ start, end, length }, signal), () => {
        signal?.removeEventListener('abort', leave)
        leave()
      })
      return { length, bytes: end - start, body }
    } catch (error) {
      leave()
      throw error
    }
  }

  /** The flight of an object, and the way to leave it; when the last one leaves it ends. */
  #join(
    digest: Digest,
    providers: readonly string[],
    options: FetchOptions,
  ): { flight: ObjectFlight; leave: () => void } {
    if (options.signal?.aborted === true) throw abortReason(options.signal)
    if (this.#waiting >= fetchLimits.waitersMax) throw this.#tooMany('waiters')
    const known = this.#flights.get(digest)
    if (known !== undefined) this.#metrics.joined.inc()
    const entry = known ?? this.#start(digest, providers, options)
    entry.waiting += 1
    this.#waiting += 1
    let isWaiting = true
    const leave = (): void => {
      if (!isWaiting) return
      isWaiting = false
      this.#waiting -= 1
      entry.waiting -= 1
      if (entry.waiting > 0 || this.#flights.get(digest) !== entry) return
      this.#forget(digest, entry)
      entry.flight.stop(new KairoError('ERR_TIMEOUT', 'nobody waits for this any more'))
    }
    return { flight: entry.flight, leave }
  }

  #start(digest: Digest, providers: readonly string[], options: FetchOptions): Entry {
    if (this.#flights.size >= contentLimits.fetchesMax) throw this.#tooMany('fetches')
    const order =
      options.keepOrder === true ? [...new Set(providers)] : this.#peers.order(providers)
    const flight = new ObjectFlight(this.#flightComponents, { digest, providers: order })
    const entry = { flight, waiting: 0 }
    this.#flights.set(digest, entry)
    const { owner } = options
    flight.done.then(
      (bytes) => {
        this.#forget(digest, entry)
        this.#store.put(digest, bytes, owner === undefined ? {} : { owner })
      },
      // Who waits sees the failure.
      () => this.#forget(digest, entry),
    )
    return entry
  }

  #forget(digest: Digest, entry: Entry): void {
    if (this.#flights.get(digest) === entry) this.#flights.delete(digest)
  }

  #tooMany(limit: string): KairoError {
    this.#metrics.limits.inc({ limit })
    return new KairoError('ERR_LIMIT', 'too many objects are being fetched')
  }
}

/** The pieces of a reader; calls `leave` when it ends, is left, or fails, and also when it is left before it began. */
function readThenLeave(
  pieces: AsyncGenerator<Buffer>,
  leave: () => void,
): AsyncIterableIterator<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      try {
        const result = await pieces.next()
        if (result.done === true) leave()
        return result
      } catch (error) {
        leave()
        throw error
      }
    },
    async return() {
      leave()
      return await pieces.return(undefined)
    },
  }
}
