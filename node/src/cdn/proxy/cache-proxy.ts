/**
 * The shared cache in front of origins: each request is judged by the rules on what is stored, answered from here where they allow it, and
 * otherwise asked of the origin once for all who want the same.
 */
import { isKairoError, KairoError } from '../../errors.ts'
import type { PreparedResponse } from '../../http/prepared-response.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { Logger } from '../../logger.ts'
import type { CacheIndex } from '../cache/cache-index.ts'
import type { CacheMetrics } from '../cache/cache-metrics.ts'
import type { CacheEntry } from '../cache/entry.ts'
import type { Fields, StoredHead } from '../message.ts'
import { refuseLoop } from '../origins/loop.ts'
import { cacheKey } from '../rules/cache-key.ts'
import type { CacheStatus, ForwardReason } from '../rules/cache-status.ts'
import { validationFields } from '../rules/conditional.ts'
import { type Decision, decide, mayCollapse } from '../rules/decide.ts'
import { freshnessOf } from '../rules/freshness.ts'
import { invalidates } from '../rules/invalidation.ts'
import { ownAnswer } from '../rules/request-for-origin.ts'
import { varyNames } from '../rules/vary.ts'
import type { AnswerStory, Answers } from './answers.ts'
import type { BodyReader } from './body-reader.ts'
import type { Compressor } from './compressor.ts'
import type { Exchange } from './exchange.ts'
import type { Filler, Outcome } from './filler.ts'
import type { Flights } from './flights.ts'
import type { OriginClient } from './origin-client.ts'
import { PassMemory } from './pass-memory.ts'
import type { PurgeKnowledge } from './purge-knowledge.ts'
import type { Site } from './site.ts'

/** What a proxy works with. */
export interface ProxyComponents {
  readonly clock: { now(): number; monotonicMs(): number }
  readonly logger: Logger
  readonly metrics: CacheMetrics
  readonly index: CacheIndex
  readonly bodies: BodyReader
  readonly answers: Answers
  readonly compressor: Compressor
  readonly filler: Filler
  readonly origins: OriginClient
  readonly flights: Flights<Outcome>
  readonly purges: PurgeKnowledge | undefined
}

/** This peer, to others. */
export interface ProxyInit {
  readonly name: string
  readonly peerId: string
}

/** A request under way: where it belongs, and what it is stored under. */
interface Asked {
  readonly site: Site
  readonly exchange: Exchange
  readonly key: string
}

/** An answer that needed nobody, and for how many requests it is right. */
export interface ReadyAnswer {
  readonly entry: CacheEntry
  /** Of the entry, when the answer was made. */
  readonly version: number
  readonly response: PreparedResponse
  /** Counts one more request that it answers; false when its bytes have been let go of since. */
  readonly use: () => boolean
  /** True when every plain request for the same URL with the same `Accept-Encoding` is answered so. */
  readonly isShared: boolean
}

type Validation = Pick<Decision & { kind: 'validate' }, 'conditional' | 'candidates'> & {
  readonly entry: CacheEntry
}

/** Answers requests. */
export class CacheProxy {
  readonly #components: ProxyComponents
  readonly #init: ProxyInit
  readonly #passes: PassMemory

  constructor(components: ProxyComponents, init: ProxyInit) {
    this.#components = components
    this.#init = init
    this.#passes = new PassMemory(components)
  }

  /** The answer, when it is in memory and needs nobody; undefined leaves the request to {@link CacheProxy.answer}. */
  peek(site: Site, exchange: Exchange): ReadyAnswer | undefined {
    const asked = { site, exchange, key: cacheKey(exchange.request, site.rule) }
    const decision = this.#judge(asked)
    if (decision.kind !== 'hit' || exchange.mustFetch === true) return undefined
    const entry = this.#entryOf(asked.key, decision.stored)
    if (entry === undefined) return undefined
    const response = this.#peekEntry(asked, decision, { hit: true, ttlS: decision.ttlS })
    if (response === undefined) return undefined
    const { bodies, metrics } = this.#components
    const { name } = site.rule
    metrics.hit(name)
    const use = (): boolean => {
      if (!bodies.touch(entry)) return false
      metrics.hit(name)
      return true
    }
    return { entry, version: entry.version, response, use, isShared: isShared(entry) }
  }

  /** The answer; a failure is a problem document. */
  async answer(site: Site, exchange: Exchange): Promise<PreparedResponse> {
    const { answers, clock, logger, metrics } = this.#components
    try {
      return await this.answerOrThrow(site, exchange)
    } catch (error) {
      if (!isKairoError(error)) logger.error({ err: error }, 'a request could not be answered')
      metrics.requests.inc({ rule: site.rule.name, result: 'error' })
      if (isKairoError(error, 'ERR_LIMIT')) metrics.refused.inc({ rule: site.rule.name })
      const path = exchange.request.target.split('?', 1)[0] as string
      const cacheStatus: CacheStatus = { fwd: 'miss', ...detailOf(error) }
      return answers.failed(error, path, { nowMs: clock.now(), cacheStatus })
    }
  }

  /**
   * The answer.
   * @throws KairoError when it cannot be had.
   */
  async answerOrThrow(site: Site, exchange: Exchange): Promise<PreparedResponse> {
    const own = this.#ownAnswer(exchange)
    if (own !== undefined) return own
    refuseLoop(exchange.request.headers, this.#init.peerId)
    const asked: Asked = { site, exchange, key: cacheKey(exchange.request, site.rule) }
    for (let attempt = 0; attempt < cdnLimits.attemptsMax; attempt += 1) {
      const answer = await this.#attempt(asked)
      if (answer !== undefined) return answer
    }
    return await this.#pass(asked, 'miss')
  }

  /** What to do with a request; while purges may have been missed, nothing is served unasked. */
  #judge({ site, exchange, key }: Asked): Decision {
    const { clock, index, purges } = this.#components
    const heads = index.get(key).map(({ head }) => head)
    const decision = decide(exchange.request, heads, clock.now(), site.rule)
    const serves = decision.kind === 'hit' || decision.kind === 'stale'
    if (!serves) return decision
    const isUnsure = purges !== undefined && !purges.ready()
    // A peer that asks keeps what it gets: it must not be staler than it has to be.
    const isStaleForPeer = exchange.fromPeer && decision.kind === 'stale'
    if (!isUnsure && !isStaleForPeer) return decision
    return {
      ...decision,
      kind: 'validate',
      conditional: validationFields([decision.stored]),
      candidates: [decision.stored],
      staleIfErrorAllowed: false,
      reason: 'stale',
    }
  }

  /** One try; undefined when what it waited for is not for this request, and all is to be looked at anew. */
  async #attempt(asked: Asked): Promise<PreparedResponse | undefined> {
    const { exchange, site } = asked
    const decision = this.#judge(asked)
    if (decision.kind === 'pass' && decision.reason === 'upgrade') {
      return this.#refuseUpgrade(exchange)
    }
    if (decision.kind === 'pass') return await this.#pass(asked, passReason(decision.reason))
    if (exchange.mustFetch === true) return await this.#fetch(asked, 'miss', ' anew')
    switch (decision.kind) {
      case 'hit':
        return await this.#serve(asked, decision, { hit: true, ttlS: decision.ttlS }, 'hit')
      case 'stale': {
        const entry = this.#entryOf(asked.key, decision.stored)
        if (entry !== undefined) this.#refreshBehind(asked, { ...decision, entry })
        return await this.#serve(asked, decision, { hit: true, ttlS: decision.ttlS }, 'stale')
      }
      case 'validate':
        return await this.#validate(asked, decision)
      case 'miss':
        return await this.#fetch(asked, decision.reason, '')
      case 'unavailable':
        this.#components.metrics.requests.inc({ rule: site.rule.name, result: 'unavailable' })
        throw new KairoError('ERR_TIMEOUT', 'the response is not in the cache')
    }
  }

  /** What this peer answers by itself, without an origin. */
  #ownAnswer({ request }: Exchange): PreparedResponse | undefined {
    const { answers, clock } = this.#components
    const status = ownAnswer(request, this.#init.name)
    const story = { nowMs: clock.now(), cacheStatus: { fwd: 'method' as const } }
    if (status === undefined) return undefined
    const allow = { allow: 'GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE' }
    if (status === 204) return answers.own({ status, headers: allow, body: [] }, story)
    return answers.refused(status, request.target, story, status === 405 ? allow : {})
  }

  /** Another protocol cannot be spoken through a cache; the client goes on with HTTP, or elsewhere. */
  #refuseUpgrade({ request }: Exchange): PreparedResponse {
    const { answers, clock } = this.#components
    const story = { nowMs: clock.now(), cacheStatus: { fwd: 'bypass' as const, detail: 'upgrade' } }
    return answers.refused(501, request.target, story, {})
  }

  /** Serves what is stored; undefined when its bytes turn out to be gone. */
  async #serve(
    asked: Asked,
    found: { readonly stored: StoredHead; readonly ageS: number },
    cacheStatus: CacheStatus,
    result: string,
  ): Promise<PreparedResponse | undefined> {
    const { metrics } = this.#components
    const entry = this.#entryOf(asked.key, found.stored)
    if (entry === undefined) return undefined
    const answer =
      this.#peekEntry(asked, found, cacheStatus) ?? (await this.#read(asked, entry, cacheStatus))
    if (answer !== undefined) metrics.requests.inc({ rule: asked.site.rule.name, result })
    return answer
  }

  #peekEntry(
    { site, exchange, key }: Asked,
    found: { readonly stored: StoredHead; readonly ageS: number },
    cacheStatus: CacheStatus,
  ): PreparedResponse | undefined {
    const { answers, compressor, clock } = this.#components
    const entry = this.#entryOf(key, found.stored)
    if (entry === undefined) return undefined
    entry.used = true
    const toPeer = exchange.fromPeer
    // A peer gets the bytes as they are stored, and compresses them for its own clients.
    const encoded = toPeer ? undefined : compressor.find(site, entry, exchange.request)
    const variesByEncoding = !toPeer && compressor.varies(site, entry)
    const story = { nowMs: clock.now(), cacheStatus, ageS: found.ageS, variesByEncoding, toPeer }
    return answers.peek(entry, exchange.request, story, encoded)
  }

  /** Reads a stored response; undefined when it is not servable after all, and is forgotten. */
  async #read(
    { site, exchange }: Asked,
    entry: CacheEntry,
    cacheStatus: CacheStatus,
  ): Promise<PreparedResponse | undefined> {
    const { answers, bodies, clock, compressor, index } = this.#components
    if (!bodies.isServable(entry)) {
      index.remove(entry)
      return undefined
    }
    const nowMs = clock.now()
    const { ageS } = freshnessOf(entry.head, nowMs, site.rule)
    const toPeer = exchange.fromPeer
    const story = {
      ...{ nowMs, cacheStatus, ageS, toPeer },
      variesByEncoding: !toPeer && compressor.varies(site, entry),
    }
    const context = { site, exchange, signal: exchange.signal }
    const { generation } = index
    try {
      const answer = await answers.read(entry, exchange.request, story, context)
      // Purged while its bytes were looked for: an answer that has not begun must not begin with it.
      return index.generation !== generation && !entry.alive ? undefined : answer
    } catch (error) {
      // It was forgotten because it changed or because its bytes are gone: then there is another way.
      if (exchange.signal.aborted || entry.alive) throw error
      return undefined
    }
  }

  #entryOf(key: string, stored: StoredHead): CacheEntry | undefined {
    return this.#components.index.get(key).find(({ head }) => head === stored)
  }

  async #fetch(
    asked: Asked,
    reason: ForwardReason,
    suffix: string,
  ): Promise<PreparedResponse | undefined> {
    const { filler } = this.#components
    const { site, exchange, key } = asked
    const { request } = exchange
    if (request.method === 'HEAD' || this.#passes.has(key)) return await this.#pass(asked, reason)
    const isWhole = suffix === WHOLE
    const slice = isWhole ? undefined : firstSlice(request.headers.range, site.rule.sliceBytes)
    const id = slice === undefined ? `${key}${suffix}` : `${key}${suffix} ${slice}`
    const { value, isLeader } = await this.#join(asked, id, (context) =>
      slice === undefined ? filler.fetch(asked, context) : filler.fetchSlice(asked, slice, context),
    )
    return await this.#settle(asked, value, { isLeader, reason })
  }

  async #validate(
    asked: Asked,
    decision: Decision & { kind: 'validate' },
  ): Promise<PreparedResponse | undefined> {
    const { filler, logger } = this.#components
    const entry = this.#entryOf(asked.key, decision.stored)
    if (entry === undefined) return undefined
    const reason = decision.reason === 'request' ? 'request' : 'stale'
    try {
      const { value, isLeader } = await this.#join(asked, `validate ${entry.id}`, (context) =>
        filler.validate(whole(asked), { ...decision, entry }, context),
      )
      return await this.#settle(asked, value, { isLeader, reason })
    } catch (error) {
      if (exchangeIsOver(asked) || !decision.staleIfErrorAllowed || !entry.alive) throw error
      logger.debug({ err: error, key: asked.key }, 'the origin failed: a stale response stands in')
      const status: CacheStatus = { fwd: 'stale', ttlS: decision.ttlS, detail: 'stale-if-error' }
      return await this.#serve(asked, decision, status, 'stale-if-error')
    }
  }

  /** Asks the origin behind an answer that has been given. */
  #refreshBehind(asked: Asked, stale: Validation): void {
    const { filler, flights, logger } = this.#components
    const id = `validate ${stale.entry.id}`
    if (flights.has(id)) return
    const exchange: Exchange = {
      ...asked.exchange,
      signal: new AbortController().signal,
      hints: undefined,
    }
    const behind = whole({ ...asked, exchange })
    this.#join(behind, id, (context) => filler.validate(behind, stale, context)).then(
      ({ value }) => {
        if (value.kind === 'private') value.own.abort(new KairoError('ERR_STOPPED', 'not kept'))
      },
      (error: unknown) => logger.debug({ err: error, key: asked.key }, 'not revalidated'),
    )
  }

  async #join(
    { site, exchange, key }: Asked,
    id: string,
    work: Parameters<Flights<Outcome>['join']>[2],
  ): Promise<{ value: Outcome; isLeader: boolean }> {
    const { flights, metrics } = this.#components
    const subject = { id, key, host: exchange.request.host }
    // Nobody waits for an answer that cannot be shared, and nobody waits for this one.
    const alone = mayCollapse(exchange.request)
      ? subject
      : { ...subject, id: `${id} ${nextAlone()}` }
    const joined = await flights.join(alone, exchange, work)
    if (!joined.isLeader) metrics.collapsed.inc({ rule: site.rule.name })
    return joined
  }

  /** Makes an answer of what came. */
  async #settle(
    asked: Asked,
    outcome: Outcome,
    { isLeader, reason }: { readonly isLeader: boolean; readonly reason: ForwardReason },
  ): Promise<PreparedResponse | undefined> {
    const { answers, clock, metrics } = this.#components
    const { exchange, key, site } = asked
    const rule = site.rule.name
    const collapsed = isLeader ? {} : { collapsed: true }
    switch (outcome.kind) {
      case 'stored': {
        if (!isLeader && !this.#isFor(asked, outcome.entry)) return undefined
        const status: CacheStatus = { fwd: reason, stored: true, ...collapsed }
        const answer = await this.#read(asked, outcome.entry, status)
        if (answer !== undefined) metrics.requests.inc({ rule, result: 'miss' })
        return answer
      }
      case 'validated': {
        const status: CacheStatus = { fwd: reason, fwdStatus: 304, ...collapsed }
        metrics.requests.inc({ rule, result: 'revalidated' })
        return await this.#read(asked, outcome.entry, status)
      }
      case 'error': {
        const status: CacheStatus = {
          fwd: 'stale',
          fwdStatus: outcome.status,
          detail: 'stale-if-error',
        }
        metrics.requests.inc({ rule, result: 'stale-if-error' })
        return await this.#read(asked, outcome.entry, status)
      }
      case 'private': {
        if (outcome.isLasting) this.#passes.add(key)
        if (!isLeader) return await this.#pass(asked, reason)
        const { request } = exchange
        if (wantsPart(request.headers)) {
          outcome.own.abort(new KairoError('ERR_STOPPED', 'the client wants a part'))
          return await this.#pass(asked, reason)
        }
        metrics.requests.inc({ rule, result: 'miss' })
        const story: AnswerStory = {
          nowMs: clock.now(),
          cacheStatus: { fwd: reason, stored: false },
          toPeer: exchange.fromPeer,
        }
        if (request.method === 'HEAD') {
          outcome.own.abort(new KairoError('ERR_STOPPED', 'the client wants the head only'))
        }
        return answers.passed(outcome.response, request, story)
      }
      case 'pass':
        // A small response whose version has no strong name is better kept whole than asked for part by part.
        return (outcome.wholeBytes ?? Number.POSITIVE_INFINITY) <= cdnLimits.wholeBytesMax
          ? await this.#fetch(asked, reason, WHOLE)
          : await this.#pass(asked, reason)
      case 'again':
        return undefined
    }
  }

  /** True when a response that another request brought answers this one as well. */
  #isFor({ site, exchange }: Asked, entry: CacheEntry): boolean {
    const { clock } = this.#components
    const decision = decide(exchange.request, [entry.head], clock.now(), site.rule)
    if (decision.kind === 'hit' || decision.kind === 'stale') return true
    // It came after this request did, so it is as new as can be.
    return decision.kind === 'validate' && decision.reason === 'stale' && entry.alive
  }

  /** Sends the request on as it is, and the response back as it comes. */
  async #pass(asked: Asked, fwd: ForwardReason): Promise<PreparedResponse> {
    const { answers, clock, metrics, origins } = this.#components
    const { site, exchange } = asked
    const { request, hints } = exchange
    const { response } = await origins.ask(site, {
      exchange,
      fill: undefined,
      signal: exchange.signal,
      onInformational: (head) => {
        if (head.status === 103) hints?.(head.headers)
      },
    })
    this.#invalidate(asked, response)
    metrics.requests.inc({ rule: site.rule.name, result: 'pass' })
    const story: AnswerStory = {
      nowMs: clock.now(),
      cacheStatus: { fwd, stored: false },
      toPeer: exchange.fromPeer,
    }
    return answers.passed(response, request, story)
  }

  /** Forgets what an unsafe request has changed (RFC 9111 4.4), and what is on its way from before. */
  #invalidate({ site, exchange }: Asked, response: { status: number; headers: Fields }): void {
    const { request } = exchange
    for (const target of invalidates(request, response)) {
      const url = cacheKey({ ...request, target }, site.rule)
      this.#components.index.purge({ by: 'url', url }, 'hard')
    }
  }
}

function isShared({ head }: CacheEntry): boolean {
  const names = varyNames(head)
  return names !== '*' && names.every((name) => name === 'accept-encoding' || name === 'host')
}

function passReason(reason: (Decision & { kind: 'pass' })['reason']): ForwardReason {
  return reason === 'method' ? 'method' : 'bypass'
}

/** As a GET: what a HEAD asks anew is kept with its body, or the stored one would be lost. */
function whole(asked: Asked): Asked {
  const { exchange } = asked
  if (exchange.request.method !== 'HEAD') return asked
  return { ...asked, exchange: { ...exchange, request: { ...exchange.request, method: 'GET' } } }
}

function exchangeIsOver({ exchange }: Asked): boolean {
  return exchange.signal.aborted
}

/** The slice that holds the first byte that is asked for; the first one, which tells the length, where that is not known. */
function firstSlice(range: string | undefined, sliceBytes: number): number | undefined {
  if (range === undefined) return undefined
  const match = /^\s*bytes\s*=\s*(\d{0,15})\s*-/i.exec(range)
  if (match === null) return undefined
  return match[1] === '' ? 0 : Math.floor(Number(match[1]) / sliceBytes)
}

function wantsPart(headers: Fields): boolean {
  const names = ['range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since']
  return names.some((name) => headers[name] !== undefined)
}

function detailOf(error: unknown): Pick<CacheStatus, 'detail'> {
  return isKairoError(error) ? { detail: error.code } : {}
}

/** Marks fetches of the whole for a request of a part. */
const WHOLE = ' whole'

let alone = 0

function nextAlone(): number {
  alone += 1
  return alone
}
