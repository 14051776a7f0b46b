/**
 * Live streams for players, over a stream's views: Low-Latency HLS (RFC 8216bis) with blocking reload and delta updates, DASH
 * manifests of the same segments, and stills. It does not know whether a stream is published here or replicated from another peer.
 */
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { LiveRendition, LiveStream, StreamSource } from '../content/stream.ts'
import { errorStatus, isKairoError, KairoError } from '../errors.ts'
import { bodyLength } from '../http/answer.ts'
import type { PlainHandler, PlainRequest, PreparedResponse } from '../http/prepared-response.ts'
import { httpLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import type { Audience } from './audience.ts'
import { BlockedRequests, type BlockOutcome } from './blocking.ts'
import { LiveManifests } from './dash/live-manifests.ts'
import { HlsMetrics, type RequestKind } from './hls-metrics.ts'
import { type HlsRequest, type PlaylistDirectives, parseHlsRequest } from './hls-request.ts'
import { archivedBefore, archivedInit, archivedSegment, type LiveArchive } from './live-archive.ts'
import { MediaObjects, type ObjectContext } from './media-objects.ts'
import { openSegment } from './open-segment.ts'
import { PlaylistCache } from './playlist-cache.ts'
import { RequestScope } from './request-scope.ts'
import { conditional, unavailable } from './responses.ts'
import { reaches, tooFarAhead } from './segments.ts'

/** What HLS delivery stands on. */
export interface HlsComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly streams: StreamSource
  /** Counts who asks for playlists; without it nobody is counted. */
  readonly audience?: Audience
  /** What streams keep beyond their window, for viewers who rewind; without it playlists end with the window. */
  readonly archive?: LiveArchive
}

/** Settings of HLS delivery. */
export interface HlsInit {
  /**
   * Longest wait of a blocked request, milliseconds; three target durations
   * where that is less. Bounds the look-up of a stream and of bytes too. Default 12,000.
   */
  readonly blockTimeoutMs?: number
}

/** nginx's status for a client that closed its connection; appears in metrics only. */
const CLIENT_GONE = 499

type Answer = PreparedResponse | Promise<PreparedResponse>
type Target = Exclude<HlsRequest, { readonly kind: 'master' | 'manifest' }>
type SegmentTarget = Extract<HlsRequest, { readonly kind: 'segment' }>

/**
 * Answers `GET` and `HEAD` under `/live/<stream>/`. Rejects with `ERR_NOT_FOUND`, `ERR_INVALID_INPUT`, `ERR_OUT_OF_WINDOW`,
 * `ERR_LIMIT` and what the stream's views throw; a blocked wait in vain and a lost upstream are answered with 503 and
 * `Retry-After`.
 */
export function createHlsHandler(components: HlsComponents, init: HlsInit = {}): PlainHandler {
  const delivery = new HlsDelivery(components, init)
  return (request, signal, client) => delivery.handle(request, signal, client)
}

class HlsDelivery {
  readonly #clock: Clock
  readonly #streams: StreamSource
  readonly #logger: Logger
  readonly #audience: Audience | undefined
  readonly #archive: LiveArchive | undefined
  readonly #metrics: HlsMetrics
  readonly #blocked: BlockedRequests
  readonly #playlists: PlaylistCache
  readonly #manifests: LiveManifests
  readonly #objects = new MediaObjects()
  readonly #blockTimeoutMs: number

  constructor(components: HlsComponents, init: HlsInit) {
    this.#clock = components.clock
    this.#streams = components.streams
    this.#audience = components.audience
    this.#logger = components.logger.child({ name: 'kairo:hls' })
    this.#metrics = new HlsMetrics(components.registry)
    this.#blocked = new BlockedRequests({ clock: components.clock, metrics: this.#metrics })
    this.#archive = components.archive
    this.#playlists = new PlaylistCache({
      metrics: this.#metrics,
      ...(components.archive !== undefined && { archive: components.archive }),
    })
    this.#blockTimeoutMs = init.blockTimeoutMs ?? httpLimits.blockTimeoutMs
    this.#manifests = new LiveManifests(
      {
        archive: components.archive,
        clock: components.clock,
        rendered: () => this.#metrics.rendered(),
      },
      { readTimeoutMs: this.#blockTimeoutMs },
    )
  }

  handle(request: PlainRequest, signal: AbortSignal, client: string): Answer | undefined {
    const scope = new RequestScope(this.#clock, signal, this.#blockTimeoutMs)
    let kind: RequestKind = 'unknown'
    try {
      const target = parseHlsRequest(request.path, request.query)
      if (target === undefined) return undefined
      kind = target.kind
      if (kind === 'playlist' || kind === 'manifest') this.#count(target, client)
      const answer = this.#answer(target, scope)
      if (!(answer instanceof Promise)) return this.#finished(kind, request, answer, scope)
      return answer
        .catch((error: unknown) => this.#failed(kind, error, scope))
        .then((response) => this.#finished(kind, request, response, scope))
    } catch (error) {
      return this.#refused(kind, error, request, scope)
    }
  }

  #count(target: HlsRequest, client: string): void {
    const id = this.#streams.get(target.stream)?.record.id
    if (id !== undefined) this.#audience?.note(id, client)
  }

  #finished(
    kind: RequestKind,
    request: PlainRequest,
    answer: PreparedResponse,
    scope: RequestScope,
  ): PreparedResponse {
    scope.close()
    const response = conditional(answer, request.ifNoneMatch)
    this.#metrics.answered(kind, response.status, bodyLength(response))
    return response
  }

  /** A failure without a wait; still a rejection, so that callers have one way to hear of it. */
  async #refused(
    kind: RequestKind,
    error: unknown,
    request: PlainRequest,
    scope: RequestScope,
  ): Promise<PreparedResponse> {
    return this.#finished(kind, request, this.#failed(kind, error, scope), scope)
  }

  /** Counts the failure and throws it on, except for a lost upstream, which has an answer of its own. */
  #failed(kind: RequestKind, error: unknown, scope: RequestScope): PreparedResponse {
    if (isKairoError(error, 'ERR_NO_PROVIDER') && !scope.clientSignal.aborted) {
      return unavailable(error.code, error.message)
    }
    scope.close()
    const status = isKairoError(error) ? errorStatus[error.code] : 500
    this.#metrics.answered(kind, scope.clientSignal.aborted ? CLIENT_GONE : status, 0)
    throw error
  }

  /** Without a promise as far as the stream and the rendition are followed here and the bytes are in RAM. */
  #answer(target: HlsRequest, scope: RequestScope): Answer {
    const stream = this.#streams.get(target.stream)
    if (stream !== undefined) return this.#answerFrom(stream, target, scope)
    return this.#streams
      .open(target.stream, { signal: scope.signal })
      .then((opened) => this.#answerFrom(opened, target, scope))
  }

  #answerFrom(stream: LiveStream, target: HlsRequest, scope: RequestScope): Answer {
    this.#streams.touch(target.stream)
    if (target.kind === 'master') return this.#master(stream)
    if (target.kind === 'manifest') return this.#manifest(stream, scope)
    const name = target.kind === 'still' ? pictureRendition(stream) : target.rendition
    const followed = stream.followed().find((each) => each.info.name === name)
    if (followed !== undefined) return this.#answerWith(stream, followed, target, scope)
    if (!stream.record.renditions.some((each) => each.name === name)) {
      throw new KairoError('ERR_NOT_FOUND', 'the stream has no such rendition')
    }
    return stream
      .rendition(name, { signal: scope.signal })
      .then((rendition) => this.#answerWith(stream, rendition, target, scope))
  }

  #master(stream: LiveStream): PreparedResponse {
    if (stream.record.renditions.length > 0) return this.#playlists.master(stream.record)
    throw new KairoError('ERR_NO_PROVIDER', 'the stream has not started yet')
  }

  /** Goes by the first picture, else the first sound; held until that has a whole segment. */
  async #manifest(stream: LiveStream, scope: RequestScope): Promise<PreparedResponse> {
    const { renditions } = stream.record
    const info =
      renditions.find(({ kind }) => kind === 'video') ??
      renditions.find(({ kind }) => kind === 'audio')
    if (info === undefined)
      throw new KairoError('ERR_NO_PROVIDER', 'the stream has not started yet')
    const lead =
      stream.followed().find((each) => each.info.name === info.name) ??
      (await stream.rendition(info.name, { signal: scope.signal }))
    const firstMsn = lead.entries[0]?.msn ?? lead.head.firstMsn
    if (!reaches(lead, firstMsn, undefined)) {
      const vain = await this.#block({ stream, rendition: lead, scope }, firstMsn, undefined)
      if (vain !== undefined) return vain
    }
    return await this.#manifests.manifest(stream, lead)
  }

  #answerWith(
    stream: LiveStream,
    rendition: LiveRendition,
    target: Target,
    scope: RequestScope,
  ): Answer {
    const context = { stream, rendition, scope }
    switch (target.kind) {
      case 'playlist':
        return this.#playlist(context, target.directives)
      case 'part':
        return this.#whenThere(context, target.msn, target.part, () => {
          const entry = rendition.entry(target.msn, target.part)
          return entry && this.#objects.part(context, entry)
        })
      case 'segment':
        return this.#segment(context, target)
      case 'init':
        return this.#init(context, target.prefix)
      case 'init-at':
        return this.#initAt(context, target.msn)
      case 'still':
        return this.#objects.still(context)
    }
  }

  /**
   * A whole segment, or one that is still being made as its parts come; held until the first of them is there. Players that
   * know whole segments only have no reason to ask for one that no playlist lists yet.
   */
  #segment(context: ObjectContext, target: SegmentTarget): Answer {
    const { rendition } = context
    const { msn } = target
    if ((target.format === 'vtt') !== (rendition.info.kind === 'captions')) throw gone(undefined)
    if (msn < (rendition.entries[0]?.msn ?? 0)) return this.#archivedSegment(context, msn)
    return this.#whenThere(context, msn, 0, () => {
      const parts = rendition.segment(msn)
      if (parts.length === 0) return undefined
      if (reaches(rendition, msn, undefined)) return this.#objects.segment(context, parts)
      return openSegment(context, msn, {
        clock: this.#clock,
        readTimeoutMs: this.#blockTimeoutMs,
        waitFor: async (part) => (await this.#wait(context, msn, part)) === 'woken',
        sent: (bytes) => this.#metrics.streamed('segment', bytes),
      })
    })
  }

  #archivedSegment(context: ObjectContext, msn: number): Answer {
    const range = archivedBefore(this.#archive, context.stream, context.rendition)
    const segment = archivedSegment(range, msn)
    if (segment === undefined) throw gone(undefined)
    return this.#objects.object(context, segment.digest)
  }

  #init(context: ObjectContext, prefix: string): Answer {
    const { entries } = context.rendition
    const range = archivedBefore(this.#archive, context.stream, context.rendition)
    const digest =
      entries.findLast(({ initDigest }) => initDigest.startsWith(prefix))?.initDigest ??
      archivedInit(range, prefix)
    if (digest === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such init segment')
    return this.#objects.object(context, digest)
  }

  /** The init segment of whatever a rendition holds at a segment, held until it holds anything. */
  #initAt(context: ObjectContext, msn: number): Answer {
    const { entries, head } = context.rendition
    if (entries.length > 0) return this.#objects.initAt(context, msn)
    return this.#block(context, head.firstMsn, 0).then(
      (vain) => vain ?? this.#objects.initAt(context, msn),
    )
  }

  /**
   * A media playlist, held until it has a whole segment: players take one without segments for broken, be it that the stream
   * has just begun or that its publisher came back and the window began anew.
   */
  #playlist(context: ObjectContext, directives: PlaylistDirectives): Answer {
    const { rendition } = context
    const { msn, part } = directives
    if (msn !== undefined && !reaches(rendition, msn, part) && tooFarAhead(rendition, msn, part)) {
      throw new KairoError('ERR_OUT_OF_WINDOW', 'the requested position is too far ahead')
    }
    const firstMsn = rendition.entries[0]?.msn ?? rendition.head.firstMsn
    if (reaches(rendition, firstMsn, undefined)) return this.#playlistAt(context, directives)
    return this.#block(context, firstMsn, undefined).then(
      (vain) => vain ?? this.#playlistAt(context, directives),
    )
  }

  /** A media playlist, held until it reaches what the directives name. */
  #playlistAt(context: ObjectContext, { msn, part, skip }: PlaylistDirectives): Answer {
    const { stream, rendition } = context
    const blocking = msn !== undefined
    const render = (): PreparedResponse =>
      this.#playlists.media(stream, rendition, { skip, blocking })
    if (!blocking || reaches(rendition, msn, part)) return render()
    return this.#block(context, msn, part).then((vain) => vain ?? render())
  }

  /** An object of the live edge: at once when it is there, after a wait when it is about to come, else 404. */
  #whenThere(
    context: ObjectContext,
    msn: number,
    part: number | undefined,
    find: () => Answer | undefined,
  ): Answer {
    const found = find()
    if (found !== undefined) return found
    const { rendition } = context
    if (reaches(rendition, msn, part) || tooFarAhead(rendition, msn, part)) throw gone(part)
    return this.#block(context, msn, part).then((vain) => {
      const answer = vain ?? find()
      if (answer === undefined) throw gone(part)
      return answer
    })
  }

  /** Waits; resolves to the answer that ends the request when the wait was in vain. */
  async #block(
    { stream, rendition, scope }: ObjectContext,
    msn: number,
    part: number | undefined,
  ): Promise<PreparedResponse | undefined> {
    const outcome = await this.#wait({ stream, rendition, scope }, msn, part)
    if (outcome === 'woken') return undefined
    const where = { stream: stream.record.id, rendition: rendition.info.name, msn, part }
    this.#logger.debug({ ...where, status: stream.status }, 'a blocked request waited in vain')
    return unavailable('ERR_TIMEOUT', 'what was asked for did not come in time')
  }

  async #wait(
    { stream, rendition, scope }: ObjectContext,
    msn: number,
    part: number | undefined,
  ): Promise<BlockOutcome> {
    if (stream.status === 'lost') {
      throw new KairoError('ERR_NO_PROVIDER', 'no peer that has this stream answers')
    }
    const timeoutMs = Math.min(this.#blockTimeoutMs, rendition.head.targetDurationS * 3_000)
    const signal = scope.clientSignal
    return await this.#blocked.wait({ rendition, msn, part, timeoutMs, signal })
  }
}

function pictureRendition(stream: LiveStream): string {
  const video = stream.record.renditions.find((each) => each.kind === 'video')
  if (video === undefined) throw new KairoError('ERR_NOT_FOUND', 'the stream has no picture')
  return video.name
}

function gone(part: number | undefined): KairoError {
  const what = part === undefined ? 'segment' : 'part'
  return new KairoError('ERR_NOT_FOUND', `no such ${what} in the window`)
}
