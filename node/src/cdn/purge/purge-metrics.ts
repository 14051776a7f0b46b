/** The metrics of purges. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** What the gauges read. */
export interface PurgeGauges {
  readonly logPurges: () => number
  readonly isCaughtUp: () => boolean
}

/** Counters and gauges of one peer. */
export class PurgeMetrics {
  readonly carriedOut: Counter<'source' | 'outcome'>
  readonly purgedResponses: Counter
  readonly acknowledgements: Counter<'status'>
  readonly lastAcknowledgement: Histogram
  readonly syncs: Counter<'outcome'>
  readonly regionWrites: Counter<'outcome'>
  readonly gaps: Counter<'reason'>
  readonly lost: Counter<'reason'>
  readonly limits: Counter<'limit'>

  constructor(registry: Registry, gauges: PurgeGauges) {
    const registers = [registry]
    new Gauge({
      name: 'kairo_cdn_purge_log_entries',
      help: 'Purges kept for peers that were away.',
      registers,
      collect() {
        this.set(gauges.logPurges())
      },
    })
    new Gauge({
      name: 'kairo_cdn_purge_caught_up',
      help: '1 while no purge can have been missed, so that the cache may answer without asking the origin.',
      registers,
      collect() {
        this.set(gauges.isCaughtUp() ? 1 : 0)
      },
    })
    this.carriedOut = new Counter({
      name: 'kairo_cdn_purges_total',
      help: 'Purges by where they came from (own, sent, missed, region) and what became of them: done, known or an error code.',
      labelNames: ['source', 'outcome'],
      registers,
    })
    this.purgedResponses = new Counter({
      name: 'kairo_cdn_purge_responses_total',
      help: 'Responses that purges took from the cache of this peer.',
      registers,
    })
    this.acknowledgements = new Counter({
      name: 'kairo_cdn_purge_acknowledgements_total',
      help: 'Answers of other peers to purges of this one: done, failed or unreachable; away for peers lost before, late for those that came after the wait.',
      labelNames: ['status'],
      registers,
    })
    this.lastAcknowledgement = new Histogram({
      name: 'kairo_cdn_purge_seconds',
      help: 'Time until the last peer has answered a purge of this one.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5],
      registers,
    })
    this.syncs = new Counter({
      name: 'kairo_cdn_purge_syncs_total',
      help: 'Questions to other peers for missed purges: same, news or an error code.',
      labelNames: ['outcome'],
      registers,
    })
    this.regionWrites = new Counter({
      name: 'kairo_cdn_purge_region_writes_total',
      help: 'Purges of this peer written to the log of its region: logged, taken or an error code for each attempt that failed.',
      labelNames: ['outcome'],
      registers,
    })
    this.gaps = new Counter({
      name: 'kairo_cdn_purge_gaps_total',
      help: 'Times that everything cached was forgotten because purges had been missed that nobody can tell any more.',
      labelNames: ['reason'],
      registers,
    })
    this.lost = new Counter({
      name: 'kairo_cdn_purge_out_of_touch_total',
      help: 'Times that this peer may have missed purges and asked the origin instead of its cache: start, pause, silence.',
      labelNames: ['reason'],
      registers,
    })
    this.limits = new Counter({
      name: 'kairo_cdn_purge_limits_total',
      help: 'Limits of purges that were hit.',
      labelNames: ['limit'],
      registers,
    })
  }
}
