/** What HLS delivery counts. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { HlsRequest } from './hls-request.ts'

/** What a request asked for; `unknown` when it could not be read. */
export type RequestKind = HlsRequest['kind'] | 'unknown'

/** Seconds; blocked requests last from a fraction of a part to three target durations. */
const BLOCK_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 8, 12]

/** The figures of one HLS handler, on the registry it was given. */
export class HlsMetrics {
  readonly #requests: Counter<'kind' | 'status'>
  readonly #bytes: Counter<'kind'>
  readonly #blocked: Gauge
  readonly #blockSeconds: Histogram
  readonly #renders: Counter

  constructor(registry: Registry) {
    const registers = [registry]
    this.#requests = new Counter({
      name: 'kairo_hls_requests_total',
      help: 'HLS requests by what they asked for and the status they got (499: the client left).',
      labelNames: ['kind', 'status'],
      registers,
    })
    this.#bytes = new Counter({
      name: 'kairo_hls_response_bytes_total',
      help: 'Bytes of HLS answers, by what was asked for; answers to HEAD count what GET would send.',
      labelNames: ['kind'],
      registers,
    })
    this.#blocked = new Gauge({
      name: 'kairo_hls_blocked',
      help: 'Requests that wait for a part or segment now.',
      registers,
    })
    this.#blockSeconds = new Histogram({
      name: 'kairo_hls_block_seconds',
      help: 'How long blocked requests waited.',
      buckets: BLOCK_BUCKETS,
      registers,
    })
    this.#renders = new Counter({
      name: 'kairo_hls_renders_total',
      help: 'Media playlists rendered; viewers of the same version share one.',
      registers,
    })
  }

  /** A request was answered. */
  answered(kind: RequestKind, status: number, bytes: number): void {
    this.#requests.inc({ kind, status })
    if (bytes > 0) this.#bytes.inc({ kind }, bytes)
  }

  /** A part of an answer that is sent while it is made. */
  streamed(kind: RequestKind, bytes: number): void {
    this.#bytes.inc({ kind }, bytes)
  }

  /** A request begins to wait. */
  blocked(): void {
    this.#blocked.inc()
  }

  /** A request waited this long. */
  unblocked(seconds: number): void {
    this.#blocked.dec()
    this.#blockSeconds.observe(seconds)
  }

  /** A media playlist was rendered. */
  rendered(): void {
    this.#renders.inc()
  }
}
