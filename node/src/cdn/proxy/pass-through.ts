/** Requests that go to the origin past the cache, and what they change of what is stored. */
import type { PreparedResponse } from '../../http/prepared-response.ts'
import type { CacheIndex } from '../cache/cache-index.ts'
import type { CacheMetrics } from '../cache/cache-metrics.ts'
import type { ResponseHead } from '../message.ts'
import { cacheKey } from '../rules/cache-key.ts'
import type { ForwardReason } from '../rules/cache-status.ts'
import { invalidates } from '../rules/invalidation.ts'
import type { Answers } from './answers.ts'
import type { Asked } from './asked.ts'
import type { OriginClient } from './origin-client.ts'

/** What it works with. */
export interface PassThroughComponents {
  readonly clock: { now(): number }
  readonly metrics: CacheMetrics
  readonly index: CacheIndex
  readonly origins: OriginClient
  readonly answers: Answers
}

/** Passes requests on. */
export class PassThrough {
  readonly #components: PassThroughComponents

  constructor(components: PassThroughComponents) {
    this.#components = components
  }

  /**
   * Sends the request on as it is, and the response back as it comes.
   * @throws KairoError when the origin does not answer.
   */
  async pass(asked: Asked, fwd: ForwardReason): Promise<PreparedResponse> {
    const { answers, clock, metrics, origins } = this.#components
    const { site, exchange } = asked
    const { request, hints } = exchange
    const { response } = await origins.ask(site, {
      exchange,
      fill: undefined,
      signal: exchange.signal,
      onInformational: (head) => hints?.(head.headers, head.status),
    })
    this.#invalidate(asked, response)
    metrics.requests.inc({ rule: site.rule.name, result: 'pass' })
    return answers.passed(response, request, {
      nowMs: clock.now(),
      cacheStatus: { fwd, stored: false },
      toPeer: exchange.fromPeer,
    })
  }

  /** Forgets what an unsafe request has changed (RFC 9111 4.4), for those who come by the other scheme too, and what is on its way from before. */
  #invalidate({ site, exchange }: Asked, response: ResponseHead): void {
    const { request } = exchange
    for (const target of invalidates(request, response)) {
      for (const scheme of ['http', 'https'] as const) {
        const url = cacheKey({ ...request, scheme, target }, site.rule)
        this.#components.index.purge({ by: 'url', url }, 'hard')
      }
    }
  }
}
