/**
 * The proxy in the fast lane. What many ask for is answered from one prepared response, made once a second, since its Age changes once a
 * second; everything else goes the proxy's way.
 */
import type { PlainHandler, PlainRequest, PreparedResponse } from '../../http/prepared-response.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { CacheRequest } from '../message.ts'
import type { CacheProxy, ReadyAnswer } from './cache-proxy.ts'
import type { Exchange } from './exchange.ts'
import type { PurgeKnowledge } from './purge-knowledge.ts'
import { bareHost } from './request-parts.ts'
import type { SiteTable } from './site.ts'

/** What the lane's handler works with. */
export interface LaneComponents {
  readonly clock: { now(): number }
  readonly sites: SiteTable
  readonly proxy: CacheProxy
  readonly purges: PurgeKnowledge | undefined
  readonly trusts: (address: string) => boolean
}

const none: HotAnswer = { ready: undefined }

/** Signal of what is answered at once. */
const never = new AbortController().signal

/** Holds an answer until it is forgotten; connections that repeat a request may keep the holder for longer. */
interface HotAnswer {
  ready: ReadyAnswer | undefined
}

/** Answers by path and query. */
type Targets = Map<string, HotAnswer>

/** Plain requests, answered by the proxy. */
export class CdnLane {
  readonly #components: LaneComponents
  /** The answers of this second, by host and accepted encodings. */
  readonly #hot = new Map<string, Targets>()
  #hotCount = 0
  #hotBytes = 0
  #second = 0
  /** Whose answers were looked at last: most of what comes is for the same host. */
  #lastHost = ''
  #lastEncoding: string | undefined
  #last: Targets | undefined

  constructor(components: LaneComponents) {
    this.#components = components
  }

  /** Forgets all prepared answers: the rules have changed. */
  clear(): void {
    for (const targets of this.#hot.values()) {
      for (const hot of targets.values()) hot.ready = undefined
    }
    this.#hot.clear()
    this.#last = undefined
    this.#hotCount = 0
    this.#hotBytes = 0
  }

  readonly handler: PlainHandler = (request, signal, client, hints) => {
    const { sites, proxy, trusts } = this.#components
    // Most peers cache no origin; their players' requests pay nothing for it.
    if (sites.isEmpty) return undefined
    const isSimple = !request.asksCache && request.method === 'GET'
    if (isSimple) {
      const hot = this.#find(request)
      if (hot !== undefined) return hot
    }
    const target = targetOf(request)
    const host = bareHost(request.host)
    const site = sites.find(host, request.path)
    if (site === undefined) return undefined
    const exchange: Exchange = {
      request: cacheRequest(request, host, target),
      clientAddress: client,
      trusted: trusts(client),
      signal: never,
      fromPeer: false,
    }
    const found = proxy.peek(site, exchange)
    if (found === undefined) return proxy.answer(site, { ...exchange, signal, hints })
    if (isSimple && found.isShared) this.#keep(request, target, found)
    return found.response
  }

  /** The second is part of what makes an answer right; another one begins with none. */
  #find(request: PlainRequest): PreparedResponse | undefined {
    const { clock, purges } = this.#components
    const second = Math.floor(clock.now() / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.clear()
      return undefined
    }
    const hot = this.#hotOf(request).ready
    if (hot === undefined || !hot.entry.alive || hot.entry.version !== hot.version) return undefined
    if (purges !== undefined && !purges.ready()) return undefined
    return hot.use() ? hot.response : undefined
  }

  #hotOf(request: PlainRequest): HotAnswer {
    const known = request.answered as HotAnswer | undefined
    if (known?.ready !== undefined) return known
    const hot = this.#targetsOf(request)?.get(targetOf(request)) ?? none
    request.answered = hot
    return hot
  }

  #targetsOf({ host, acceptEncoding }: PlainRequest): Targets | undefined {
    const isLast = host === this.#lastHost && acceptEncoding === this.#lastEncoding
    if (isLast && this.#last !== undefined) return this.#last
    this.#lastHost = host
    this.#lastEncoding = acceptEncoding
    this.#last = this.#hot.get(`${host} ${acceptEncoding ?? ''}`)
    return this.#last
  }

  #keep(request: PlainRequest, target: string, found: ReadyAnswer): void {
    let bytes = 0
    for (const piece of found.response.body) bytes += piece.byteLength
    const isFull = this.#hotCount >= cdnLimits.hotAnswersMax
    if (isFull || this.#hotBytes + bytes > cdnLimits.hotBytesMax) this.clear()
    this.#hotCount += 1
    this.#hotBytes += bytes
    let targets = this.#targetsOf(request)
    if (targets === undefined) {
      targets = new Map()
      this.#hot.set(`${request.host} ${request.acceptEncoding ?? ''}`, targets)
    }
    const holder = targets.get(target)
    if (holder === undefined) targets.set(target, { ready: found })
    else holder.ready = found
  }
}

function targetOf({ path, query }: PlainRequest): string {
  return query === '' ? path : `${path}?${query}`
}

function cacheRequest(request: PlainRequest, host: string, target: string): CacheRequest {
  const headers: Record<string, string> = {}
  for (const name of request.fieldNames()) {
    if (name !== 'connection') headers[name] = request.header(name) ?? ''
  }
  return {
    method: request.method,
    scheme: 'http',
    host,
    target,
    headers,
  }
}
