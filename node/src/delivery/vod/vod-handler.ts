/**
 * Videos on demand and recordings as HLS and DASH: playlists from what a presentation says of itself, objects by digest from
 * wherever they are kept, at other peers too. A recording that still runs is answered in the same way; its playlists grow.
 */
import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import type {
  ArchivedRendition,
  PlayableSource,
  Presentation,
  PresentationOutline,
} from '../../content/archive/presentation.ts'
import type { Digest } from '../../content/digest.ts'
import { errorStatus, isKairoError, KairoError } from '../../errors.ts'
import { bodyLength } from '../../http/answer.ts'
import type { PlainHandler, PlainRequest, PreparedResponse } from '../../http/prepared-response.ts'
import { vodDeliveryLimits } from '../../limits/delivery-vod.ts'
import { MEDIA_TYPES } from '../media-objects.ts'
import { RequestScope } from '../request-scope.ts'
import { conditional, immutableHeaders, textResponse, unavailable } from '../responses.ts'
import { PresentationTexts } from './presentation-texts.ts'
import { storyboardTrack } from './storyboard.ts'
import { parseVodRequest, type VodRequest } from './vod-request.ts'

/** What delivery of presentations stands on. */
export interface VodComponents {
  readonly clock: Clock
  readonly registry: Registry
  readonly presentations: PlayableSource
}

type Answer = PreparedResponse | Promise<PreparedResponse>

/**
 * Answers `GET` and `HEAD` under `/vod/<id>/`. Rejects with `ERR_NOT_FOUND`, `ERR_INVALID_INPUT` and what the source throws; a
 * presentation that has nothing to show yet, or that nobody who can be asked has, is answered with 503 and `Retry-After`.
 */
export function createVodHandler(components: VodComponents): PlainHandler {
  const delivery = new VodDelivery(components)
  return (request, signal) => delivery.handle(request, signal)
}

class VodDelivery {
  readonly #clock: Clock
  readonly #presentations: PlayableSource
  readonly #texts = new PresentationTexts()
  readonly #requests: Counter<'kind' | 'status'>
  readonly #bytes: Counter<'kind'>

  constructor({ clock, registry, presentations }: VodComponents) {
    this.#clock = clock
    this.#presentations = presentations
    const registers = [registry]
    this.#requests = new Counter({
      name: 'kairo_vod_requests_total',
      help: 'Requests for videos on demand by what they asked for and the status they got.',
      labelNames: ['kind', 'status'],
      registers,
    })
    this.#bytes = new Counter({
      name: 'kairo_vod_response_bytes_total',
      help: 'Bytes of answers for videos on demand; answers to HEAD count what GET would send.',
      labelNames: ['kind'],
      registers,
    })
  }

  handle(request: PlainRequest, signal: AbortSignal): Answer | undefined {
    let kind: VodRequest['kind'] | 'unknown' = 'unknown'
    try {
      const target = parseVodRequest(request.path)
      if (target === undefined) return undefined
      kind = target.kind
      const answer = this.#answer(target, signal)
      if (!(answer instanceof Promise)) return this.#finished(kind, request, answer)
      return answer.catch(absent).then(
        (response) => this.#finished(target.kind, request, response),
        (error: unknown) => this.#failed(target.kind, error),
      )
    } catch (error) {
      return Promise.reject(this.#counted(kind, error))
    }
  }

  #finished(kind: string, request: PlainRequest, answer: PreparedResponse): PreparedResponse {
    const response = conditional(answer, request.ifNoneMatch)
    this.#requests.inc({ kind, status: response.status })
    this.#bytes.inc({ kind }, bodyLength(response))
    return response
  }

  #failed(kind: string, error: unknown): never {
    throw this.#counted(kind, error)
  }

  #counted(kind: string, error: unknown): unknown {
    this.#requests.inc({ kind, status: isKairoError(error) ? errorStatus[error.code] : 500 })
    return error
  }

  #answer(target: VodRequest, signal: AbortSignal): Answer {
    const presentation = this.#presentations.get(target.id)
    if (presentation !== undefined) return this.#answerOf(presentation, target, signal)
    // Pictures are shown on cards, where nobody needs the segments.
    if (target.kind === 'storyboard') return storyboard(this.#presentations.outline(target.id))
    if (target.kind === 'sprite') {
      return this.#sprite(this.#presentations.outline(target.id), target, signal)
    }
    return this.#open(target, signal)
  }

  /** The segments of a video of another peer are not known here yet. */
  async #open(target: VodRequest, outer: AbortSignal): Promise<PreparedResponse> {
    const scope = new RequestScope(this.#clock, outer, vodDeliveryLimits.readMsMax)
    try {
      const presentation = await this.#presentations.open(target.id, { signal: scope.signal })
      return await this.#answerOf(presentation, target, scope.signal)
    } finally {
      scope.close()
    }
  }

  #answerOf(presentation: Presentation, target: VodRequest, signal: AbortSignal): Answer {
    const texts = this.#texts.of(presentation)
    switch (target.kind) {
      case 'master':
        return texts.master() ?? notYet()
      case 'manifest':
        return texts.manifest() ?? notYet()
      case 'storyboard':
        return storyboard(presentation)
      case 'sprite':
        return this.#sprite(presentation, target, signal)
      case 'images':
        return texts.images() ?? missing()
      case 'playlist':
        return texts.playlist(target.rendition) ?? missing()
      case 'captions':
        return this.#captions(presentation, target.rendition, signal)
      case 'segment':
        return this.#segment(presentation, target, signal)
      case 'init':
        return this.#init(presentation, target, signal)
    }
  }

  #sprite(
    outline: PresentationOutline | undefined,
    { id, number }: Extract<VodRequest, { kind: 'sprite' }>,
    signal: AbortSignal,
  ): Answer {
    if (outline === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such video')
    return this.#object(id, outline.storyboard?.sprites[number], 'image/jpeg', signal)
  }

  /** A caption file may be replaced by a better one, so its name does not stand for its bytes for good. */
  #captions(presentation: Presentation, name: string, signal: AbortSignal): Answer {
    const file = presentation.captions.find((each) => each.name === name)
    const answer = this.#object(presentation.id, file?.digest, MEDIA_TYPES.captions, signal)
    const checked = (response: PreparedResponse): PreparedResponse => {
      return { ...response, headers: { ...response.headers, 'cache-control': 'no-cache' } }
    }
    return answer instanceof Promise ? answer.then(checked) : checked(answer)
  }

  #segment(
    presentation: Presentation,
    target: Extract<VodRequest, { kind: 'segment' }>,
    signal: AbortSignal,
  ): Answer {
    const { info, segments } = renditionOf(presentation, target.rendition)
    const isText = info.kind === 'captions'
    if (isText !== (target.format === 'vtt')) return missing()
    const segment = segments[target.msn - (segments[0]?.msn ?? 0)]
    const digest = segment?.msn === target.msn ? segment.digest : undefined
    return this.#object(presentation.id, digest, MEDIA_TYPES[info.kind], signal)
  }

  #init(
    presentation: Presentation,
    target: Extract<VodRequest, { kind: 'init' }>,
    signal: AbortSignal,
  ): Answer {
    const { info, segments } = renditionOf(presentation, target.rendition)
    const found = segments.find(({ initDigest }) => initDigest.startsWith(target.prefix))
    return this.#object(presentation.id, found?.initDigest, MEDIA_TYPES[info.kind], signal)
  }

  #object(id: string, digest: Digest | undefined, type: string, signal: AbortSignal): Answer {
    if (digest === undefined) return missing()
    const headers = immutableHeaders(type, digest)
    const inMemory = this.#presentations.peek(digest)
    if (inMemory !== undefined) return { status: 200, headers, body: [inMemory] }
    const scope = new RequestScope(this.#clock, signal, vodDeliveryLimits.readMsMax)
    return this.#presentations
      .read(digest, { id, signal: scope.signal })
      .then((bytes) => ({ status: 200, headers, body: [bytes] }))
      .finally(() => scope.close())
  }
}

function storyboard(outline: PresentationOutline | undefined): PreparedResponse {
  if (outline === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such video')
  if (outline.storyboard === undefined) return missing()
  return textResponse('text/vtt', storyboardTrack(outline.storyboard, outline.durationUs))
}

function renditionOf(presentation: Presentation, name: string): ArchivedRendition {
  const found = presentation.renditions.find(({ info }) => info.name === name)
  return found ?? missing()
}

function missing(): never {
  throw new KairoError('ERR_NOT_FOUND', 'the video has nothing of that name')
}

/** Whoever has the video may be back in a moment. */
function absent(error: unknown): PreparedResponse {
  if (!isKairoError(error, 'ERR_NO_PROVIDER')) throw error
  return unavailable('ERR_NO_PROVIDER', error.message)
}

function notYet(): PreparedResponse {
  return unavailable('ERR_TIMEOUT', 'nothing of this video is ready yet')
}
