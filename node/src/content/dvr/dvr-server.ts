/**
 * Tells other peers how far streams of this peer can be rewound: `GET /dvr/<stream id>/<rendition>?from=<msn>` names the kept segments
 * from that number on, a page of them at a time. Their bytes are objects like any other.
 */
import { Counter, type Registry } from 'prom-client'
import { KairoError } from '../../errors.ts'
import type { IncomingPeerRequest, PeerHttp, PeerHttpAnswer } from '../../host/peer-http.ts'
import type { ArchivedSegment } from '../archive/presentation.ts'
import type { StreamId } from '../stream.ts'
import { encodeSegmentPage } from '../videos/segment-pages.ts'

/** What is kept of live streams for those who go back. */
export interface DvrSource {
  /** In order, numbers grow by one; empty for a stream of another peer. */
  segments(stream: StreamId, rendition: string): readonly ArchivedSegment[]
}

/** Path of these requests. */
export const DVR_PREFIX = '/dvr/'
const PATH = /^\/dvr\/(k[0-9a-z]{50,80})\/([a-z0-9-]{1,32})\?from=(0|[1-9][0-9]{0,14})$/

/** Answers for the streams of this peer. */
export class DvrServer {
  readonly #http: Pick<PeerHttp, 'handle'>
  readonly #source: DvrSource
  readonly #answers: Counter

  constructor(components: {
    readonly http: Pick<PeerHttp, 'handle'>
    readonly registry: Registry
    readonly source: DvrSource
  }) {
    this.#http = components.http
    this.#source = components.source
    this.#answers = new Counter({
      name: 'kairo_dvr_told_total',
      help: 'Times that another peer was told how far a stream can be rewound',
      registers: [components.registry],
    })
  }

  /** Begins to answer. */
  start(): void {
    this.#http.handle(DVR_PREFIX, async (request) => this.#answer(request))
  }

  #answer({ method, path }: IncomingPeerRequest): PeerHttpAnswer {
    const [, stream, rendition, from] = PATH.exec(path) ?? []
    if (method !== 'GET' || stream === undefined || rendition === undefined) {
      throw new KairoError('ERR_INVALID_INPUT', 'a window is asked for by stream and rendition')
    }
    const all = this.#source.segments(stream, rendition)
    const first = all[0]
    this.#answers.inc()
    if (first === undefined) return { status: 200 }
    const segments = all.slice(Math.max(0, Number(from) - first.msn))
    return {
      status: 200,
      headers: { 'kairo-first-msn': String(first.msn) },
      ...(segments.length > 0 && { body: [encodeSegmentPage(segments, 0)] }),
    }
  }
}
