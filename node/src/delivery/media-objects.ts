/**
 * Parts, whole segments, init segments and stills as answers. Sequence names are resolved to digests through the index, the
 * bytes come from RAM at once where they are there, and a whole segment is its parts' buffers one after the other, not copied.
 */
import type { Digest } from '../content/digest.ts'
import type { IndexEntry, LiveRendition, LiveStream, RenditionInfo } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import type { PreparedResponse } from '../http/prepared-response.ts'
import { deliveryLimits } from '../limits.ts'
import { stillFrom } from '../media/still.ts'
import type { RequestScope } from './request-scope.ts'
import { type Headers, immutableHeaders, stillHeaders } from './responses.ts'

/** A stream, one of its renditions, and the request that wants something of them. */
export interface ObjectContext {
  readonly stream: LiveStream
  readonly rendition: LiveRendition
  readonly scope: RequestScope
}

/** Makes answers out of a stream's objects. */
export class MediaObjects {
  /** Headers of parts, made once for each entry; the bytes are not held here, so that RAM stays the store's to bound. */
  readonly #headers = new WeakMap<IndexEntry, Headers>()
  /** Stills by the digest of the part they show; the one used longest ago goes first. */
  readonly #stills = new Map<Digest, PreparedResponse>()

  /** A part, at once when its bytes are in RAM. */
  part(context: ObjectContext, entry: IndexEntry): PreparedResponse | Promise<PreparedResponse> {
    let headers = this.#headers.get(entry)
    if (headers === undefined) {
      headers = immutableHeaders(mediaType(context.rendition), entry.digest)
      this.#headers.set(entry, headers)
    }
    return answer(headers, this.#bytes(context, entry.digest))
  }

  /** A whole segment from its parts. */
  segment(
    context: ObjectContext,
    parts: readonly IndexEntry[],
  ): PreparedResponse | Promise<PreparedResponse> {
    const headers = immutableHeaders(mediaType(context.rendition), parts.at(-1)?.segmentDigest)
    const pieces = parts.map((entry) => this.#bytes(context, entry.digest))
    const ready = pieces.filter((piece): piece is Buffer => !(piece instanceof Promise))
    if (ready.length === pieces.length) return { status: 200, headers, body: ready }
    return Promise.all(pieces).then((body) => ({ status: 200, headers, body }))
  }

  /**
   * The init segment that a segment of the window needs, for whoever does not know its digest: a DASH manifest names
   * renditions that this peer did not follow when it was made.
   * @throws KairoError `ERR_NOT_FOUND` when the segment is not in the window.
   */
  initAt(context: ObjectContext, msn: number): PreparedResponse | Promise<PreparedResponse> {
    const { entries } = context.rendition
    // The window may have moved on, or the rendition come later, than whoever asks knows.
    const entry = entries.find((each) => each.msn >= msn) ?? entries.at(-1)
    if (entry === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such init segment')
    const found = this.object(context, entry.initDigest)
    if (found instanceof Promise) return found.then(notKept)
    return notKept(found)
  }

  /** An object of the rendition by its digest. */
  object(context: ObjectContext, digest: Digest): PreparedResponse | Promise<PreparedResponse> {
    const headers = immutableHeaders(mediaType(context.rendition), digest)
    return answer(headers, this.#bytes(context, digest))
  }

  /**
   * The newest picture of a video rendition from which decoding can start, as a file of one picture.
   * @throws KairoError `ERR_NOT_FOUND` when there is none yet.
   */
  async still(context: ObjectContext): Promise<PreparedResponse> {
    const entry = context.rendition.entries.findLast(({ independent }) => independent)
    if (entry === undefined) throw new KairoError('ERR_NOT_FOUND', 'no picture yet')
    const kept = this.#stills.get(entry.digest)
    if (kept !== undefined) {
      this.#stills.delete(entry.digest)
      this.#stills.set(entry.digest, kept)
      return kept
    }
    const [init, part] = await Promise.all([
      this.#bytes(context, entry.initDigest),
      this.#bytes(context, entry.digest),
    ])
    const body = stillFrom(init, part)
    const headers = stillHeaders(body, context.rendition.head.targetDurationS)
    const response = { status: 200, headers, body: [body] }
    this.#stills.set(entry.digest, response)
    for (const oldest of this.#stills.keys()) {
      if (this.#stills.size <= deliveryLimits.stillsMax) break
      this.#stills.delete(oldest)
    }
    return response
  }

  #bytes({ stream, scope }: ObjectContext, digest: Digest): Buffer | Promise<Buffer> {
    return stream.peek(digest) ?? stream.read(digest, { signal: scope.signal })
  }
}

function answer(
  headers: Headers,
  bytes: Buffer | Promise<Buffer>,
): PreparedResponse | Promise<PreparedResponse> {
  if (!(bytes instanceof Promise)) return { status: 200, headers, body: [bytes] }
  return bytes.then((body) => ({ status: 200, headers, body: [body] }))
}

/** The name does not name these bytes for good. */
function notKept(response: PreparedResponse): PreparedResponse {
  return { ...response, headers: { ...response.headers, 'cache-control': 'no-cache' } }
}

/** Media types by what a rendition is. RFC 8216bis 3.1.2 leaves them open; players and browsers agree on these. */
export const MEDIA_TYPES = { video: 'video/mp4', audio: 'audio/mp4', captions: 'text/vtt' } as const

/** Media type of a rendition's parts and segments. */
export function mediaType(rendition: { readonly info: Pick<RenditionInfo, 'kind'> }): string {
  return MEDIA_TYPES[rendition.info.kind]
}
