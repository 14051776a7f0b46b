/** Brings responses into the cache: whole ones, validated ones, and the first slice of large ones. */
import { KairoError } from '../../errors.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { Logger } from '../../logger.ts'
import { BodyFill } from '../cache/body-fill.ts'
import type { CacheIndex } from '../cache/cache-index.ts'
import type { CacheEntry, SlicedBody } from '../cache/entry.ts'
import type { Fields, ResponseHead, StoredHead } from '../message.ts'
import { parseContentRange } from '../rules/byte-ranges.ts'
import { sliceGuard } from '../rules/conditional.ts'
import { mergedHead, refreshed, validatedBy } from '../rules/refresh.ts'
import { mayServeOnError } from '../rules/stale.ts'
import { storable, storedHead, unsharedFields } from '../rules/storable.ts'
import type { BodyReader } from './body-reader.ts'
import { collect } from './collect.ts'
import type { Exchange } from './exchange.ts'
import type { FlightContext } from './flights.ts'
import type { OriginAnswer, OriginClient } from './origin-client.ts'
import type { Site } from './site.ts'

/** What a question to an origin came to. */
export type Outcome =
  /** It is in the cache, its body perhaps still coming; with the fields that whoever asked gets and nobody else. */
  | { readonly kind: 'stored'; readonly entry: CacheEntry; readonly unshared?: Fields }
  /** The origin says that the entry is still good; `entry` may be one that is kept no longer. */
  | { readonly kind: 'validated'; readonly entry: CacheEntry }
  /** The origin failed with this status, and the entry may stand in. */
  | { readonly kind: 'error'; readonly entry: CacheEntry; readonly status: number }
  /** For one client only: whoever asked takes it, others ask for themselves. `own` ends it. */
  | {
      readonly kind: 'private'
      readonly response: OriginAnswer['response']
      readonly own: AbortController
      /** The next one will be, too: waiting for it is of no use. */
      readonly isLasting: boolean
      /** It answers the client's range as well. */
      readonly ofRange?: true
    }
  /** What was known is no longer so: begin anew. */
  | { readonly kind: 'again' }
  /** The request must be passed on as it is; with a length, the whole may be kept where its parts may not be joined. */
  | { readonly kind: 'pass'; readonly wholeBytes?: number }

/** One question. */
export interface FillQuestion {
  readonly site: Site
  readonly exchange: Exchange
  readonly key: string
}

/** What a filler works with. */
export interface FillerComponents {
  readonly clock: { now(): number }
  readonly logger: Logger
  readonly index: CacheIndex
  readonly origins: OriginClient
  readonly bodies: BodyReader
}

interface Asked extends OriginAnswer {
  readonly own: AbortController
  /** Purges before it was sent. */
  readonly generation: number
  /** Lets the response outlive those who waited for its head. */
  readonly detach: () => void
}

/** Fetches and validates for the cache. */
export class Filler {
  readonly #components: FillerComponents

  constructor(components: FillerComponents) {
    this.#components = components
  }

  /** Fetches the whole. */
  async fetch(question: FillQuestion, context: FlightContext): Promise<Outcome> {
    const asked = await this.#ask(question, context, {})
    return this.#take(question, asked)
  }

  /** Fetches the slice that holds a byte, and by it learns of the whole. */
  async fetchSlice(
    question: FillQuestion,
    index: number,
    context: FlightContext,
  ): Promise<Outcome> {
    const { sliceBytes } = question.site.rule
    const first = index * sliceBytes
    const range = `bytes=${first}-${first + sliceBytes - 1}`
    const asked = await this.#ask(question, context, { range })
    if (asked.response.status === 416) return this.#takeUnsatisfiable(question, asked)
    if (asked.response.status !== 206) return this.#take(question, asked)
    const entry = await this.#takeSlice(question, asked, index)
    if (typeof entry === 'object') return { kind: 'stored', entry }
    asked.own.abort(new KairoError('ERR_STOPPED', 'a slice of this is of no use'))
    return { kind: 'pass', ...(entry !== undefined && { wholeBytes: entry }) }
  }

  /** What begins behind the end for a slice does so for the client, unless it wants several parts. */
  #takeUnsatisfiable({ exchange }: FillQuestion, { response, own, detach }: Asked): Outcome {
    if (exchange.request.headers.range?.includes(',') === true) {
      own.abort(new KairoError('ERR_STOPPED', 'there is no such range'))
      return { kind: 'pass' }
    }
    detach()
    endWith(exchange.signal, own)
    return { kind: 'private', response, own, isLasting: false, ofRange: true }
  }

  /** Asks whether stored responses are still good. */
  async validate(
    question: FillQuestion,
    stale: {
      readonly entry: CacheEntry
      readonly candidates: readonly StoredHead[]
      readonly conditional: Fields
    },
    context: FlightContext,
  ): Promise<Outcome> {
    const { clock, index } = this.#components
    const { exchange, site } = question
    const asked = await this.#ask(question, context, stale.conditional)
    const { response } = asked
    if (response.status === 304) {
      asked.own.abort(new KairoError('ERR_STOPPED', 'a 304 has no body'))
      return this.#validated(question, stale, asked)
    }
    const { head } = stale.entry
    if (mayServeOnError(head, clock.now(), site.rule, response.status, exchange.request)) {
      asked.own.abort(new KairoError('ERR_STOPPED', 'a stored response stands in'))
      return { kind: 'error', entry: stale.entry, status: response.status }
    }
    const outcome = this.#take(question, asked)
    // The origin has something else now, though it is not for the cache.
    if (outcome.kind === 'private' && response.status < 500) index.remove(stale.entry)
    return outcome
  }

  async #ask(
    { site, exchange, key }: FillQuestion,
    context: FlightContext,
    fill: Fields,
  ): Promise<Asked> {
    const own = new AbortController()
    const onAbort = (): void => own.abort(context.signal.reason)
    context.signal.addEventListener('abort', onAbort, { once: true })
    if (context.signal.aborted) onAbort()
    const detach = (): void => context.signal.removeEventListener('abort', onAbort)
    const { generation } = this.#components.index
    try {
      const answer = await this.#components.origins.ask(site, {
        exchange,
        fill,
        signal: own.signal,
        shieldKey: key,
        isShield: context.isShield,
        onInformational: (head) => tellHints(head, context),
      })
      return { ...answer, own, generation, detach }
    } catch (error) {
      detach()
      throw error
    }
  }

  /** Keeps a response, if it may be kept. */
  #take(question: FillQuestion, asked: Asked): Outcome {
    const { clock, index } = this.#components
    const { site, exchange, key } = question
    const { response, own } = asked
    asked.detach()
    const { request } = exchange
    const verdict = storable(request, response, clock.now(), site.rule)
    const host = hostOf(key)
    const purged = verdict.store
      ? index.purgedSince(asked.generation, { key, host, tags: verdict.tags })
      : undefined
    const length = lengthOf(response)
    const { sliceBytes } = site.rule
    const isTooLong = length !== undefined && length > sliceBytes * cdnLimits.slicesMax
    if (!verdict.store || purged === 'hard' || response.status === 206 || isTooLong) {
      // It is for the one whose request it answers, as long as that one stays.
      endWith(exchange.signal, own)
      const isLasting = purged !== 'hard' && response.status < 500
      return { kind: 'private', response, own, isLasting }
    }
    const head = storedHead(request, response, asked)
    const entry = index.add({
      key,
      rule: site.id,
      host,
      head: purged === 'soft' ? { ...head, purgedMs: clock.now() } : head,
      tags: verdict.tags,
      rangeable: isRangeable(response, head, length),
      ...(length !== undefined && { body: emptyBody(length, sliceBytes) }),
    })
    this.#begin(question, entry, asked, length)
    return { kind: 'stored', entry, unshared: unsharedFields(response) }
  }

  /** Lets the body come, whoever reads it. */
  #begin(
    { site, exchange }: FillQuestion,
    entry: CacheEntry,
    { response, own }: Asked,
    length: number | undefined,
  ): void {
    const { bodies, index, logger } = this.#components
    const { sliceBytes } = site.rule
    const slices = entry.body?.slices ?? []
    const fill: BodyFill = new BodyFill({
      sliceBytes,
      length,
      seal: (number, bytes) => {
        slices[number] = bodies.keep(site, bytes)
        const kept = (number + 1) * sliceBytes
        // It may never end; those who read it go on, nobody new joins.
        if (length === undefined && kept > cdnLimits.unknownLengthBytesMax) index.remove(entry)
      },
      load: (number, signal) =>
        entry.body === undefined
          ? bodies.sealed(entry, slices[number], signal)
          : bodies.slice(entry, number, { site, exchange, signal }),
      goOn: () => isWorthwhile(entry, fill),
      abort: (reason) => own.abort(reason),
    })
    entry.fill = fill
    // By then whoever waited for the head has begun to read, or is not going to.
    setImmediate(() => fill.release())
    fill.run(response.body).then(
      () => {
        entry.body = { length: fill.received, sliceBytes, slices }
        entry.fill = undefined
        index.keep(entry)
      },
      (error: unknown) => {
        entry.fill = undefined
        logger.debug({ err: error, key: entry.key }, 'a response did not come whole')
        // What did not come can be fetched slice by slice.
        if (entry.rangeable) index.keep(entry)
        else index.remove(entry)
      },
    )
  }

  /** The entry; the length of the whole when only that can be kept; undefined when nothing can. */
  async #takeSlice(
    { site, exchange, key }: FillQuestion,
    asked: Asked,
    sliceIndex: number,
  ): Promise<CacheEntry | number | undefined> {
    const { bodies, clock, index } = this.#components
    const { response } = asked
    const { sliceBytes } = site.rule
    const range = parseContentRange(response.headers['content-range'] ?? '')
    if (range?.length === undefined || range.first !== sliceIndex * sliceBytes) return undefined
    const { length } = range
    const last = Math.min(range.first + sliceBytes, length) - 1
    if (range.last !== last || length > sliceBytes * cdnLimits.slicesMax) return undefined
    const verdict = storable(exchange.request, response, clock.now(), site.rule)
    if (!verdict.store) return undefined
    const head = storedHead(exchange.request, response, asked)
    if (sliceGuard(head) === undefined) return length
    const bytes = await collect(response.body, last - range.first + 1)
    asked.detach()
    const host = hostOf(key)
    const purged = index.purgedSince(asked.generation, { key, host, tags: verdict.tags })
    if (purged === 'hard') return undefined
    const digest = bodies.keep(site, bytes)
    const known = sameVersion(index.get(key), head, length)
    if (known?.body !== undefined) {
      known.body.slices[sliceIndex] = digest
      index.keep(known)
      return known
    }
    const body = emptyBody(length, sliceBytes)
    body.slices[sliceIndex] = digest
    const entry = index.add({
      key,
      rule: site.id,
      host,
      head: purged === 'soft' ? { ...head, purgedMs: clock.now() } : head,
      tags: verdict.tags,
      rangeable: true,
      body,
    })
    index.keep(entry)
    return entry
  }

  #validated(
    { site, exchange, key }: FillQuestion,
    {
      entry,
      candidates,
    }: { readonly entry: CacheEntry; readonly candidates: readonly StoredHead[] },
    asked: Asked,
  ): Outcome {
    const { index } = this.#components
    asked.detach()
    const meant = validatedBy(candidates, asked.response)
    const found = [entry, ...index.get(key)].find((one) => one.alive && meant.includes(one.head))
    if (found === undefined) {
      // It speaks of a version that is not here, or no longer: the next question is without conditions.
      for (const one of index.get(key)) if (candidates.includes(one.head)) index.remove(one)
      return { kind: 'again' }
    }
    const { request } = exchange
    const head = refreshed(found.head, request, asked.response, asked, site.rule)
    if (head !== undefined) {
      index.refresh(found, head)
    } else {
      found.head = mergedHead(found.head, request, asked.response, asked)
      index.remove(found)
    }
    return { kind: 'validated', entry: found }
  }
}

/** Clients get all of them (RFC 9110 15.2); those that are about the connection have been left out by then. */
function tellHints(head: ResponseHead, context: FlightContext): void {
  context.hints(head.headers, head.status)
}

function hostOf(key: string): string {
  return key.slice(key.indexOf('://') + 3).split('/', 1)[0] as string
}

function lengthOf({ headers, status }: ResponseHead): number | undefined {
  if (status === 204 || status === 304) return 0
  const text = headers['content-length']
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function emptyBody(length: number, sliceBytes: number): SlicedBody {
  return { length, sliceBytes, slices: new Array(Math.ceil(length / sliceBytes)).fill(undefined) }
}

/** True when the origin can be asked for a part of this very version. */
function isRangeable(
  response: ResponseHead,
  head: StoredHead,
  length: number | undefined,
): boolean {
  if (response.status !== 200 || length === undefined) return false
  const ranges = (response.headers['accept-ranges'] ?? '').toLowerCase()
  return ranges.split(',').some((unit) => unit.trim() === 'bytes') && sliceGuard(head) !== undefined
}

/** Whether a body that nobody reads is fetched on; of one that can be had in slices later no more than one more. */
function isWorthwhile(entry: CacheEntry, fill: BodyFill): boolean {
  if (!entry.alive) return false
  const { length } = fill
  const missing = length === undefined ? fill.received : length - fill.received
  return missing <= (entry.rangeable ? fill.sliceBytes : cdnLimits.abandonedBytesMax)
}

function sameVersion(
  variants: readonly CacheEntry[],
  head: StoredHead,
  length: number,
): CacheEntry | undefined {
  const guard = sliceGuard(head)
  return variants.find(
    (entry) =>
      entry.rangeable &&
      entry.body?.length === length &&
      sliceGuard(entry.head) === guard &&
      JSON.stringify(entry.head.varyFields) === JSON.stringify(head.varyFields),
  )
}

/** Ends what one client alone asked for when that client is gone. */
function endWith(signal: AbortSignal, own: AbortController): void {
  if (signal.aborted) own.abort(signal.reason)
  else signal.addEventListener('abort', () => own.abort(signal.reason), { once: true })
}
