/** Metrics of fetching objects from other peers. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Counters of one fetcher. */
export class FetchMetrics {
  /** Requests to single providers, by `ok` or an error code. */
  readonly requests: Counter<'code'>
  readonly receivedBytes: Counter
  /** Callers that found their object under way already. */
  readonly joined: Counter
  /** Second requests: `won` before the first, `lost`, or `refused` by the budget. */
  readonly hedges: Counter<'outcome'>
  /** Peers left alone for a while. */
  readonly opened: Counter<'reason'>
  /** Providers not asked because they are left alone. */
  readonly skipped: Counter
  readonly limits: Counter<'limit'>
  /** Whole fetches. */
  readonly seconds: Histogram

  constructor(registry: Registry, bytesInFlight: () => number) {
    const registers = [registry]
    const counter = <Label extends string = never>(
      name: string,
      help: string,
      labelNames: Label[] = [],
    ): Counter<Label> => new Counter({ name: `kairo_fetch_${name}`, help, labelNames, registers })
    this.requests = counter(
      'requests_total',
      'Objects asked of single providers, by error code or ok',
      ['code'],
    )
    this.receivedBytes = counter(
      'received_bytes_total',
      'Bytes of objects fetched from other peers, those of lost attempts too',
    )
    this.joined = counter('joined_total', 'Callers that joined a fetch under way')
    this.hedges = counter('hedges_total', 'Second requests for late objects, by outcome', [
      'outcome',
    ])
    this.opened = counter('breaker_opened_total', 'Peers left alone for a while, by reason', [
      'reason',
    ])
    this.skipped = counter('skipped_total', 'Providers not asked because they failed lately')
    this.limits = counter('limits_total', 'Bounds that were met, by name', ['limit'])
    this.seconds = new Histogram({
      name: 'kairo_fetch_seconds',
      help: 'Time of fetches that brought their object',
      buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15],
      registers,
    })
    new Gauge({
      name: 'kairo_fetch_in_flight_bytes',
      help: 'Memory of objects under way',
      registers,
      collect() {
        this.set(bytesInFlight())
      },
    })
  }
}
