/** What the cache tells the operator. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Metrics of the cache and its proxy. */
export class CacheMetrics {
  readonly evicted: Counter<'reason'>
  readonly purged: Counter<'mode'>
  readonly requests: Counter<'rule' | 'result'>
  readonly originRequests: Counter<'rule' | 'kind'>
  readonly originFailures: Counter<'rule' | 'code'>
  readonly originSeconds: Histogram<'rule'>
  readonly collapsed: Counter<'rule'>
  readonly refused: Counter<'rule'>
  readonly compressed: Counter<'coding'>
  readonly shields: Counter<'result'>
  readonly journalFailures: Counter
  readonly journalBytes: Gauge
  readonly restored: Counter<'state'>
  #usage: () => { entries: number; bytes: number } = () => ({ entries: 0, bytes: 0 })
  #flights: () => number = () => 0
  /** Hits by rule since somebody last looked. */
  readonly #hits = new Map<string, { count: number }>()

  constructor(registry: Registry) {
    const registers = [registry]
    const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
      new Counter({ name: `kairo_cdn_${name}_total`, help, labelNames, registers })
    const flushHits = (): void => this.#flushHits()
    this.requests = new Counter({
      name: 'kairo_cdn_requests_total',
      help: 'Requests, by rule and by what answered them',
      labelNames: ['rule', 'result'],
      registers,
      collect: flushHits,
    })
    this.originRequests = counter(
      'origin_requests',
      'Requests sent to origins or shields, by rule and purpose',
      ['rule', 'kind'],
    )
    this.originFailures = counter('origin_failures', 'Origin requests that brought no response', [
      'rule',
      'code',
    ])
    this.collapsed = counter('collapsed', 'Requests that shared the origin request of another', [
      'rule',
    ])
    this.refused = counter('refused', 'Requests refused because a limit was reached', ['rule'])
    this.compressed = counter('compressed', 'Bodies compressed', ['coding'])
    this.shields = counter('shield_requests', 'Requests to shield peers, by outcome', ['result'])
    this.evicted = counter('evicted', 'Responses forgotten to make room', ['reason'])
    this.purged = counter('purged', 'Responses taken by purges', ['mode'])
    this.restored = counter('restored', 'Responses found in the journal at the start', ['state'])
    this.journalFailures = counter('journal_failures', 'Failed writes of the journal', [])
    this.originSeconds = new Histogram({
      name: 'kairo_cdn_origin_seconds',
      help: 'Time from a request to the head of the origin response',
      labelNames: ['rule'],
      buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    })
    this.journalBytes = new Gauge({
      name: 'kairo_cdn_journal_bytes',
      help: 'Size of the journal of the index',
      registers,
    })
    const flights = (): number => this.#flights()
    const usage = (): { entries: number; bytes: number } => this.#usage()
    new Gauge({
      name: 'kairo_cdn_entries',
      help: 'Responses in the index',
      registers,
      collect() {
        this.set(usage().entries)
      },
    })
    new Gauge({
      name: 'kairo_cdn_index_bytes',
      help: 'Estimated memory of the index',
      registers,
      collect() {
        this.set(usage().bytes)
      },
    })
    new Gauge({
      name: 'kairo_cdn_flights',
      help: 'Origin requests under way',
      registers,
      collect() {
        this.set(flights())
      },
    })
  }

  /** Reads the number of origin requests under way when somebody asks. */
  watchFlights(flights: () => number): void {
    this.#flights = flights
  }

  /** The hits of a rule: a plain sum to add to, which becomes a metric when somebody looks. */
  hitsOf(rule: string): { count: number } {
    let hits = this.#hits.get(rule)
    if (hits === undefined) {
      hits = { count: 0 }
      this.#hits.set(rule, hits)
    }
    return hits
  }

  #flushHits(): void {
    for (const [rule, hits] of this.#hits) {
      if (hits.count > 0) this.requests.inc({ rule, result: 'hit' }, hits.count)
      hits.count = 0
    }
  }

  /** Reads the size of the index when somebody asks. */
  watchIndex(usage: () => { entries: number; bytes: number }): void {
    this.#usage = usage
  }
}
