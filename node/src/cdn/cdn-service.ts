/** The CDN of this peer: host rules, the proxy in front of their origins, and its part as a shield for other peers. */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../clock.ts'
import type { ContentStore } from '../content/store/store.ts'
import type { PeerHttp } from '../host/peer-http.ts'
import type { PlainHandler } from '../http/prepared-response.ts'
import type { RawHandler } from '../http/raw-handler.ts'
import type { Logger } from '../logger.ts'
import type { CdnCache } from './cdn-cache.ts'
import type { HostRule, OriginConfig } from './host-rule.ts'
import type { HostRules } from './host-rules.ts'
import type { Origin } from './origin.ts'
import { Answers } from './proxy/answers.ts'
import { BodyReader } from './proxy/body-reader.ts'
import { CacheProxy } from './proxy/cache-proxy.ts'
import { Compressor } from './proxy/compressor.ts'
import { Filler, type Outcome } from './proxy/filler.ts'
import { Flights } from './proxy/flights.ts'
import { CdnLane } from './proxy/lane.ts'
import { OriginClient } from './proxy/origin-client.ts'
import type { PurgeKnowledge } from './proxy/purge-knowledge.ts'
import { createRawProxy, isOfSite } from './proxy/raw.ts'
import { createShieldHandler } from './proxy/shield-handler.ts'
import { SHIELD_PATH } from './proxy/shield-protocol.ts'
import { type BelievedPeer, Shields, type ShieldsComponents } from './proxy/shields.ts'
import { SiteTable } from './proxy/site.ts'

/** What the CDN works with. */
export interface CdnServiceComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly store: ContentStore
  readonly cache: CdnCache
  readonly rules: HostRules
  /** Makes the origin that a rule names. */
  readonly createOrigin: (config: OriginConfig) => Origin
  /** True for a proxy of the operator, whose word on its clients is believed; by default for none. */
  readonly trusts?: (address: string) => boolean
  /** What is known of the network's purges; undefined for a peer that is alone. */
  readonly purges?: PurgeKnowledge
  /** Requests between peers; undefined asks no peer and answers none. */
  readonly peers?: PeerHttp
  /** Peers that are alive and whose cached copies are believed (docs/decisions/0015). */
  readonly believedPeers?: () => readonly BelievedPeer[]
  /** Asks a peer for a sign of life; goes with `peers`. */
  readonly ping?: ShieldsComponents['ping']
}

/** This peer. */
export interface CdnServiceInit {
  readonly peerId: string
  /** The operator's word for where it stands. */
  readonly region: string
  /** Whether peers of the region believe one another, this one among them; else it asks those that it believes. */
  readonly isShield: boolean
}

/** A shared cache in front of any origin. */
export class CdnService {
  /** For the fast lane; undefined for requests that no rule takes. */
  readonly plainHandler: PlainHandler
  /** For everything else. */
  readonly rawHandler: RawHandler
  /** Whether a rule takes a request, and `rawHandler` with it. */
  readonly isRaw: (message: IncomingMessage) => boolean
  readonly #components: CdnServiceComponents
  readonly #sites: SiteTable
  readonly #lane: CdnLane
  readonly #logger: Logger

  constructor(components: CdnServiceComponents, init: CdnServiceInit) {
    this.#components = components
    const { clock, store, cache, purges } = components
    const { index, metrics } = cache
    const logger = components.logger.child({ name: 'kairo:cdn' })
    const name = `kairo-${init.peerId.slice(-8)}`
    const sites = new SiteTable(components.createOrigin)
    this.#sites = sites
    this.#logger = logger
    const shields = createShields(components, init)
    const origins = new OriginClient({ clock, metrics, shields }, { name })
    const bodies = new BodyReader({
      ...{ clock, store, index, origins },
      onSlice: (entry, number, digest) => cache.journal.sliced(entry, number, digest),
    })
    const flights = new Flights<Outcome>()
    const proxy = new CacheProxy(
      {
        ...{ clock, logger, metrics, index, bodies, origins, flights, purges },
        answers: new Answers({ bodies }, { name }),
        compressor: new Compressor({ store, metrics, logger }),
        filler: new Filler({ clock, logger, index, origins, bodies }),
      },
      { name, peerId: init.peerId },
    )
    metrics.watchFlights(() => flights.size + bodies.inFlight)
    index.onPurge((selector) => flights.purge(selector))
    const trusts = components.trusts ?? (() => false)
    this.#lane = new CdnLane({ clock, sites, proxy, purges, trusts })
    this.plainHandler = this.#lane.handler
    this.rawHandler = createRawProxy({ logger, sites, proxy, trusts })
    this.isRaw = (message) => isOfSite(sites, message)
    components.rules.onChange(() => this.#rulesChanged())
    components.peers?.handle(
      SHIELD_PATH,
      createShieldHandler(
        { sites, purges, answer: (site, exchange) => proxy.answerOrThrow(site, exchange) },
        init,
      ),
    )
  }

  /** Takes over the rules; they have to be read by then. */
  start(): void {
    this.#rulesChanged()
  }

  /** Lets go of the origins. */
  stop(): void {
    this.#sites.close()
    this.#lane.clear()
  }

  /** What was cached under a rule that is another one now may come from another origin. */
  #rulesChanged(): void {
    const { cache, rules } = this.#components
    this.#sites.replace(rules.list())
    cache.index.keepRules(this.#sites.ids())
    this.#lane.clear()
    for (const rule of rules.list()) this.#bound(rule)
  }

  #bound({ name, bytesMax }: HostRule): void {
    const bound = bytesMax === 0 ? undefined : bytesMax
    this.#components.store.setTenantMax(name, bound).catch((error: unknown) => {
      this.#logger.warn({ err: error, rule: name }, 'the bound of a host rule could not be set')
    })
  }
}

function createShields(
  { clock, logger, cache, peers, believedPeers, ping, purges }: CdnServiceComponents,
  init: CdnServiceInit,
): Shields | undefined {
  if (peers === undefined || believedPeers === undefined || ping === undefined) return undefined
  const { metrics } = cache
  return new Shields({ clock, logger, metrics, peers, believedPeers, ping, purges }, init)
}
