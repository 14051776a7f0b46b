/** Metrics of asking origins. The label `origin` is the origin's host, bucket or `folder`, so there are as many as host rules. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** What the gauges read of one origin. */
export interface OriginLoad {
  readonly inside: number
  readonly waiting: number
  readonly isOpen: boolean
}

/** One set for all origins of a peer. */
export class OriginMetrics {
  readonly answers: Counter<'origin' | 'result'>
  readonly headSeconds: Histogram<'origin'>
  readonly bodyBytes: Counter<'origin'>
  readonly refused: Counter<'origin' | 'reason'>
  readonly retries: Counter<'origin'>
  readonly #loads = new Map<OriginLoad, string>()

  constructor(registry: Registry) {
    const registers = [registry]
    this.answers = new Counter({
      name: 'kairo_cdn_origin_answers_total',
      help: 'Requests to origins, by the class of the status or the code of the error they ended with.',
      labelNames: ['origin', 'result'],
      registers,
    })
    this.headSeconds = new Histogram({
      name: 'kairo_cdn_origin_head_seconds',
      help: 'Time from a request to the head of its answer.',
      labelNames: ['origin'],
      buckets: [0.005, 0.02, 0.05, 0.2, 1, 5, 30],
      registers,
    })
    this.bodyBytes = new Counter({
      name: 'kairo_cdn_origin_body_bytes_total',
      help: 'Bytes of bodies that origins sent.',
      labelNames: ['origin'],
      registers,
    })
    this.refused = new Counter({
      name: 'kairo_cdn_origin_refused_total',
      help: 'Requests that were not sent: too many waited (queue-full), too long (queue-timeout), or the origin is left alone (circuit-open).',
      labelNames: ['origin', 'reason'],
      registers,
    })
    this.retries = new Counter({
      name: 'kairo_cdn_origin_retries_total',
      help: 'Requests sent again because the origin had closed the idle connection they went over.',
      labelNames: ['origin'],
      registers,
    })
    this.#registerLoads(registry)
  }

  /** Shows an origin's load until the returned function is called. */
  watch(origin: string, load: OriginLoad): () => void {
    this.#loads.set(load, origin)
    return () => this.#loads.delete(load)
  }

  #registerLoads(registry: Registry): void {
    const loads = this.#loads
    const gauge = (name: string, help: string, read: (load: OriginLoad) => number): Gauge =>
      new Gauge({
        name,
        help,
        labelNames: ['origin'],
        registers: [registry],
        collect() {
          this.reset()
          for (const [load, origin] of loads) this.inc({ origin }, read(load))
        },
      })
    gauge('kairo_cdn_origin_inflight', 'Requests under way.', (load) => load.inside)
    gauge('kairo_cdn_origin_waiting', 'Requests that wait for one to end.', (load) => load.waiting)
    gauge('kairo_cdn_origin_circuit_open', '1 while an origin is left alone.', (load) =>
      load.isOpen ? 1 : 0,
    )
  }
}
