/** Asking an origin: in its words, within a time, counted. */

import type { Clock } from '../../clock.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { CacheMetrics } from '../cache/cache-metrics.ts'
import type { Fields, ResponseHead } from '../message.ts'
import type { OriginResponse } from '../origin.ts'
import { requestForOrigin } from '../rules/request-for-origin.ts'
import type { ExchangeTimes } from '../rules/storable.ts'
import type { Exchange } from './exchange.ts'
import type { ShieldQuestion, Shields } from './shields.ts'
import type { Site } from './site.ts'

/** What an origin answered, and when. */
export interface OriginAnswer extends ExchangeTimes {
  readonly response: OriginResponse
}

/** What the client works with. */
export interface OriginClientComponents {
  readonly clock: Clock
  readonly metrics: CacheMetrics
  readonly shields: Shields | undefined
}

/** One question. */
export interface OriginQuestion {
  readonly exchange: Exchange
  /** Fields of the cache's own, for a response that is to be kept; undefined passes the client's on. */
  readonly fill: Fields | undefined
  readonly signal: AbortSignal
  readonly onInformational?: (head: ResponseHead) => void
  /**
   * The cache key, by which peers of the region agree on who asks the origin; undefined asks it at once. It is the same for all parts of a
   * response: were a part another peer's business than the whole, two peers could wait for each other.
   */
  readonly shieldKey?: string
  readonly isShield?: ShieldQuestion['isShield']
}

/** Sends requests to origins, or to a peer that shields one. */
export class OriginClient {
  readonly #components: OriginClientComponents
  readonly #name: string

  constructor(components: OriginClientComponents, init: { readonly name: string }) {
    this.#components = components
    this.#name = init.name
  }

  /** @throws KairoError as {@link Origin.fetch} does. */
  async ask(site: Site, question: OriginQuestion): Promise<OriginAnswer> {
    const { clock, metrics } = this.#components
    const rule = site.rule.name
    const requestTimeMs = clock.now()
    const startMs = clock.monotonicMs()
    try {
      const response = await this.#send(site, question)
      metrics.originSeconds.observe({ rule }, (clock.monotonicMs() - startMs) / 1_000)
      return { response, requestTimeMs, responseTimeMs: clock.now() }
    } catch (error) {
      metrics.originFailures.inc({ rule, code: isKairoError(error) ? error.code : 'ERR_INTERNAL' })
      throw error
    }
  }

  async #send(site: Site, question: OriginQuestion): Promise<OriginResponse> {
    const { exchange, fill, signal, shieldKey, isShield } = question
    const { shields } = this.#components
    const { request } = exchange
    const askOrigin = (limited: AbortSignal) => this.#askOrigin(site, question, limited)
    if (shields === undefined || shieldKey === undefined || fill === undefined || exchange.fromPeer)
      return await askOrigin(signal)
    const asked = { request, fill, key: shieldKey, signal, isShield, askOrigin }
    return await shields.ask(site, asked)
  }

  async #askOrigin(
    site: Site,
    { exchange, fill, onInformational }: OriginQuestion,
    signal: AbortSignal,
  ): Promise<OriginResponse> {
    const { request, clientAddress, trusted } = exchange
    const kind = fill === undefined ? 'pass' : 'fill'
    this.#components.metrics.originRequests.inc({ rule: site.rule.name, kind })
    const passed = requestForOrigin(request, {
      name: this.#name,
      clientAddress,
      trusted,
      ...(fill !== undefined && { fill }),
    })
    return await this.#withinTime(signal, (limited) =>
      // The origin adds its own entry to CDN-Loop; two would count as two hops.
      site.origin.fetch(withLoop(passed, request.headers['cdn-loop']), {
        signal: limited,
        ...(exchange.body !== undefined && fill === undefined && { body: exchange.body }),
        ...(onInformational !== undefined && { onInformational }),
      }),
    )
  }

  /** Ends the request when no head comes in time; its body may take as long as it moves. */
  async #withinTime<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController()
    const cancel = this.#components.clock.after(cdnLimits.headTimeoutMs, () =>
      late.abort(new KairoError('ERR_TIMEOUT', 'the origin did not answer in time')),
    )
    try {
      return await work(AbortSignal.any([signal, late.signal]))
    } finally {
      cancel()
    }
  }
}

function withLoop<T extends { readonly headers: Fields }>(request: T, loop: string | undefined): T {
  const { 'cdn-loop': _, ...headers } = request.headers
  return { ...request, headers: loop === undefined ? headers : { ...headers, 'cdn-loop': loop } }
}
