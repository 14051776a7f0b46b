/** An origin that speaks HTTP/1.1 or HTTPS, over connections that are kept and counted. */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { type Attempt, type AttemptOutcome, CircuitBreaker } from '../../circuit-breaker.ts'
import type { Clock } from '../../clock.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { httpOriginLimits as limits, originBreakerLimits } from '../../limits/cdn-origins.ts'
import type { Logger } from '../../logger.ts'
import type { CacheRequest, Fields } from '../message.ts'
import type { Origin, OriginRequestOptions, OriginResponse } from '../origin.ts'
import { Gate } from './gate.ts'
import {
  type ExchangeRequest,
  type ExchangeTarget,
  HttpExchange,
  StaleConnection,
} from './http-exchange.ts'
import { loopField, refuseLoop } from './loop.ts'
import type { OriginMetrics } from './origin-metrics.ts'
import { sharedLookup } from './shared-lookup.ts'

/** What origins are built on. */
export interface OriginComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: OriginMetrics
  /** This peer's id, by which it knows requests that come back to it. */
  readonly peerId: string
  /** 0 to 1. */
  readonly random: () => number
}

/** Where an HTTP origin is. */
export interface HttpOriginInit {
  /** Base URL; the target of a request is put behind its path. */
  readonly url: string
  /** `Host` for the origin; `client` passes the client's on; default: the base URL's. */
  readonly host?: string | undefined
}

/** Methods whose request may be sent twice (RFC 9110 9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/**
 * A path that leads out of the folder it is put behind: `..` in any spelling that some server takes for it, with any separator that
 * some server takes for one.
 */
const climbing = /(?:[/\\]|%2f|%5c)(?:\.|%2e){2}(?=[/\\;]|%2f|%5c|$)/i

/** Outcomes that say that the origin itself is not well, whatever was asked of it. */
const failures = new Set(['ERR_NO_PROVIDER', 'ERR_TIMEOUT'])

/** Keeps its own pool: one origin's trouble is no other's. */
export class HttpOrigin implements Origin {
  readonly #components: OriginComponents
  readonly #logger: Logger
  readonly #label: string
  readonly #host: string
  readonly #basePath: string
  readonly #target: ExchangeTarget
  readonly #gate: Gate
  readonly #breaker: CircuitBreaker
  readonly #unwatch: () => void
  #closed = false

  constructor(components: OriginComponents, init: HttpOriginInit) {
    const { clock, logger, metrics } = components
    const url = new URL(init.url)
    this.#components = components
    this.#label = url.host
    this.#logger = logger.child({ name: 'kairo:origin', origin: url.host })
    this.#host = init.host ?? url.host
    this.#basePath = url.pathname.replace(/\/+$/, '')
    this.#target = targetOf(url, clock)
    this.#breaker = new CircuitBreaker(components, {
      ...originBreakerLimits,
      onOpened: (_, openings) => this.#leaveAlone(openings),
    })
    this.#gate = new Gate(components, {
      insideMax: limits.socketsMax,
      waitingMax: limits.waitingMax,
      waitMsMax: limits.waitMsMax,
      onRefused: (reason) => metrics.refused.inc({ origin: this.#label, reason }),
    })
    const [gate, breaker] = [this.#gate, this.#breaker]
    this.#unwatch = metrics.watch(this.#label, {
      get inside() {
        return gate.inside
      },
      get waiting() {
        return gate.waiting
      },
      get isOpen() {
        return breaker.isOpen
      },
    })
  }

  /** @inheritdoc */
  async fetch(request: CacheRequest, options: OriginRequestOptions): Promise<OriginResponse> {
    const { metrics } = this.#components
    const origin = this.#label
    try {
      const response = await this.#fetch(request, options)
      metrics.answers.inc({ origin, result: `${Math.trunc(response.status / 100)}xx` })
      return response
    } catch (error) {
      metrics.answers.inc({ origin, result: isKairoError(error) ? error.code : 'ERR_INTERNAL' })
      throw error
    }
  }

  /** Idle connections end now, busy ones after their answer; who waits is turned away. */
  close(): void {
    this.#closed = true
    this.#unwatch()
    this.#gate.refuseWaiting(stopped())
    const { agent } = this.#target
    agent.maxFreeSockets = 0
    for (const sockets of Object.values(agent.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy()
    }
  }

  async #fetch(request: CacheRequest, options: OriginRequestOptions): Promise<OriginResponse> {
    if (this.#closed) throw stopped()
    refuseLoop(request.headers, this.#components.peerId)
    const outgoing = this.#outgoing(request, options)
    const attempt = this.#begin()
    try {
      await this.#gate.enter(options.signal)
    } catch (error) {
      attempt.end('abandoned')
      throw error
    }
    const { clock, metrics } = this.#components
    const startMs = clock.monotonicMs()
    try {
      const response = await this.#send(outgoing)
      attempt.end('succeeded')
      metrics.headSeconds.observe({ origin: this.#label }, (clock.monotonicMs() - startMs) / 1_000)
      return response
    } catch (error) {
      attempt.end(outcomeOf(error, options.signal))
      throw error
    }
  }

  #begin(): Attempt {
    const attempt = this.#breaker.begin()
    if (attempt !== undefined) return attempt
    this.#components.metrics.refused.inc({ origin: this.#label, reason: 'circuit-open' })
    throw new KairoError('ERR_NO_PROVIDER', 'the origin does not answer; it is tried again soon')
  }

  /** Sends it, and once more on a new connection where the kept one had ended; room is made when the last connection is free. */
  async #send(outgoing: ExchangeRequest): Promise<OriginResponse> {
    let closed = Promise.resolve()
    try {
      const first = new HttpExchange(this.#components, this.#target, outgoing)
      closed = first.closed
      try {
        return await first.send()
      } catch (error) {
        const mayRepeat = idempotent.has(outgoing.method) && outgoing.body === undefined
        if (!(error instanceof StaleConnection) || !mayRepeat) throw error
      }
      this.#components.metrics.retries.inc({ origin: this.#label })
      // Other kept connections may have ended likewise.
      const second = new HttpExchange(this.#components, freshTarget(this.#target), outgoing)
      closed = second.closed
      return await second.send()
    } finally {
      void closed.then(() => this.#gate.leave())
    }
  }

  #leaveAlone(openings: number): void {
    if (openings > 1) return
    this.#logger.warn({}, 'the origin does not answer and is left alone for a while')
    this.#gate.refuseWaiting(new KairoError('ERR_NO_PROVIDER', 'the origin does not answer'))
  }

  #outgoing(request: CacheRequest, options: OriginRequestOptions): ExchangeRequest {
    const { metrics, peerId } = this.#components
    const { method, target } = request
    if (method === 'CONNECT' || !target.startsWith('/') || climbing.test(pathOf(target))) {
      throw new KairoError('ERR_INVALID_INPUT', 'the request cannot be passed to the origin')
    }
    const origin = this.#label
    return {
      method,
      path: `${this.#basePath}${target}`,
      headers: {
        ...framedFields(request.headers, options.body !== undefined),
        host: this.#host === 'client' ? request.host : this.#host,
        'cdn-loop': loopField(request.headers, peerId),
      },
      body: options.body,
      signal: options.signal,
      onInformational: options.onInformational,
      onBodyBytes: (bytes) => metrics.bodyBytes.inc({ origin }, bytes),
    }
  }
}

function pathOf(target: string): string {
  return target.split(/[?#]/, 1)[0] as string
}

function targetOf(url: URL, clock: Clock): ExchangeTarget {
  const secure = url.protocol === 'https:'
  const agent = new (secure ? HttpsAgent : HttpAgent)({
    keepAlive: true,
    maxFreeSockets: limits.idleSocketsMax,
    scheduling: 'lifo',
    timeout: limits.idleSocketMs,
  })
  return {
    secure,
    agent,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    lookup: sharedLookup({ clock }),
  }
}

/** The same place over a connection of its own. */
function freshTarget(target: ExchangeTarget): ExchangeTarget {
  return { ...target, agent: target.secure ? new HttpsAgent() : new HttpAgent() }
}

/** The fields with exactly the framing that the body needs: a length that no body follows would hold the origin. */
function framedFields(fields: Fields, hasBody: boolean): Fields {
  const { 'content-length': length, 'transfer-encoding': _, connection: __, ...rest } = fields
  if (!hasBody) return length === '0' ? { ...rest, 'content-length': '0' } : rest
  return length === undefined
    ? { ...rest, 'transfer-encoding': 'chunked' }
    : { ...rest, 'content-length': length }
}

function outcomeOf(error: unknown, signal: AbortSignal): AttemptOutcome {
  // A deadline of whoever asks says as much of the origin as one of ours.
  if (signal.aborted) return isKairoError(signal.reason, 'ERR_TIMEOUT') ? 'failed' : 'abandoned'
  if (!isKairoError(error)) return 'abandoned'
  return failures.has(error.code) ? 'failed' : 'succeeded'
}

function stopped(): KairoError {
  return new KairoError('ERR_STOPPED', 'the origin is no longer in use')
}
