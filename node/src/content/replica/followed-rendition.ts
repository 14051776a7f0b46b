/**
 * One rendition of a replicated stream: keeps exactly one feed of it alive, from whichever peer has it, and resumes at the
 * next when one dies. This is the layer that owns the retry.
 */
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../../clock.ts'
import { abortReason, unlessAborted } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import type { Transport } from '../../host/transport.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import type { Digest } from '../digest.ts'
import type { FeedMetrics } from '../feed/feed-metrics.ts'
import { type FeedSink, FeedSubscription } from '../feed/subscription.ts'
import type { IndexWindow } from '../index/index-window.ts'
import { type RenditionChange, WindowedRendition } from '../index/live-rendition.ts'
import type { ObjectOwner } from '../store/owner-accounts.ts'
import type { ContentStore } from '../store/store.ts'
import type { RenditionInfo, UpstreamStatus } from '../stream.ts'
import type { StreamPublicKey } from '../stream-key.ts'
import { ExpectedObjects } from './expected-objects.ts'
import type { ProviderPool } from './provider-pool.ts'

/** What a followed rendition works with. */
export interface FollowedRenditionComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly transport: Transport
  readonly store: ContentStore
  readonly feedMetrics: FeedMetrics
  readonly pool: ProviderPool
  /** A number in [0, 1). */
  readonly random: () => number
}

/** Which rendition, and who is told. */
export interface FollowedRenditionInit {
  readonly key: StreamPublicKey
  readonly info: RenditionInfo
  /** True while the stream's record says that it is live. */
  readonly isLive: () => boolean
  /** Whose its objects are. */
  readonly owner: () => ObjectOwner
  /** Called when the rendition has its first window, or again after it had lost its upstream. */
  readonly onFollowing: () => void
  /** An object must be fetched, rather not from this peer. */
  readonly onMissing: (digest: Digest, unlike: string) => void
}

interface ReadyWaiter {
  readonly resolve: (rendition: WindowedRendition) => void
  readonly reject: (error: KairoError) => void
}

/** Failures that count more than a peer that has gone: what it sent was not what it said. */
const DISTRUST_WEIGHT = 5

/** Follows one rendition until stopped. */
export class FollowedRendition {
  readonly expected: ExpectedObjects
  readonly #components: FollowedRenditionComponents
  readonly #init: FollowedRenditionInit
  readonly #logger: Logger
  readonly #abort = new AbortController()
  readonly #ready = new Set<ReadyWaiter>()
  #rendition: WindowedRendition | undefined
  #status: UpstreamStatus = 'connecting'
  #upstream: string | undefined
  #route: readonly string[] = []
  #cancelLost: CancelTimer | undefined
  #rounds = 0
  #wakeBackoff: (() => void) | undefined

  constructor(components: FollowedRenditionComponents, init: FollowedRenditionInit) {
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ rendition: init.info.name })
    this.expected = new ExpectedObjects(components.clock)
  }

  get status(): UpstreamStatus {
    return this.#status
  }

  /** The peer whose feed is followed now. */
  get upstream(): string | undefined {
    return this.#upstream
  }

  /** The rendition, once its first window has come. */
  get rendition(): WindowedRendition | undefined {
    return this.#rendition
  }

  /** Peers from this one to the publisher's; empty while there is no way to it. */
  get route(): readonly string[] {
    if (this.#status !== 'following') return []
    return [this.#components.transport.peerId, ...this.#route]
  }

  /** Begins to follow; resolves when {@link FollowedRendition.stop} has ended it. */
  async run(): Promise<void> {
    const { signal } = this.#abort
    this.#watchLoss()
    while (!signal.aborted) {
      const followed = await this.#round(signal)
      if (signal.aborted) break
      this.#rounds = followed ? 0 : this.#rounds + 1
      if (this.#rendition === undefined) this.#rejectReady(noProvider())
      if (!followed) await this.#backOff(signal)
    }
  }

  /** Gives the rendition up. */
  stop(reason: KairoError): void {
    this.#abort.abort(reason)
    this.#cancelLost?.()
    this.#wakeBackoff?.()
    this.expected.clear()
    this.#rejectReady(reason)
    this.#rendition?.release(reason)
  }

  /** Tries again at once if it waits between rounds: something has changed in the network. */
  hurry(): void {
    this.#rounds = 0
    this.#wakeBackoff?.()
  }

  /**
   * The rendition once its first window has come.
   * @throws KairoError `ERR_NO_PROVIDER` when a whole round of providers failed, `ERR_TIMEOUT` when the signal fires.
   */
  async ready(signal: AbortSignal): Promise<WindowedRendition> {
    if (this.#rendition !== undefined) return this.#rendition
    if (signal.aborted) throw abortReason(signal)
    if (this.#ready.size >= contentLimits.waitersMax) {
      throw new KairoError('ERR_LIMIT', 'too many requests wait for this rendition')
    }
    const { promise, resolve, reject } = Promise.withResolvers<WindowedRendition>()
    const waiter: ReadyWaiter = { resolve, reject }
    this.#ready.add(waiter)
    try {
      return await unlessAborted(promise, signal)
    } finally {
      this.#ready.delete(waiter)
    }
  }

  /** Tries each provider once; true when one of them was followed for a while. */
  async #round(signal: AbortSignal): Promise<boolean> {
    const { pool } = this.#components
    for await (const peer of pool.round(signal)) {
      if (signal.aborted) return false
      const followed = await this.#follow(peer, signal)
      if (followed) return true
    }
    return false
  }

  /** Follows one peer's feed to its end; true when it lasted. */
  async #follow(peer: string, signal: AbortSignal): Promise<boolean> {
    const { clock, transport, feedMetrics, pool } = this.#components
    let sinceMs = Number.POSITIVE_INFINITY
    const sink = this.#sinkFor(peer, () => {
      sinceMs = Math.min(sinceMs, clock.monotonicMs())
    })
    const subscription = new FeedSubscription(
      { clock, transport, metrics: feedMetrics, sink },
      { peerId: peer, key: this.#init.key, rendition: this.#init.info.name },
    )
    const reason = await subscription.run(signal)
    this.expected.clear()
    this.#leave(peer)
    // One that begins well and ends at once is no better than one that refuses, or this would go round without a pause.
    const followed = clock.monotonicMs() - sinceMs >= contentLimits.feedHeartbeatMs
    if (signal.aborted) return followed
    feedMetrics.failures.inc({ code: reason.code })
    const isDistrust = reason.code === 'ERR_VERIFICATION' || reason.code === 'ERR_PROTOCOL'
    pool.failed(peer, isDistrust ? DISTRUST_WEIGHT : 1)
    this.#logger.info(
      { peer, code: reason.code, followed, err: reason },
      'a feed ended; looking for another provider',
    )
    return followed
  }

  #sinkFor(peer: string, onFollowed: () => void): FeedSink {
    const { store, transport, pool } = this.#components
    const current = (): IndexWindow | undefined => this.#rendition?.window
    const { isLive } = this.#init
    return {
      get isLive() {
        return isLive()
      },
      get window() {
        return current()
      },
      apply: (window, kind) => this.#apply(window, kind),
      lacks: (digest) => !store.has(digest),
      expect: (digests) => this.expected.add(digests),
      keep: (digest, bytes) => {
        store.put(digest, bytes, { owner: this.#init.owner(), isLive: true })
        this.expected.arrived(digest)
      },
      missing: (digest) => {
        this.expected.drop(digest)
        this.#init.onMissing(digest, peer)
      },
      route: (peers) => {
        if (peers.includes(transport.peerId)) {
          throw new KairoError('ERR_NO_PROVIDER', 'the provider depends on this peer')
        }
        this.#route = peers
        if (peers.length > 0) {
          onFollowed()
          pool.succeeded(peer)
        }
        this.#upstream = peer
        this.#setStatus(peers.length > 0 ? 'following' : 'connecting')
      },
    }
  }

  #apply(window: IndexWindow, kind: RenditionChange['kind']): void {
    if (this.#rendition !== undefined) {
      this.#rendition.apply(window, kind)
      return
    }
    const { store, registry } = this.#components
    const rendition = new WindowedRendition(
      { pins: store, registry },
      { info: this.#init.info, window },
    )
    this.#rendition = rendition
    for (const waiter of this.#ready) waiter.resolve(rendition)
    this.#init.onFollowing()
  }

  #leave(peer: string): void {
    if (this.#upstream !== peer) return
    this.#upstream = undefined
    this.#route = []
    this.#setStatus('connecting')
  }

  #setStatus(status: 'connecting' | 'following'): void {
    if (status === this.#status || (status === 'connecting' && this.#status === 'lost')) return
    const { followed } = this.#components.feedMetrics
    if (status === 'following') followed.inc()
    else if (this.#status === 'following') followed.dec()
    this.#status = status
    if (status === 'connecting') {
      this.#watchLoss()
      return
    }
    this.#cancelLost?.()
    this.#rendition?.recover()
  }

  /** Tells viewers when the time without a provider grows too long; trying goes on. */
  #watchLoss(): void {
    this.#cancelLost?.()
    if (this.#abort.signal.aborted) return
    this.#cancelLost = this.#components.clock.after(contentLimits.replicaLostMs, () => {
      this.#status = 'lost'
      const error = noProvider()
      this.#logger.warn({ code: error.code }, 'no provider of the stream answers')
      this.#rendition?.fail(error)
      this.#rejectReady(error)
    })
  }

  #rejectReady(error: KairoError): void {
    for (const waiter of this.#ready) waiter.reject(error)
  }

  /** Waits longer after each fruitless round, at random so that followers of one peer do not come back all at once. */
  async #backOff(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#components
    const { providersBackoffMsMin: min, providersBackoffMsMax: max } = contentLimits
    const wholeMs = Math.min(max, min * 2 ** Math.min(this.#rounds, 10))
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = clock.after(wholeMs / 2 + (random() * wholeMs) / 2, resolve)
    this.#wakeBackoff = resolve
    if (!signal.aborted) await promise
    this.#wakeBackoff = undefined
    cancel()
  }
}

function noProvider(): KairoError {
  return new KairoError('ERR_NO_PROVIDER', 'no provider of the stream answers')
}
