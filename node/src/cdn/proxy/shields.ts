/**
 * Peers of one region agree, without asking each other, on who fetches a key from its origin: the first by rendezvous hashing. The others ask
 * that one, so that the origin sees one request a region. Asked are only peers that are believed (docs/decisions/0015).
 */
import type { Clock } from '../../clock.ts'
import { rankByRendezvous } from '../../content/rendezvous.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import type { PeerHttp, PeerHttpResponse } from '../../host/peer-http.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { Logger } from '../../logger.ts'
import type { CacheMetrics } from '../cache/cache-metrics.ts'
import type { CacheRequest, Fields } from '../message.ts'
import type { OriginResponse } from '../origin.ts'
import { loopField } from '../origins/loop.ts'
import { requestForOrigin } from '../rules/request-for-origin.ts'
import type { PurgeKnowledge } from './purge-knowledge.ts'
import {
  ANSWER_FIELD,
  PURGES_FIELD,
  RULE_FIELD,
  SHIELD_PATH,
  URL_FIELD,
} from './shield-protocol.ts'
import type { Site } from './site.ts'

/** A peer whose cached copies are believed. */
export interface BelievedPeer {
  readonly peerId: string
  /** The operator's word for where it stands. */
  readonly region: string
}

/** What shields work with. */
export interface ShieldsComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: CacheMetrics
  readonly peers: PeerHttp
  /** Believed peers that are alive. */
  readonly believedPeers: () => readonly BelievedPeer[]
  readonly purges: PurgeKnowledge | undefined
}

/** Where this peer stands. */
export interface ShieldsInit {
  readonly peerId: string
  readonly region: string
  /**
   * Whether this peer is itself one of those among which its region agrees. Where peers believe only whom they joined, they would each
   * agree with themselves: then those who are believed do it for all.
   */
  readonly isShield: boolean
}

/** One question to a shield. */
export interface ShieldQuestion {
  readonly request: CacheRequest
  readonly fill: Fields
  readonly key: string
  readonly signal: AbortSignal
}

/** Asks the peers that stand between this one and an origin. */
export class Shields {
  readonly #components: ShieldsComponents
  readonly #init: ShieldsInit
  /** Until when a peer that failed is left alone, monotonic milliseconds. */
  readonly #resting = new Map<string, number>()

  constructor(components: ShieldsComponents, init: ShieldsInit) {
    this.#components = components
    this.#init = init
  }

  /** The response of a shield; undefined when this peer is to ask the origin itself. */
  async ask(site: Site, question: ShieldQuestion): Promise<OriginResponse | undefined> {
    // What is for one client is nobody else's business.
    if (question.request.headers.authorization !== undefined) return undefined
    for (const peerId of this.#ranked(question.key)) {
      if (peerId === this.#init.peerId) return undefined
      const response = await this.#askOne(peerId, site, question)
      if (response !== undefined) return response
    }
    return undefined
  }

  #ranked(key: string): readonly string[] {
    const { region, peerId, isShield } = this.#init
    const nowMs = this.#components.clock.monotonicMs()
    const peers = this.#components
      .believedPeers()
      .filter((peer) => peer.region === region && peer.peerId !== peerId)
      .filter((peer) => (this.#resting.get(peer.peerId) ?? 0) <= nowMs)
    if (peers.length === 0) return []
    const candidates = isShield ? [...peers, { peerId }] : peers
    return rankByRendezvous(key, candidates).slice(0, cdnLimits.shieldsMax)
  }

  async #askOne(
    peerId: string,
    site: Site,
    question: ShieldQuestion,
  ): Promise<OriginResponse | undefined> {
    const { clock, logger, metrics, peers } = this.#components
    const limit = deadline(clock, cdnLimits.shieldHeadTimeoutMs, question.signal)
    // The deadline is for the head; the body is ended by who asked.
    const own = new AbortController()
    const signal = AbortSignal.any([question.signal, own.signal])
    const onLate = (): void => own.abort(limit.signal.reason)
    limit.signal.addEventListener('abort', onLate, { once: true })
    try {
      const response = await peers.request(
        peerId,
        { method: 'GET', path: SHIELD_PATH, headers: this.#headers(site, question) },
        { signal },
      )
      if (response.headers[ANSWER_FIELD] === undefined) {
        own.abort(new KairoError('ERR_STOPPED', 'this is not what was asked for'))
        throw new KairoError('ERR_NO_PROVIDER', `the shield answered ${response.status}`)
      }
      metrics.shields.inc({ result: 'answered' })
      return fromPeer(response)
    } catch (error) {
      if (question.signal.aborted) throw error
      const code = isKairoError(error) ? error.code : 'ERR_INTERNAL'
      metrics.shields.inc({ result: code })
      logger.debug({ err: error, peerId }, 'a shield did not answer')
      this.#rest(peerId)
      return undefined
    } finally {
      limit.signal.removeEventListener('abort', onLate)
      limit.clear()
    }
  }

  #headers(site: Site, { request, fill }: ShieldQuestion): Record<string, string> {
    const { purges } = this.#components
    const asked = requestForOrigin(request, { name: 'peer', clientAddress: 'unknown', fill })
    const { 'cdn-loop': _, via: __, ...headers } = asked.headers
    return {
      ...headers,
      'cdn-loop': loopField(request.headers, this.#init.peerId),
      [RULE_FIELD]: site.digest,
      [URL_FIELD]: `${request.scheme}://${request.host}${request.target}`,
      ...(purges !== undefined && { [PURGES_FIELD]: purges.stamp() }),
    }
  }

  #rest(peerId: string): void {
    const nowMs = this.#components.clock.monotonicMs()
    for (const [id, untilMs] of this.#resting) if (untilMs <= nowMs) this.#resting.delete(id)
    this.#resting.set(peerId, nowMs + cdnLimits.shieldRestMs)
  }
}

function fromPeer(response: PeerHttpResponse): OriginResponse {
  const { [ANSWER_FIELD]: _, ...headers } = response.headers
  return { status: response.status, headers, body: response.body }
}
