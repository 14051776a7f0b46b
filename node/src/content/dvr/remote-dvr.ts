/**
 * How far streams of other peers can be rewound here: the peer that publishes a stream, which the stream's signed record names, tells
 * which segments it keeps; they are asked for when somebody watches and then now and then, so that the window always joins the live
 * one. Bytes are fetched by digest when a viewer goes back to them.
 *
 * A playlist never reaches back further than it did: a window that came too late, or fell behind, begins where the live one does.
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import type { PeerHttp } from '../../host/peer-http.ts'
import { remoteDvrLimits as limits } from '../../limits/remote-dvr.ts'
import { videoRecordLimits } from '../../limits/videos.ts'
import type { Logger } from '../../logger.ts'
import type { ArchivedSegment } from '../archive/presentation.ts'
import type { Digest } from '../digest.ts'
import type { StreamId, StreamRecord } from '../stream.ts'
import { decodeSegmentPage } from '../videos/segment-pages.ts'
import { DVR_PREFIX } from './dvr-server.ts'

/** What it works with. */
export interface RemoteDvrComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly http: Pick<PeerHttp, 'request'>
  readonly records: { get(id: StreamId): StreamRecord | undefined }
  /** This peer, whose own streams are not asked about. */
  readonly peerId: string
}

/** The live window of a rendition that is followed here. */
export interface FollowedWindow {
  readonly entries: readonly { readonly msn: number; readonly durationUs: number }[]
}

interface Window {
  readonly stream: StreamId
  readonly rendition: string
  readonly live: () => FollowedWindow | undefined
  segments: readonly ArchivedSegment[]
  readonly digests: Set<Digest>
  loading: Promise<void> | undefined
  /** Nothing before this number is shown. */
  floorMsn: number
  /** Monotonic milliseconds. */
  refreshAtMs: number
  usedMs: number
}

/** DVR windows of streams of other peers. */
export class RemoteDvr {
  readonly #components: RemoteDvrComponents
  readonly #logger: Logger
  readonly #loads: Counter<'outcome'>
  /** The one used last at the end. */
  readonly #windows = new Map<string, Window>()
  readonly #stopping = new AbortController()
  #segments = 0

  constructor(components: RemoteDvrComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:dvr' })
    const registers = [components.registry]
    this.#loads = new Counter({
      name: 'kairo_dvr_asked_total',
      help: 'Times that a publisher was asked how far its stream can be rewound, by error code or ok',
      labelNames: ['outcome'],
      registers,
    })
    const figure = (): number => this.#segments
    new Gauge({
      name: 'kairo_dvr_remote_segments',
      help: 'Segments of other peers that can be rewound to',
      registers,
      collect() {
        this.set(figure())
      },
    })
  }

  /** Gives up what is under way. */
  stop(): void {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
  }

  /** Learns the window of a rendition before it is first shown. Resolves in time in any case, and never rejects. */
  async prepare(
    stream: StreamId,
    rendition: string,
    live: () => FollowedWindow | undefined,
  ): Promise<void> {
    const { clock, records, peerId } = this.#components
    const origin = records.get(stream)?.originPeer
    if (origin === undefined || origin === peerId) return
    const key = keyOf({ stream, rendition })
    const window = this.#windows.get(key) ?? {
      ...{ stream, rendition, live, segments: [], digests: new Set(), loading: undefined },
      ...{ floorMsn: 0, refreshAtMs: 0, usedMs: clock.monotonicMs() },
    }
    this.#windows.set(key, window)
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = clock.after(limits.prepareMsMax, resolve)
    await Promise.race([this.#load(window), late])
    cancel()
    if (window.segments.length === 0 || window.loading !== undefined) this.#beginAnew(window)
    this.#makeRoom(key)
  }

  /** Segments to go back to, in order; see `LiveArchive` of delivery. */
  segments(stream: StreamId, rendition: string): readonly ArchivedSegment[] {
    const key = keyOf({ stream, rendition })
    const window = this.#windows.get(key)
    if (window === undefined) return []
    const now = this.#components.clock.monotonicMs()
    window.usedMs = now
    this.#windows.delete(key)
    this.#windows.set(key, window)
    if (now >= window.refreshAtMs) void this.#load(window)
    return window.segments
  }

  /** True for an object of a window of the stream. */
  has(stream: StreamId, digest: Digest): boolean {
    for (const window of this.#windows.values()) {
      if (window.stream === stream && window.digests.has(digest)) return true
    }
    return false
  }

  /** Forgets the windows of a stream that is no longer followed. */
  forget(stream: StreamId): void {
    for (const [key, window] of this.#windows) if (window.stream === stream) this.#drop(key, window)
  }

  /** One request at a time; never rejects. */
  #load(window: Window): Promise<void> {
    window.loading ??= this.#ask(window)
      .then(
        () => this.#loads.inc({ outcome: 'ok' }),
        (error: unknown) => {
          this.#loads.inc({ outcome: isKairoError(error) ? error.code : 'bug' })
          const { stream, rendition } = window
          this.#logger.debug({ err: error, stream, rendition }, 'no word of how far to go back')
        },
      )
      .finally(() => {
        window.loading = undefined
        window.refreshAtMs = this.#components.clock.monotonicMs() + refreshMs(window.live())
      })
    return window.loading
  }

  async #ask(window: Window): Promise<void> {
    const { clock, http, records } = this.#components
    const { stream, rendition } = window
    const origin = records.get(stream)?.originPeer
    if (origin === undefined) throw new KairoError('ERR_NOT_FOUND', 'the stream is over')
    const last = window.segments.at(-1)
    if (last !== undefined && last.msn < firstOf(window.live()) - 1) this.#beginAnew(window)
    const limit = deadline(clock, limits.requestMsMax, this.#stopping.signal)
    try {
      let from = (window.segments.at(-1)?.msn ?? -1) + 1
      for (let asked = 0; asked < limits.pagesMax; asked += 1) {
        const path = `${DVR_PREFIX}${stream}/${rendition}?from=${from}`
        const answer = await http.request(origin, { method: 'GET', path }, { signal: limit.signal })
        const page = await readBody(answer.body)
        if (answer.status !== 200) {
          throw new KairoError('ERR_NO_PROVIDER', `the publisher's peer answered ${answer.status}`)
        }
        const segments = page.byteLength === 0 ? [] : decodeSegmentPage(page)
        const firstMsn = Number(answer.headers['kairo-first-msn'] ?? Number.MAX_SAFE_INTEGER)
        this.#take(window, firstMsn, segments)
        if (segments.length < videoRecordLimits.segmentsPerPage) return
        from = (segments.at(-1)?.msn ?? 0) + 1
      }
    } finally {
      limit.clear()
    }
  }

  #take(window: Window, firstMsn: number, news: readonly ArchivedSegment[]): void {
    const last = window.segments.at(-1)
    const joins = news.length === 0 || last === undefined || news[0]?.msn === last.msn + 1
    if (!joins) this.#beginAnew(window)
    const from = Math.max(firstMsn, window.floorMsn)
    const segments = [...window.segments, ...news].filter(({ msn }) => msn >= from)
    const isWhole = segments.every(({ msn }, index) => msn === (segments[0]?.msn ?? 0) + index)
    if (!isWhole) {
      throw new KairoError('ERR_PROTOCOL', 'the segments of a window are not in order')
    }
    // Forgotten meanwhile.
    if (this.#windows.get(keyOf(window)) !== window) return
    this.#put(window, segments)
  }

  /** Playlists were shown that begin where the live window does: nothing that comes later may reach back further. */
  #beginAnew(window: Window): void {
    window.floorMsn = Math.max(window.floorMsn, firstOf(window.live()))
    this.#put(window, [])
  }

  #put(window: Window, segments: readonly ArchivedSegment[]): void {
    this.#segments += segments.length - window.segments.length
    window.segments = segments
    window.digests.clear()
    for (const { digest, initDigest } of segments) window.digests.add(digest).add(initDigest)
  }

  #makeRoom(newest: string): void {
    const idleSince = this.#components.clock.monotonicMs() - limits.idleMs
    for (const [key, window] of this.#windows) {
      const isOver =
        this.#windows.size > limits.windowsMax || this.#segments > limits.segmentsInAllMax
      if (key !== newest && (isOver || window.usedMs < idleSince)) this.#drop(key, window)
    }
  }

  #drop(key: string, window: Window): void {
    this.#windows.delete(key)
    this.#put(window, [])
  }
}

function keyOf({ stream, rendition }: Pick<Window, 'stream' | 'rendition'>): string {
  return `${stream} ${rendition}`
}

/** First number of a live window; 0 while there is none. */
function firstOf(live: FollowedWindow | undefined): number {
  return live?.entries[0]?.msn ?? 0
}

/** Long before what is known has left the live window. */
function refreshMs(live: FollowedWindow | undefined): number {
  const windowUs = (live?.entries ?? []).reduce((sum, { durationUs }) => sum + durationUs, 0)
  const wanted = (windowUs / 1_000) * limits.refreshShare
  return Math.min(Math.max(wanted, limits.refreshMsMin), limits.refreshMsMax)
}

async function readBody(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > videoRecordLimits.segmentPageBytesMax) {
      throw new KairoError('ERR_LIMIT', 'a page of segments is too large')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
