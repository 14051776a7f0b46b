/**
 * Answers other peers that want one object by its digest, whole or a range of it (RFC 9110 14): only what the store holds, never by
 * asking others.
 */
import { Counter, type Registry } from 'prom-client'
import { type ErrorCode, isKairoError, KairoError } from '../../errors.ts'
import type { IncomingPeerRequest, PeerHttp, PeerHttpAnswer } from '../../host/peer-http.ts'
import type { Logger } from '../../logger.ts'
import type { Digest } from '../digest.ts'
import type { ContentStore } from '../store/store.ts'

/** What a fetch server works with. */
export interface FetchServerComponents {
  readonly logger: Logger
  readonly registry: Registry
  readonly http: Pick<PeerHttp, 'handle'>
  readonly store: Pick<ContentStore, 'read'>
  /** Called for each object that another peer asked for, whether or not it is here. */
  readonly onAsked?: (digest: Digest) => void
}

const PREFIX = '/objects/'
const DIGEST = /^[0-9a-f]{64}$/
/** One range, `bytes=0-99`, `bytes=100-` or `bytes=-100`. */
const RANGE = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/

/** Serves single objects to other peers. */
export class FetchServer {
  readonly #components: FetchServerComponents
  readonly #logger: Logger
  readonly #answers: Counter<'code'>
  readonly #sentBytes: Counter
  #stopped = false

  constructor(components: FetchServerComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:fetch' })
    const registers = [components.registry]
    this.#answers = new Counter({
      name: 'kairo_fetch_served_total',
      help: 'Fetches of other peers answered, by error code or ok',
      labelNames: ['code'],
      registers,
    })
    this.#sentBytes = new Counter({
      name: 'kairo_fetch_sent_bytes_total',
      help: 'Bytes of objects that peers were answered with',
      registers,
    })
  }

  /** Begins to answer. */
  start(): void {
    this.#components.http.handle(PREFIX, (request) => this.#serve(request))
  }

  /** Refuses what still comes; answers under way end by themselves. */
  stop(): void {
    this.#stopped = true
  }

  async #serve(request: IncomingPeerRequest): Promise<PeerHttpAnswer> {
    try {
      const answer = await this.#answer(request)
      this.#answers.inc({ code: 'ok' })
      return answer
    } catch (error) {
      const code: ErrorCode | 'bug' = isKairoError(error) ? error.code : 'bug'
      this.#answers.inc({ code })
      throw error
    }
  }

  async #answer({ path, method, headers, peerId }: IncomingPeerRequest): Promise<PeerHttpAnswer> {
    const { store, onAsked } = this.#components
    if (this.#stopped) throw new KairoError('ERR_STOPPED', 'the peer is shutting down')
    const digest = path.slice(PREFIX.length)
    if (!DIGEST.test(digest))
      throw new KairoError('ERR_INVALID_INPUT', 'an object is named by its digest')
    if (method === 'POST') throw new KairoError('ERR_INVALID_INPUT', 'objects are only read')
    onAsked?.(digest)
    const bytes = await store.read(digest)
    if (bytes === undefined) {
      this.#logger.debug({ peer: peerId, digest }, 'a peer asked for an object that is not here')
      throw new KairoError('ERR_NOT_FOUND', 'the object is not here')
    }
    const range = rangeOf(headers.range, bytes.byteLength)
    if (range === undefined) return this.#whole(method, bytes)
    const { start, end } = range
    if (start >= end) {
      return { status: 416, headers: { 'content-range': `bytes */${bytes.byteLength}` } }
    }
    if (method === 'GET') this.#sentBytes.inc(end - start)
    return {
      status: 206,
      headers: {
        'content-range': `bytes ${start}-${end - 1}/${bytes.byteLength}`,
        'content-type': 'application/octet-stream',
      },
      body: [bytes.subarray(start, end)],
    }
  }

  #whole(method: string, bytes: Buffer): PeerHttpAnswer {
    if (method === 'GET') this.#sentBytes.inc(bytes.byteLength)
    const headers = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' }
    return { status: 200, headers, body: [bytes] }
  }
}

/** The bytes that a range means, the end not among them; undefined, so the whole object, where there is none that is understood. */
function rangeOf(
  field: string | undefined,
  length: number,
): { readonly start: number; readonly end: number } | undefined {
  const match = RANGE.exec(field ?? '')
  if (match === null) return undefined
  const [, first, last, suffix] = match
  if (suffix !== undefined) return { start: Math.max(0, length - Number(suffix)), end: length }
  const start = Number(first)
  const end = last === '' || last === undefined ? length : Math.min(Number(last) + 1, length)
  // RFC 9110 14.1.1: a range that ends before it begins is no range.
  if (last !== '' && last !== undefined && Number(last) < start) return undefined
  return { start, end }
}
