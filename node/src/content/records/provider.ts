/**
 * Who has a stream or copies of a video, by the DHT: this peer provides those it holds, again and again while it holds them, and
 * finds the providers of those it wants.
 */
import { strict as assert } from 'node:assert'
import { CID } from 'multiformats/cid'
import * as rawCodec from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import type { ContentRouting, PeerWatch } from '../../host/network.ts'
import { KAD_PROTOCOL } from '../../host/protocols.ts'
import { recordLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { digestOf, digestToBytes } from '../digest.ts'
import type { StreamId, StreamRecord } from '../stream.ts'
import { streamPublicKeyOf } from '../stream-key.ts'
import { isVideoId } from '../videos/video-id.ts'

/** What the service needs. */
export interface ProviderComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly routing: ContentRouting
  readonly peers: PeerWatch
  /** Known records, for the origin of a stream; videos have none here. */
  readonly records: { get(id: StreamId): StreamRecord | undefined }
  /** This peer's id, base58. */
  readonly peerId: string
}

const STREAM_CONTEXT = 'kairo stream v1\n'
const VIDEO_CONTEXT = 'kairo copies of a video v1\n'

/**
 * The DHT key of a stream: CIDv1, raw, SHA-256 of "kairo stream v1\n" and the raw public key. Hashed since kad-dht reads
 * keys as multihashes in CIDv0 form and takes no identity hash, which the stream's own CID has. That of a video: the same of
 * "kairo copies of a video v1\n" and its name.
 */
function providerCid(id: string): CID {
  const message = isVideoId(id)
    ? Buffer.from(VIDEO_CONTEXT + id)
    : Buffer.concat([Buffer.from(STREAM_CONTEXT), streamPublicKeyOf(id).raw])
  return CID.createV1(rawCodec.code, createDigest(sha256.code, digestToBytes(digestOf(message))))
}

interface Provided {
  readonly cid: CID
  /** When to provide again. */
  cancelTimer: CancelTimer | undefined
  state: 'idle' | 'queued' | 'running'
  /** True when a round was asked for while one was running. */
  again: boolean
}

/** Provides and finds streams and videos, each by its id. */
export class ProviderService {
  readonly #components: ProviderComponents
  readonly #logger: Logger
  readonly #provides: Counter<'outcome'>
  readonly #finds: Counter<'outcome'>
  readonly #held = new Map<string, Provided>()
  readonly #queue = new Set<string>()
  /** Work under way: provides, cancels and look-ups. */
  readonly #work = new Set<Promise<void>>()
  #providing = 0
  #stopping = new AbortController()
  #unwatch: (() => void) | undefined
  #cancelRound: CancelTimer | undefined
  #lastRoundMs = Number.NEGATIVE_INFINITY

  constructor(components: ProviderComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:provider' })
    const registers = [components.registry]
    const held = this.#held
    new Gauge({
      name: 'kairo_provider_streams',
      help: 'Streams and videos this peer provides in the DHT.',
      registers,
      collect() {
        this.set(held.size)
      },
    })
    this.#provides = new Counter({
      name: 'kairo_provider_provides_total',
      help: 'Provides in the DHT: ok, alone (no peer to tell) or failed.',
      labelNames: ['outcome'],
      registers,
    })
    this.#finds = new Counter({
      name: 'kairo_provider_finds_total',
      help: 'Look-ups of providers: ok, none or failed.',
      labelNames: ['outcome'],
      registers,
    })
  }

  /** Begins to provide; the host must be running. */
  start(): void {
    assert(this.#unwatch === undefined, 'the provider service is started once')
    this.#stopping = new AbortController()
    this.#unwatch = this.#components.peers.watch(KAD_PROTOCOL, () => this.#onNewPeer())
    for (const id of this.#held.keys()) this.#request(id)
  }

  /** Stops providing and looking; records at other peers age out. Must come before the host's stop. */
  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#unwatch = undefined
    this.#cancelRound?.()
    this.#cancelRound = undefined
    this.#queue.clear()
    for (const held of this.#held.values()) {
      held.cancelTimer?.()
      held.state = 'idle'
      held.again = false
    }
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    await Promise.all(this.#work)
  }

  /**
   * Says in the DHT that this peer has the stream or video, now and until {@link cancel}. Returns at once.
   * @throws KairoError `ERR_LIMIT` when too many are provided, `ERR_INVALID_INPUT` when the text is no id of either.
   */
  provide(id: string): void {
    if (this.#held.has(id)) return
    if (this.#held.size >= recordLimits.providedMax) {
      throw new KairoError('ERR_LIMIT', `this peer provides ${recordLimits.providedMax} of them`)
    }
    const cid = providerCid(id)
    this.#held.set(id, { cid, cancelTimer: undefined, state: 'idle', again: false })
    if (this.#unwatch !== undefined) this.#request(id)
  }

  /** Provides it no more. */
  cancel(id: string): void {
    const held = this.#held.get(id)
    if (held === undefined) return
    held.cancelTimer?.()
    this.#held.delete(id)
    this.#queue.delete(id)
    this.#track(
      this.#components.routing.cancel(held.cid).catch((error: Error) => {
        this.#logger.debug({ err: error, stream: id }, 'could not cancel a provide')
      }),
    )
  }

  /**
   * Peer ids (base58) of providers in order of arrival, each once, this peer not among them. The record's origin comes
   * when the DHT has not ended soon, at the latest when it has. Ends by itself, bounded in number and time; an empty
   * result means that nobody is known. Never throws but for a text that is no id.
   */
  async *findProviders(
    id: string,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<string> {
    const cid = providerCid(id)
    const limit = deadline(this.#components.clock, recordLimits.findTimeoutMs, options.signal)
    const queue = new ProviderQueue(this.#components.peerId, recordLimits.providersMax)
    const offerOrigin = (): void => {
      const origin = this.#components.records.get(id)?.originPeer
      if (origin !== undefined) queue.push(origin)
    }
    const cancelOrigin = this.#components.clock.after(recordLimits.originFallbackMs, offerOrigin)
    const signal = AbortSignal.any([limit.signal, this.#stopping.signal])
    const stop = new AbortController()
    const search = this.#search(cid, queue, AbortSignal.any([signal, stop.signal]))
      .then(offerOrigin)
      .finally(() => queue.end())
    this.#track(search)
    const onAbort = (): void => queue.end()
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    try {
      yield* queue.drain()
      this.#finds.inc({ outcome: queue.size > 0 ? 'ok' : 'none' })
    } finally {
      stop.abort()
      cancelOrigin()
      limit.clear()
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #search(cid: CID, queue: ProviderQueue, signal: AbortSignal): Promise<void> {
    try {
      for await (const peerId of this.#components.routing.findProviders(cid, { signal })) {
        queue.push(peerId)
        if (queue.full) return
      }
    } catch (error) {
      if (signal.aborted) return
      // An empty routing table, a peer that left: the DHT's failures end the look-up, not the viewer's request.
      this.#finds.inc({ outcome: 'failed' })
      this.#logger.debug({ err: error }, 'a look-up of providers failed')
    }
  }

  /** A lone peer's provide reached nobody, and new neighbours may be nearer to a key: provide again, once for a burst. */
  #onNewPeer(): void {
    if (this.#cancelRound !== undefined) return
    const { clock } = this.#components
    const earliestMs = this.#lastRoundMs + recordLimits.provideRoundMsMin
    const delayMs = Math.max(recordLimits.provideDebounceMs, earliestMs - clock.monotonicMs())
    this.#cancelRound = clock.after(delayMs, () => {
      this.#cancelRound = undefined
      this.#lastRoundMs = clock.monotonicMs()
      for (const id of this.#held.keys()) this.#request(id)
    })
  }

  #request(id: string): void {
    const held = this.#held.get(id)
    if (held === undefined) return
    if (held.state === 'running') held.again = true
    if (held.state !== 'idle') return
    held.cancelTimer?.()
    held.state = 'queued'
    this.#queue.add(id)
    this.#next()
  }

  #next(): void {
    for (const id of this.#queue) {
      if (this.#providing >= recordLimits.providesInFlightMax) return
      this.#queue.delete(id)
      const held = this.#held.get(id)
      if (held === undefined) continue
      this.#providing++
      const work = this.#provide(id, held).finally(() => {
        this.#providing--
        this.#next()
      })
      this.#track(work)
    }
  }

  async #provide(id: string, held: Provided): Promise<void> {
    const { clock, routing } = this.#components
    held.state = 'running'
    const limit = deadline(clock, recordLimits.provideTimeoutMs, this.#stopping.signal)
    let told = 0
    try {
      told = await routing.provide(held.cid, { signal: limit.signal })
      this.#provides.inc({ outcome: told > 0 ? 'ok' : 'alone' })
    } catch (error) {
      // A lone peer's DHT waits for a first neighbour until the time is over: nobody to tell, and no fault.
      this.#provides.inc({ outcome: limit.expired ? 'alone' : 'failed' })
      this.#logger.debug({ err: error, stream: id }, 'a provide did not reach the DHT')
    } finally {
      limit.clear()
    }
    held.state = 'idle'
    if (this.#stopping.signal.aborted || this.#held.get(id) !== held) return
    if (held.again) {
      held.again = false
      this.#request(id)
      return
    }
    const delayMs = told > 0 ? recordLimits.provideIntervalMs : recordLimits.provideRetryMs
    held.cancelTimer = clock.after(delayMs, () => this.#request(id))
  }

  #track(work: Promise<void>): void {
    this.#work.add(work)
    void work.finally(() => this.#work.delete(work))
  }
}

/** Providers as they come: each once, without this peer, bounded. */
class ProviderQueue {
  readonly #seen: Set<string>
  readonly #max: number
  readonly #items: string[] = []
  #ended = false
  #wake: (() => void) | undefined

  constructor(self: string, max: number) {
    this.#seen = new Set([self])
    this.#max = max
  }

  /** Providers seen so far. */
  get size(): number {
    return this.#seen.size - 1
  }

  get full(): boolean {
    return this.size >= this.#max
  }

  push(peerId: string): void {
    if (this.#ended || this.full || this.#seen.has(peerId)) return
    this.#seen.add(peerId)
    this.#items.push(peerId)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *drain(): AsyncIterable<string> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        yield item
        continue
      }
      if (this.#ended) return
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
  }
}
