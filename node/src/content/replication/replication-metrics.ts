/** What replication tells the operator. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Metrics of replication. */
export class ReplicationMetrics {
  readonly offersSent: Counter<'code'>
  readonly offered: Counter<'outcome'>
  readonly fetched: Counter<'code'>
  readonly fetchedBytes: Counter
  readonly mended: Counter<'code'>
  readonly popular: Gauge

  constructor(registry: Registry, waiting: () => number) {
    const registers = [registry]
    this.offersSent = new Counter({
      name: 'kairo_replication_offers_total',
      help: 'Offers of popular objects sent to other peers, by error code or ok',
      labelNames: ['code'],
      registers,
    })
    this.offered = new Counter({
      name: 'kairo_replication_offered_objects_total',
      help: 'Objects that other peers offered: queued, here already, refused because too many wait',
      labelNames: ['outcome'],
      registers,
    })
    this.fetched = new Counter({
      name: 'kairo_replication_fetches_total',
      help: 'Offered objects fetched, by error code or ok',
      labelNames: ['code'],
      registers,
    })
    this.fetchedBytes = new Counter({
      name: 'kairo_replication_fetched_bytes_total',
      help: 'Bytes of offered objects fetched before they were asked for here',
      registers,
    })
    this.mended = new Counter({
      name: 'kairo_replication_mended_total',
      help: 'Kept objects that were not here any more and were fetched again, by error code or ok',
      labelNames: ['code'],
      registers,
    })
    this.popular = new Gauge({
      name: 'kairo_replication_popular_objects',
      help: 'Objects that are popular here',
      registers,
    })
    new Gauge({
      name: 'kairo_replication_waiting_objects',
      help: 'Offered objects that wait to be fetched',
      registers,
      collect() {
        this.set(waiting())
      },
    })
  }
}
