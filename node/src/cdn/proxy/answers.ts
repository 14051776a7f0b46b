/** Answers as they go to clients: stored responses whole, in parts, unchanged or encoded; others as they came; and failures. */
import { STATUS_CODES } from 'node:http'
import { errorStatus, isKairoError, type KairoError } from '../../errors.ts'
import type { PreparedResponse } from '../../http/prepared-response.ts'
import { createProblem, pathOf, problemOf, problemResponse } from '../../http/problem.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { CacheEntry, Coding, EncodedBody } from '../cache/entry.ts'
import type { CacheRequest, Fields, ResponseHead } from '../message.ts'
import { answerFields, encodedFields, notModifiedFields } from '../rules/answer-fields.ts'
import { type ByteRange, selectRanges } from '../rules/byte-ranges.ts'
import type { CacheStatus } from '../rules/cache-status.ts'
import { evaluateConditional, type Precondition, rangeApplies } from '../rules/conditional.ts'
import { type PartialPiece, partialAnswer } from '../rules/multipart.ts'
import { type BodyContext, type BodyReader, newBoundary } from './body-reader.ts'

/** How an answer came about. */
export interface AnswerStory {
  readonly nowMs: number
  readonly cacheStatus: CacheStatus
  /** Seconds; undefined for what comes straight from the origin. */
  readonly ageS?: number
  /** Others, who take other codings, get other bytes. */
  readonly variesByEncoding?: boolean
  /** Fields that are not kept, for the client whose request brought them. */
  readonly unshared?: Fields | undefined
  /** Another peer asks, and is told what this one was told, tags above all. */
  readonly toPeer?: boolean
}

/** An encoded body with the bytes at hand. */
export interface EncodedBytes {
  readonly coding: Coding
  readonly body: EncodedBody
  readonly bytes: Buffer
}

/** Writes answers. */
export class Answers {
  readonly #bodies: BodyReader
  readonly #name: string

  constructor(components: { readonly bodies: BodyReader }, init: { readonly name: string }) {
    this.#bodies = components.bodies
    this.#name = init.name
  }

  /** What a client gets of a stored response without the origin or the disk being asked; undefined when that is not enough. */
  peek(
    entry: CacheEntry,
    request: CacheRequest,
    story: AnswerStory,
    encoded: EncodedBytes | undefined,
  ): PreparedResponse | undefined {
    const early = this.#bodiless(entry, request, story)
    if (early !== undefined) return early
    if (this.#rangesOf(entry, request) !== undefined) return undefined
    if (encoded !== undefined) return this.#whole(entry, story, [encoded.bytes], encoded)
    if (request.method === 'HEAD') return this.#whole(entry, story, [])
    const pieces = this.#bodies.peek(entry)
    return pieces === undefined ? undefined : this.#whole(entry, story, pieces)
  }

  /**
   * What a client gets of a stored response.
   * @throws KairoError when its first byte cannot be had.
   */
  async read(
    entry: CacheEntry,
    request: CacheRequest,
    story: AnswerStory,
    context: BodyContext,
  ): Promise<PreparedResponse> {
    const ready = this.peek(entry, request, story, undefined)
    if (ready !== undefined) return ready
    const ranges = this.#rangesOf(entry, request)
    if (ranges !== undefined && ranges !== 'unsatisfiable') {
      return await this.#partial(entry, ranges, story, context)
    }
    if (entry.length === 0) return this.#whole(entry, story, [])
    await this.#bodies.prepare(entry, 0, context)
    const pieces = this.#bodies.peek(entry)
    if (pieces !== undefined) return this.#whole(entry, story, pieces)
    const response = this.#whole(entry, story, [])
    return { ...response, stream: this.#bodies.read(entry, 0, undefined, context) }
  }

  /** A response of the origin, for this client alone. */
  passed(
    response: ResponseHead & { readonly body: AsyncIterable<Uint8Array> },
    request: CacheRequest,
    story: AnswerStory,
  ): PreparedResponse {
    const { status } = response
    const headers = this.#fields(response, story)
    const bodiless = request.method === 'HEAD' || status === 204 || status === 304
    if (bodiless) return { status, verbatim: true, headers, body: [] }
    return { status, verbatim: true, headers, body: [], stream: response.body }
  }

  /** What a client's conditions make of a response: it has what it is about, or wanted another version (RFC 9110 13.2). */
  conditional(
    head: ResponseHead,
    precondition: Exclude<Precondition, 'proceed'>,
    story: AnswerStory,
  ): PreparedResponse {
    const fields = this.#fields(head, story)
    return precondition === 'not-modified'
      ? { status: 304, verbatim: true, headers: notModifiedFields(fields), body: [] }
      : { status: 412, verbatim: true, headers: emptyFields(fields), body: [] }
  }

  /** A failure, as a problem document that says when to come again. */
  failed(error: unknown, instance: string, story: AnswerStory): PreparedResponse {
    const known = gatewayStatus(error)
    const problem = problemOf(error, instance)
    const status = known ?? problem.status
    const response = problemResponse({ ...problem, status, title: STATUS_CODES[status] ?? 'Error' })
    const retry = status >= 500 || status === 429
    return this.own(response, story, retry ? { 'retry-after': String(cdnLimits.retryAfterS) } : {})
  }

  /** A request that this peer does not take, as a problem document. */
  refused(status: number, target: string, story: AnswerStory, more: Fields): PreparedResponse {
    const problem = createProblem(status, status === 508 ? 'ERR_LOOP' : 'ERR_INVALID_INPUT', {
      instance: pathOf(target),
    })
    return this.own(problemResponse(problem), story, more)
  }

  /** An answer of this peer itself. */
  own(response: PreparedResponse, story: AnswerStory, more: Fields = {}): PreparedResponse {
    const head = { status: response.status, headers: { ...response.headers, ...more } }
    return { ...response, verbatim: true, headers: this.#fields(head, story) }
  }

  /** What has no body: unchanged, failed preconditions, ranges that are not there, and responses without one. */
  #bodiless(
    entry: CacheEntry,
    request: CacheRequest,
    story: AnswerStory,
  ): PreparedResponse | undefined {
    const { head } = entry
    const precondition = evaluateConditional(request, head)
    if (precondition !== 'proceed') return this.conditional(head, precondition, story)
    if (this.#rangesOf(entry, request) === 'unsatisfiable') {
      const fields = emptyFields(this.#fields(head, story))
      const headers = { ...fields, 'content-range': `bytes */${entry.length}` }
      return { status: 416, verbatim: true, headers, body: [] }
    }
    const isEmpty = head.status === 204 || head.status === 304
    if (isEmpty)
      return { status: head.status, verbatim: true, headers: this.#fields(head, story), body: [] }
    return undefined
  }

  #rangesOf(
    entry: CacheEntry,
    request: CacheRequest,
  ): readonly ByteRange[] | 'unsatisfiable' | undefined {
    const { length } = entry
    if (length === undefined || !rangeApplies(request, entry.head)) return undefined
    return selectRanges(request.headers.range ?? '', length)
  }

  #whole(
    entry: CacheEntry,
    story: AnswerStory,
    body: readonly Uint8Array[],
    encoded?: EncodedBytes,
  ): PreparedResponse {
    const { head, length } = entry
    let headers: Fields = this.#fields(head, story)
    if (encoded !== undefined) {
      const { coding, body } = encoded
      headers = encodedFields(headers, { coding, length: body.length })
    } else if (length !== undefined) headers = wholeFields(headers, head.status, length)
    return { status: head.status, verbatim: true, headers, body }
  }

  async #partial(
    entry: CacheEntry,
    ranges: readonly ByteRange[],
    story: AnswerStory,
    context: BodyContext,
  ): Promise<PreparedResponse> {
    const { head, length = 0 } = entry
    await this.#bodies.prepare(entry, ranges[0]?.first ?? 0, context)
    const { headers, pieces } = partialAnswer(head, ranges, length, newBoundary())
    return {
      status: 206,
      verbatim: true,
      headers: { ...this.#fields({ status: 206, headers }, story), 'accept-ranges': 'bytes' },
      body: [],
      stream: this.#pieces(entry, pieces, context),
    }
  }

  async *#pieces(
    entry: CacheEntry,
    pieces: readonly PartialPiece[],
    context: BodyContext,
  ): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) {
      if (piece.kind === 'text') yield Buffer.from(piece.text, 'latin1')
      else yield* this.#bodies.read(entry, piece.first, piece.last, context)
    }
  }

  #fields(head: ResponseHead, story: AnswerStory): Fields {
    const { unshared } = story
    const whole = unshared === undefined ? head : withFields(head, unshared)
    const fields = answerFields(whole, { name: this.#name, ...story })
    return story.variesByEncoding === true ? withVary(fields) : fields
  }
}

function wholeFields(headers: Fields, status: number, length: number): Fields {
  const ranges: Fields = status === 200 ? { 'accept-ranges': 'bytes' } : {}
  return { ...headers, 'content-length': String(length), ...ranges }
}

function withFields({ status, headers }: ResponseHead, more: Fields): ResponseHead {
  return { status, headers: { ...headers, ...more } }
}

function emptyFields(headers: Fields): Fields {
  return { ...notModifiedFields(headers), 'content-length': '0' }
}

/** A gateway's own statuses: what failed is behind this peer, not in the client's request. */
function gatewayStatus(error: unknown): number | undefined {
  if (!isKairoError(error)) return undefined
  const behind: Partial<Record<KairoError['code'], number>> = {
    ERR_NO_PROVIDER: 502,
    ERR_PROTOCOL: 502,
    ERR_VERIFICATION: 502,
    ERR_LIMIT: 503,
    ERR_TIMEOUT: 504,
  }
  return behind[error.code] ?? errorStatus[error.code]
}

function withVary(fields: Fields): Fields {
  const { vary } = fields
  if (vary === undefined) return { ...fields, vary: 'Accept-Encoding' }
  const names = vary.toLowerCase().split(',')
  const has = names.some((name) => ['*', 'accept-encoding'].includes(name.trim()))
  return has ? fields : { ...fields, vary: `${vary}, Accept-Encoding` }
}
