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
import type { CacheRequest } from '../message.ts'
import { refuseLoop } from '../origins/loop.ts'
import { cacheKey } from '../rules/cache-key.ts'
import type { CacheStatus, ForwardReason } from '../rules/cache-status.ts'
import { conditionalFields, evaluateConditional, validationFields } from '../rules/conditional.ts'
import { type Decision, decide, mayCollapse } from '../rules/decide.ts'
import { ownAnswer } from '../rules/request-for-origin.ts'
import { isRequestsDoing } from '../rules/storable.ts'
import { varyNames } from '../rules/vary.ts'
import type { AnswerStory, Answers } from './answers.ts'
import { type Asked, whole } from './asked.ts'
import type { BodyReader } from './body-reader.ts'
import type { Compressor } from './compressor.ts'
import type { Exchange } from './exchange.ts'
import type { Filler, Outcome } from './filler.ts'
import type { Flights } from './flights.ts'
import type { OriginClient } from './origin-client.ts'
import { PassMemory } from './pass-memory.ts'
import { PassThrough } from './pass-through.ts'
import type { PurgeKnowledge } from './purge-knowledge.ts'
import type { Site } from './site.ts'
import { type Found, StoredAnswers } from './stored-answers.ts'

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
  readonly #stored: StoredAnswers
  readonly #past: PassThrough

  constructor(components: ProxyComponents, init: ProxyInit) {
    this.#components = components
    this.#init = init
    this.#passes = new PassMemory(components)
    this.#stored = new StoredAnswers(components)
    this.#past = new PassThrough(components)
  }

  /** The answer, when it is in memory and needs nobody; undefined leaves the request to {@link CacheProxy.answer}. */
  peek(site: Site, exchange: Exchange): ReadyAnswer | undefined {
    const asked = { site, exchange, key: cacheKey(exchange.request, site.rule) }
    const decision = this.#judge(asked)
    if (decision.kind !== 'hit' || exchange.mustFetch === true) return undefined
    const entry = this.#stored.entryOf(asked.key, decision.stored)
    if (entry === undefined) return undefined
    const response = this.#stored.peek(asked, decision, { hit: true, ttlS: decision.ttlS })
    if (response === undefined) return undefined
    const { bodies, metrics } = this.#components
    const hits = metrics.hitsOf(site.rule.name)
    hits.count += 1
    const use = (): boolean => {
      if (!bodies.touch(entry)) return false
      hits.count += 1
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
    return await this.#past.pass(asked, 'miss')
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
    if (decision.kind === 'pass') return await this.#past.pass(asked, passReason(decision.reason))
    if (exchange.mustFetch === true) return await this.#fetch(asked, 'miss', ' anew')
    switch (decision.kind) {
      case 'hit':
        return await this.#serve(asked, decision, { hit: true, ttlS: decision.ttlS }, 'hit')
      case 'stale': {
        const entry = this.#stored.entryOf(asked.key, decision.stored)
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
    const story = { nowMs: clock.now(), cacheStatus: {} }
    if (status === undefined) return undefined
    const allow = { allow: 'GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE' }
    if (status === 204) return answers.own({ status, headers: allow, body: [] }, story)
    return answers.refused(status, request.target, story, status === 405 ? allow : {})
  }

  /** Another protocol cannot be spoken through a cache; the client goes on with HTTP, or elsewhere. */
  #refuseUpgrade({ request }: Exchange): PreparedResponse {
    const { answers, clock } = this.#components
    const story = { nowMs: clock.now(), cacheStatus: { detail: 'upgrade' } }
    return answers.refused(501, request.target, story, {})
  }

  /** Serves what is stored; undefined when its bytes turn out to be gone. */
  async #serve(
    asked: Asked,
    found: Found,
    cacheStatus: CacheStatus,
    result: string,
  ): Promise<PreparedResponse | undefined> {
    const answer = await this.#stored.serve(asked, found, cacheStatus)
    if (answer !== undefined) {
      this.#components.metrics.requests.inc({ rule: asked.site.rule.name, result })
    }
    return answer
  }

  async #fetch(
    asked: Asked,
    reason: ForwardReason,
    suffix: string,
  ): Promise<PreparedResponse | undefined> {
    const { filler } = this.#components
    const { site, exchange, key } = asked
    const { request } = exchange
    const isLikelyPrivate = this.#passes.has(key)
    if (isLikelyPrivate && isForOneClient(request)) return await this.#past.pass(asked, reason)
    const question = whole(asked)
    const isWhole = suffix === WHOLE || request.method === 'HEAD'
    const slice = isWhole ? undefined : firstSlice(request.headers.range, site.rule.sliceBytes)
    const id = slice === undefined ? `${key}${suffix}` : `${key}${suffix} ${slice}`
    const flight = isLikelyPrivate ? unshared(id) : id
    const { value, isLeader } = await this.#join(asked, flight, (context) =>
      slice === undefined
        ? filler.fetch(question, context)
        : filler.fetchSlice(question, slice, context),
    )
    return await this.#settle(asked, value, { isLeader, reason })
  }

  async #validate(
    asked: Asked,
    decision: Decision & { kind: 'validate' },
  ): Promise<PreparedResponse | undefined> {
    const { filler, logger } = this.#components
    const entry = this.#stored.entryOf(asked.key, decision.stored)
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
    const alone = mayCollapse(exchange.request) ? subject : { ...subject, id: unshared(id) }
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
    const { metrics } = this.#components
    const rule = asked.site.rule.name
    const collapsed = isLeader ? {} : { collapsed: true }
    switch (outcome.kind) {
      case 'stored': {
        if (!isLeader && !this.#isFor(asked, outcome.entry)) return undefined
        const status: CacheStatus = { fwd: reason, stored: true, ...collapsed }
        const unshared = isLeader ? outcome.unshared : undefined
        const answer = await this.#stored.read(asked, outcome.entry, status, unshared)
        if (answer !== undefined) metrics.requests.inc({ rule, result: 'miss' })
        return answer
      }
      case 'validated': {
        const status: CacheStatus = { fwd: reason, fwdStatus: 304, ...collapsed }
        metrics.requests.inc({ rule, result: 'revalidated' })
        return await this.#stored.read(asked, outcome.entry, status)
      }
      case 'error': {
        const status: CacheStatus = {
          fwd: 'stale',
          fwdStatus: outcome.status,
          detail: 'stale-if-error',
        }
        metrics.requests.inc({ rule, result: 'stale-if-error' })
        return await this.#stored.read(asked, outcome.entry, status)
      }
      case 'private':
        return await this.#settlePrivate(asked, outcome, { isLeader, reason })
      case 'pass':
        // A small response whose version has no strong name is better kept whole than asked for part by part.
        return (outcome.wholeBytes ?? Number.POSITIVE_INFINITY) <= cdnLimits.wholeBytesMax
          ? await this.#fetch(asked, reason, WHOLE)
          : await this.#past.pass(asked, reason)
      case 'again':
        return undefined
    }
  }

  /** What came is for one client alone: whoever asked takes it, others ask for themselves. */
  async #settlePrivate(
    asked: Asked,
    { response, own, isLasting, ofRange }: Outcome & { kind: 'private' },
    { isLeader, reason }: { readonly isLeader: boolean; readonly reason: ForwardReason },
  ): Promise<PreparedResponse> {
    const { answers, clock, metrics } = this.#components
    const { exchange, key, site } = asked
    const { request } = exchange
    const nowMs = clock.now()
    if (isLasting && !isRequestsDoing(request, response, nowMs, site.rule)) this.#passes.add(key)
    if (!isLeader) return await this.#past.pass(asked, reason)
    // The origin was asked for a slice or for the whole; which part the client gets is the origin's to say.
    if (request.headers.range !== undefined && ofRange !== true) {
      own.abort(new KairoError('ERR_STOPPED', 'the client wants a part'))
      return await this.#past.pass(asked, reason)
    }
    metrics.requests.inc({ rule: site.rule.name, result: 'miss' })
    const toPeer = exchange.fromPeer
    const story: AnswerStory = { nowMs, cacheStatus: { fwd: reason, stored: false }, toPeer }
    // The origin was asked without the client's conditions, so they are judged here, on what it answered.
    const judged = evaluateConditional(request, { ...response, responseTimeMs: nowMs })
    if (request.method === 'HEAD' || judged !== 'proceed') {
      own.abort(new KairoError('ERR_STOPPED', 'the client wants no body'))
    }
    return judged === 'proceed'
      ? answers.passed(response, request, story)
      : answers.conditional(response, judged, story)
  }

  /** True when a response that another request brought answers this one as well. */
  #isFor({ site, exchange }: Asked, entry: CacheEntry): boolean {
    const { clock } = this.#components
    const decision = decide(exchange.request, [entry.head], clock.now(), site.rule)
    if (decision.kind === 'hit' || decision.kind === 'stale') return true
    // It came after this request did, so it is as new as can be.
    return decision.kind === 'validate' && decision.reason === 'stale' && entry.alive
  }
}

function isShared({ head }: CacheEntry): boolean {
  const names = varyNames(head)
  return names !== '*' && names.every((name) => name === 'accept-encoding' || name === 'host')
}

function passReason(reason: (Decision & { kind: 'pass' })['reason']): ForwardReason {
  return reason === 'method' ? 'method' : 'bypass'
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

/** True for a request whose answer would be of no use to others, or of which only the origin can give the part. */
function isForOneClient({ method, headers }: CacheRequest): boolean {
  if (method === 'HEAD') return true
  const names = ['cookie', 'range', ...conditionalFields]
  return names.some((name) => headers[name] !== undefined)
}

function detailOf(error: unknown): Pick<CacheStatus, 'detail'> {
  return isKairoError(error) ? { detail: error.code } : {}
}

/** Marks fetches of the whole for a request of a part. */
const WHOLE = ' whole'

let unsharedFlights = 0

/** An id that nobody joins. */
function unshared(id: string): string {
  unsharedFlights += 1
  return `${id} ${unsharedFlights}`
}
