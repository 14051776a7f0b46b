/** A stream replicated from other peers: each of its renditions is followed once, whatever the number of viewers here. */
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import type { Transport } from '../../host/transport.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import type { Digest } from '../digest.ts'
import type { RemoteDvr } from '../dvr/remote-dvr.ts'
import type { FeedMetrics } from '../feed/feed-metrics.ts'
import type { Fetcher } from '../fetch/fetch-client.ts'
import type { WindowedRendition } from '../index/live-rendition.ts'
import type { ServedStream } from '../served-stream.ts'
import type { ObjectOwner } from '../store/owner-accounts.ts'
import type { ContentStore } from '../store/store.ts'
import type { StreamId, StreamRecord, UpstreamStatus } from '../stream.ts'
import { type StreamPublicKey, streamPublicKeyOf } from '../stream-key.ts'
import { FollowedRendition } from './followed-rendition.ts'
import { ProviderPool, type StreamProviders } from './provider-pool.ts'

/** Signed records of the network's streams; the directory is one. */
export interface StreamRecords {
  get(id: StreamId): StreamRecord | undefined
  /** The record that an alias or id means. */
  resolve(nameOrId: string): StreamRecord | undefined
}

/** What a replica works with. */
export interface ReplicaComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly transport: Transport
  readonly store: ContentStore
  readonly fetcher: Fetcher
  readonly feedMetrics: FeedMetrics
  readonly records: StreamRecords
  readonly providers: StreamProviders
  /** A number in [0, 1). */
  readonly random: () => number
  /** How far streams can be rewound; without it there are their live windows. */
  readonly dvr?: Pick<RemoteDvr, 'prepare' | 'has' | 'forget'>
}

/** One replicated stream. */
export class Replica implements ServedStream {
  readonly id: StreamId
  readonly #components: ReplicaComponents
  readonly #logger: Logger
  readonly #key: StreamPublicKey
  readonly #pool: ProviderPool
  readonly #followed = new Map<string, FollowedRendition>()
  /** Renditions of which it is asked, and those of which it is known, how far they can be rewound; only the latter are shown. */
  readonly #prepared = new Map<FollowedRendition, Promise<void>>()
  readonly #shown = new Set<FollowedRendition>()
  #record: StreamRecord
  #touchedMs: number
  #provided = false
  #stopped = false

  constructor(components: ReplicaComponents, record: StreamRecord) {
    this.id = record.id
    this.#components = components
    this.#logger = components.logger.child({ stream: record.id })
    this.#key = streamPublicKeyOf(record.id)
    this.#pool = new ProviderPool(components.providers, record.id)
    this.#record = record
    this.#touchedMs = components.clock.monotonicMs()
  }

  get record(): StreamRecord {
    this.#record = this.#components.records.get(this.id) ?? this.#record
    return this.#record
  }

  get status(): UpstreamStatus {
    const states = [...this.#followed.values()].map((followed) => followed.status)
    if (states.includes('following')) return 'following'
    return states.length > 0 && states.every((state) => state === 'lost') ? 'lost' : 'connecting'
  }

  get sourcePeer(): string | undefined {
    for (const { upstream } of this.#followed.values()) {
      if (upstream !== undefined) return upstream
    }
    return undefined
  }

  /** Milliseconds since somebody last used the stream. */
  get idleMs(): number {
    return this.#components.clock.monotonicMs() - this.#touchedMs
  }

  touch(): void {
    this.#touchedMs = this.#components.clock.monotonicMs()
  }

  route(rendition: string): readonly string[] {
    return this.#followed.get(rendition)?.route ?? []
  }

  /** Tries providers at once where it waits: a new record says that something has changed. */
  hurry(): void {
    for (const followed of this.#followed.values()) followed.hurry()
  }

  async rendition(
    name: string,
    options: { readonly signal: AbortSignal },
  ): Promise<WindowedRendition> {
    if (this.#stopped) throw new KairoError('ERR_STOPPED', 'the stream is no longer followed')
    this.touch()
    const info = this.record.renditions.find((candidate) => candidate.name === name)
    const known = this.#followed.get(name)
    if (info === undefined && known === undefined) {
      throw new KairoError('ERR_NOT_FOUND', `the stream has no rendition ${name}`)
    }
    const followed = known ?? this.#follow(name)
    const rendition = await followed.ready(options.signal)
    await this.#prepare(name, followed)
    if (info !== undefined && info !== rendition.info) rendition.describe(info)
    return rendition
  }

  followed(): readonly WindowedRendition[] {
    return [...this.#shown].flatMap(({ rendition }) => rendition ?? [])
  }

  peek(digest: Digest): Buffer | undefined {
    return this.#components.store.peek(digest)
  }

  async read(digest: Digest, options: { readonly signal: AbortSignal }): Promise<Buffer> {
    const { store, fetcher } = this.#components
    for (const { expected } of this.#followed.values()) {
      if (expected.has(digest)) await expected.wait(digest, options.signal)
    }
    const stored = await store.read(digest, options)
    if (stored !== undefined) return stored
    if (!this.#names(digest) && this.#components.dvr?.has(this.id, digest) !== true) {
      throw new KairoError('ERR_NOT_FOUND', 'the object has left the window of the stream')
    }
    return await fetcher.fetch(digest, this.#fetchOrder(), { ...options, owner: this.#owner() })
  }

  /** Follows no more, and provides no more. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    const reason = new KairoError('ERR_STOPPED', 'the stream is no longer followed')
    for (const followed of this.#followed.values()) followed.stop(reason)
    if (this.#provided) this.#components.providers.cancel(this.id)
    this.#components.dvr?.forget(this.id)
  }

  /** A playlist must not reach back further later on, so it waits for the first word of how far it does. */
  #prepare(name: string, followed: FollowedRendition): Promise<void> {
    const known = this.#prepared.get(followed)
    if (known !== undefined) return known
    const prepared = (
      this.#components.dvr?.prepare(this.id, name, () => followed.rendition) ?? Promise.resolve()
    ).then(() => {
      this.#shown.add(followed)
    })
    this.#prepared.set(followed, prepared)
    return prepared
  }

  #follow(name: string): FollowedRendition {
    if (this.#followed.size >= contentLimits.renditionsMax) {
      throw new KairoError('ERR_LIMIT', 'the stream has too many renditions')
    }
    const info = this.record.renditions.find((candidate) => candidate.name === name)
    if (info === undefined) throw new KairoError('ERR_NOT_FOUND', `no rendition ${name}`)
    const followed = new FollowedRendition(
      { ...this.#components, logger: this.#logger, pool: this.#pool },
      {
        key: this.#key,
        info,
        isLive: () => this.#components.records.get(this.id)?.state === 'live',
        owner: () => this.#owner(),
        onFollowing: () => this.#provide(),
        onMissing: (digest, unlike) => this.#fetchMissing(digest, unlike),
      },
    )
    this.#followed.set(name, followed)
    followed.run().catch((error: Error) => {
      this.#logger.error({ err: error, rendition: name }, 'following a rendition failed')
      followed.stop(new KairoError('ERR_NO_PROVIDER', 'following failed', { cause: error }))
      this.#followed.delete(name)
      this.#prepared.delete(followed)
      this.#shown.delete(followed)
    })
    return followed
  }

  /** Others may find the stream here from now on. */
  #provide(): void {
    if (this.#provided || this.#stopped) return
    try {
      this.#components.providers.provide(this.id)
      this.#provided = true
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#logger.warn({ err: error }, 'the stream is followed here but not provided to others')
    }
  }

  #fetchMissing(digest: Digest, unlike: string): void {
    this.#fetchElsewhere(digest, unlike).catch((error: Error) => {
      this.#logger.warn({ digest, err: error }, 'an object of the stream cannot be had now')
    })
  }

  /** Asks other providers first, looking for some when none is known; the one that failed may still have it. */
  async #fetchElsewhere(digest: Digest, unlike: string): Promise<void> {
    const others = (): string[] => this.#fetchOrder().filter((peer) => peer !== unlike)
    if (others().length === 0) {
      const limit = deadline(this.#components.clock, contentLimits.providersLookupMsMax)
      await this.#pool.lookUp(limit.signal)
      limit.clear()
    }
    const options = { owner: this.#owner(), keepOrder: true }
    await this.#components.fetcher.fetch(digest, [...others(), unlike], options)
  }

  /** Its objects count for this stream and the peer that publishes it. */
  #owner(): ObjectOwner {
    return { tenant: this.record.originPeer, stream: this.id }
  }

  /** Peers to ask for an object: those that send feeds now, then the other known providers, then the publisher's. */
  #fetchOrder(): string[] {
    const { peerId } = this.#components.transport
    const upstreams = [...this.#followed.values()].flatMap(({ upstream }) => upstream ?? [])
    const order = new Set([...upstreams, ...this.#pool.known(), this.record.originPeer])
    order.delete(peerId)
    return [...order]
  }

  #names(digest: Digest): boolean {
    return [...this.#followed.values()].some(({ rendition }) =>
      rendition?.entries.some((entry) => entry.digest === digest || entry.initDigest === digest),
    )
  }
}
