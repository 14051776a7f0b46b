/**
 * Peers of one region agree, without asking each other, on who fetches a key from its origin: the first by rendezvous hashing. The others ask
 * that one, so that the origin sees one request a region. Asked are only peers that are believed (docs/decisions/0015).
 */
import type { Clock } from '../../clock.ts'
import { rankByRendezvous } from '../../content/rendezvous.ts'
import { deadline, unlessAborted } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import type { PeerHttp, PeerHttpResponse } from '../../host/peer-http.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { Logger } from '../../logger.ts'
import type { CacheMetrics } from '../cache/cache-metrics.ts'
import type { CacheRequest, Fields } from '../message.ts'
import type { OriginResponse } from '../origin.ts'
import { loopField } from '../origins/loop.ts'
import { requestForOrigin } from '../rules/request-for-origin.ts'
import { type Contender, firstGood, OvertakenError } from './first-good.ts'
import type { PurgeKnowledge } from './purge-knowledge.ts'
import { ShieldHealth, type ShieldHealthComponents } from './shield-health.ts'
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
  /** Share of what it can do that is used, as it has told, 0 to 1. */
  readonly load: number
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
  readonly ping: ShieldHealthComponents['ping']
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

/** One question to shields. */
export interface ShieldQuestion {
  readonly request: CacheRequest
  readonly fill: Fields
  readonly key: string
  readonly signal: AbortSignal
  /** Fires when another peer has come to wait for the answer: to it this peer is the shield, and asks its origin at once. */
  readonly isShield?: AbortSignal | undefined
  /** Asks the origin. */
  readonly askOrigin: (signal: AbortSignal) => Promise<OriginResponse>
}

/** Asks the peers that stand between this one and an origin, and the origin where they fail or hang. */
export class Shields {
  readonly #components: ShieldsComponents
  readonly #init: ShieldsInit
  readonly #health: ShieldHealth

  constructor(components: ShieldsComponents, init: ShieldsInit) {
    this.#components = components
    this.#init = init
    this.#health = new ShieldHealth(components)
  }

  /**
   * The first good answer of the key's shields, in their order, and of the origin as the last of all.
   * @throws what asking the origin throws.
   */
  async ask(site: Site, question: ShieldQuestion): Promise<OriginResponse> {
    const shields = this.#ranked(question).map((peerId) => this.#contender(peerId, site, question))
    if (shields.length === 0) return await question.askOrigin(question.signal)
    return await firstGood([...shields, { run: question.askOrigin }], question.signal)
  }

  /** Peers to ask before the origin; none when this one is to ask it itself. */
  #ranked({ request, key }: ShieldQuestion): readonly string[] {
    // What is for one client is nobody else's business.
    if (request.headers.authorization !== undefined) return []
    const { region, peerId, isShield } = this.#init
    const peers = this.#components
      .believedPeers()
      .filter((peer) => peer.region === region && peer.peerId !== peerId)
      .filter((peer) => this.#health.mayAsk(peer.peerId))
    if (peers.length === 0) return []
    const candidates = isShield ? [...peers, { peerId }] : peers
    const ranked = rankByRendezvous(key, candidates).slice(0, cdnLimits.shieldsMax)
    const own = ranked.indexOf(peerId)
    return own < 0 ? ranked : ranked.slice(0, own)
  }

  #contender(peerId: string, site: Site, question: ShieldQuestion): Contender<OriginResponse> {
    const { isShield } = question
    return {
      run: async (signal) => {
        if (isShield?.aborted === true) {
          throw new KairoError('ERR_STOPPED', 'the origin is asked at once')
        }
        return await this.#askOne(peerId, site, question, signal)
      },
      late: async (signal) => {
        const hangs = this.#untilItHangs(peerId, signal)
        await (isShield === undefined ? hangs : Promise.race([hangs, fired(isShield, signal)]))
      },
    }
  }

  /** A shield may wait for the origin as long as it lives. */
  async #untilItHangs(peerId: string, signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#components
    await pause(clock, this.#health.usualMs(peerId), signal)
    while (await this.#health.isAlive(peerId, { isBusy: this.#isBusy(peerId), signal })) {
      await pause(clock, cdnLimits.shieldAgainMs, signal)
    }
    metrics.shields.inc({ result: 'hangs' })
    this.#health.failed(peerId)
  }

  #isBusy(peerId: string): boolean {
    const shield = this.#components.believedPeers().find((peer) => peer.peerId === peerId)
    return shield !== undefined && shield.load >= cdnLimits.shieldBusyLoad
  }

  async #askOne(
    peerId: string,
    site: Site,
    question: ShieldQuestion,
    parent: AbortSignal,
  ): Promise<OriginResponse> {
    const { clock, metrics, peers } = this.#components
    const startMs = clock.monotonicMs()
    const limit = deadline(clock, cdnLimits.shieldHeadTimeoutMs, parent)
    // The deadline is for the head; the body is ended by who asked.
    const own = new AbortController()
    const signal = AbortSignal.any([parent, own.signal])
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
      this.#health.answered(peerId, clock.monotonicMs() - startMs)
      return this.#watched(peerId, response, parent)
    } catch (error) {
      this.#judge(peerId, error, { parent, ms: clock.monotonicMs() - startMs })
      throw error
    } finally {
      limit.signal.removeEventListener('abort', onLate)
      limit.clear()
    }
  }

  /** The response of a shield, which is left alone when it stops in the middle: the rest is asked of others. */
  #watched(peerId: string, response: PeerHttpResponse, parent: AbortSignal): OriginResponse {
    const { [ANSWER_FIELD]: _, ...headers } = response.headers
    const { status, body } = response
    const fail = (): void => {
      if (!parent.aborted) this.#health.failed(peerId)
    }
    return { status, headers, body: watched(body, fail) }
  }

  /** What a failure says of the shield; nothing when it is the client that is gone. */
  #judge(
    peerId: string,
    error: unknown,
    { parent, ms }: { readonly parent: AbortSignal; readonly ms: number },
  ): void {
    const { logger, metrics } = this.#components
    if (parent.reason instanceof OvertakenError) {
      metrics.shields.inc({ result: 'overtaken' })
      this.#health.overtaken(peerId, ms)
    } else if (!parent.aborted) {
      metrics.shields.inc({ result: isKairoError(error) ? error.code : 'ERR_INTERNAL' })
      logger.debug({ err: error, peerId }, 'a shield did not answer')
      this.#health.failed(peerId)
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
}

/** @throws the signal's reason. */
async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(ms, resolve)
  try {
    await unlessAborted(promise, signal)
  } finally {
    cancel()
  }
}

/** Resolves when a signal fires; forgotten when the other one does. */
async function fired(signal: AbortSignal, end: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true, signal: end })
  })
}

async function* watched(
  body: AsyncIterable<Uint8Array>,
  onBroken: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    onBroken()
    throw error
  }
}
