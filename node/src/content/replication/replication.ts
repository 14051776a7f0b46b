/**
 * Popular objects spread before they are asked for elsewhere: what is asked for often here is offered to the peers that rendezvous
 * hashing chooses in each region, and they fetch it when they have nothing better to do. What they hold for others is bounded by a
 * quota, and goes like other objects when nobody asks for it. Kept objects that got lost are fetched again.
 *
 * Parts of live windows are not offered: feeds bring those.
 */
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import type { IncomingPeerRequest, PeerHttp, PeerHttpAnswer } from '../../host/peer-http.ts'
import { replicationLimits } from '../../limits/replication.ts'
import type { Logger } from '../../logger.ts'
import type { Digest } from '../digest.ts'
import type { Fetcher } from '../fetch/fetch-client.ts'
import { rankByRendezvous } from '../rendezvous.ts'
import type { ContentStore } from '../store/store.ts'
import { decodeOffer, encodeOffer, type OfferedObject } from './offer-codec.ts'
import { type PopularObject, planOffers, type ReplicationPeer } from './offer-plan.ts'
import { type Offered, OfferedObjects } from './offered-objects.ts'
import { Popularity } from './popularity.ts'
import { ReplicationMetrics } from './replication-metrics.ts'

/** What replication works with. */
export interface ReplicationComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly store: Pick<
    ContentStore,
    'observeReads' | 'has' | 'sizeOf' | 'isLive' | 'kept' | 'setTenantMax'
  >
  readonly fetcher: Pick<Fetcher, 'fetch'>
  readonly http: PeerHttp
  /** Peers that serve and can be reached, this one among them. */
  readonly peers: () => readonly ReplicationPeer[]
  /** True for a peer whose offers are taken. Objects are verified, but they take disk and bandwidth. */
  readonly accepts: (peerId: string) => boolean
}

/** How replication is set up. */
export interface ReplicationInit {
  readonly peerId: string
  /** Disk for objects that others offered; 0 takes none. */
  readonly bytesMax: number
}

/** The tenant for whom offered objects count. */
const TENANT = 'replication'
const OFFER_PATH = '/offers'

/** Offers what is popular here, and fetches what is offered. */
export class Replication {
  readonly #components: ReplicationComponents
  readonly #init: ReplicationInit
  readonly #logger: Logger
  readonly #metrics: ReplicationMetrics
  readonly #popularity = new Popularity({ keysMax: replicationLimits.keysMax })
  readonly #offered: OfferedObjects
  /** When an object was offered to a peer, monotonic milliseconds; the oldest first. */
  readonly #sent = new Map<string, number>()
  readonly #abort = new AbortController()
  #cancelTurn: CancelTimer | undefined
  #reads = 0
  #decayedMs = 0
  #mendedMs = Number.NEGATIVE_INFINITY

  constructor(components: ReplicationComponents, init: ReplicationInit) {
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:replication' })
    this.#offered = new OfferedObjects({
      clock: components.clock,
      fetch: (object) => this.#fetch(object),
      onFailure: (error) => this.#logger.error({ err: error }, 'fetching an offered object failed'),
    })
    this.#metrics = new ReplicationMetrics(components.registry, () => this.#offered.size)
  }

  /** Begins to count, to offer and to take offers. */
  async start(): Promise<void> {
    const { clock, http, store } = this.#components
    await store.setTenantMax(TENANT, Math.max(1, this.#init.bytesMax))
    this.#decayedMs = clock.monotonicMs()
    store.observeReads((digest) => this.#count(digest))
    http.handle(OFFER_PATH, (request) => this.#take(request))
    this.#turnLater()
  }

  /**
   * Fetches an object into the store from whoever is likely to have it.
   * @throws KairoError `ERR_NO_PROVIDER` when nobody has it, and as {@link Fetcher.fetch}.
   */
  async obtain(digest: Digest, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { clock, fetcher, peers } = this.#components
    const others = peers().filter(({ peerId }) => peerId !== this.#init.peerId)
    const asked = rankByRendezvous(digest, others).slice(0, replicationLimits.obtainPeersMax)
    const limit = deadline(clock, replicationLimits.fetchMsMax, options.signal)
    try {
      await fetcher.fetch(digest, asked, { signal: limit.signal })
    } finally {
      limit.clear()
    }
  }

  /** Counts, offers and fetches no more. */
  stop(): void {
    this.#abort.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    this.#cancelTurn?.()
    this.#offered.stop()
    this.#components.store.observeReads(() => {})
  }

  #count(digest: Digest): void {
    this.#reads += 1
    if (this.#reads % replicationLimits.sampleEvery !== 0) return
    this.#popularity.add(digest, replicationLimits.sampleEvery)
  }

  #turnLater(): void {
    this.#cancelTurn = this.#components.clock.after(replicationLimits.intervalMs, () => {
      this.#turn().catch((error: Error) => {
        this.#logger.error({ err: error }, 'a turn of replication failed')
      })
    })
  }

  async #turn(): Promise<void> {
    if (this.#abort.signal.aborted) return
    try {
      this.#decay()
      const popular = this.#popular()
      this.#metrics.popular.set(popular.length)
      const plan = planOffers(popular, this.#components.peers(), this.#init.peerId)
      const offers = [...plan].slice(0, replicationLimits.offersMax)
      await Promise.all(offers.map(([peerId, objects]) => this.#offer(peerId, objects)))
      await this.#mend()
    } finally {
      if (!this.#abort.signal.aborted) this.#turnLater()
    }
  }

  #decay(): void {
    const nowMs = this.#components.clock.monotonicMs()
    const factor = 2 ** ((this.#decayedMs - nowMs) / replicationLimits.halfLifeMs)
    this.#decayedMs = nowMs
    this.#popularity.decay(factor, 1)
  }

  #popular(): PopularObject[] {
    const { store } = this.#components
    const { popularMax, popularMin } = replicationLimits
    return this.#popularity.top(popularMax, popularMin).flatMap(({ key, count, error }) => {
      const bytes = store.isLive(key) ? undefined : store.sizeOf(key)
      return bytes === undefined ? [] : [{ digest: key, bytes, count: count - error }]
    })
  }

  async #offer(peerId: string, objects: readonly OfferedObject[]): Promise<void> {
    const fresh = objects
      .filter(({ digest }) => !this.#wasOffered(digest, peerId))
      .slice(0, replicationLimits.offerObjectsMax)
    if (fresh.length === 0) return
    const { clock, http } = this.#components
    const limit = deadline(clock, replicationLimits.offerMsMax, this.#abort.signal)
    try {
      const request = { method: 'POST', path: OFFER_PATH, body: encodeOffer(fresh) } as const
      const { status, body } = await http.request(peerId, request, { signal: limit.signal })
      for await (const _ of body);
      this.#metrics.offersSent.inc({ code: status === 202 ? 'ok' : `${status}` })
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#metrics.offersSent.inc({ code: error.code })
      this.#logger.debug({ peer: peerId, err: error }, 'an offer was not taken')
    } finally {
      limit.clear()
    }
    // One that failed is not tried again at once either.
    for (const { digest } of fresh) this.#rememberOffer(digest, peerId)
  }

  #wasOffered(digest: Digest, peerId: string): boolean {
    const atMs = this.#sent.get(`${digest} ${peerId}`)
    const sinceMs = this.#components.clock.monotonicMs() - (atMs ?? Number.NEGATIVE_INFINITY)
    return sinceMs < replicationLimits.offerAgainMs
  }

  #rememberOffer(digest: Digest, peerId: string): void {
    const key = `${digest} ${peerId}`
    this.#sent.delete(key)
    this.#sent.set(key, this.#components.clock.monotonicMs())
    for (const oldest of this.#sent.keys()) {
      if (this.#sent.size <= replicationLimits.offeredMax) break
      this.#sent.delete(oldest)
    }
  }

  async #take({ peerId, method, body }: IncomingPeerRequest): Promise<PeerHttpAnswer> {
    if (method !== 'POST') throw new KairoError('ERR_INVALID_INPUT', 'offers are posted')
    if (this.#init.bytesMax === 0 || !this.#components.accepts(peerId)) {
      throw new KairoError('ERR_FORBIDDEN', 'no offers are taken from this peer')
    }
    for (const { digest, bytes } of decodeOffer(body)) {
      const isHere = this.#components.store.has(digest)
      const isQueued = !isHere && this.#offered.add({ digest, bytes, peerId })
      const refused = isHere ? 'known' : 'refused'
      this.#metrics.offered.inc({ outcome: isQueued ? 'queued' : refused })
    }
    return { status: 202 }
  }

  async #fetch({ digest, bytes, peerId }: Offered): Promise<void> {
    const { clock, fetcher, store } = this.#components
    if (store.has(digest)) return
    const limit = deadline(clock, replicationLimits.fetchMsMax, this.#abort.signal)
    const options = { owner: { tenant: TENANT }, signal: limit.signal }
    const code = await this.#outcome(digest, fetcher.fetch(digest, [peerId], options))
    limit.clear()
    this.#metrics.fetched.inc({ code })
    if (code === 'ok') this.#metrics.fetchedBytes.inc(bytes)
  }

  /** Kept objects that were damaged or lost: whoever is likely to have them is asked. */
  async #mend(): Promise<void> {
    const { clock, store } = this.#components
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#mendedMs < replicationLimits.mendIntervalMs) return
    this.#mendedMs = nowMs
    let count = 0
    for (const digest of store.kept.keys()) {
      if (store.has(digest)) continue
      if (count >= replicationLimits.mendMax || this.#abort.signal.aborted) return
      count += 1
      const obtained = this.obtain(digest, { signal: this.#abort.signal })
      this.#metrics.mended.inc({ code: await this.#outcome(digest, obtained) })
    }
  }

  /** `ok`, or the code of what went wrong. */
  async #outcome(digest: Digest, fetched: Promise<unknown>): Promise<string> {
    try {
      await fetched
      return 'ok'
    } catch (error) {
      this.#logger.debug({ digest, err: error }, 'an object to be held here did not come')
      return isKairoError(error) ? error.code : 'bug'
    }
  }
}
