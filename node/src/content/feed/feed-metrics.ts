/** What following other peers' feeds tells the operator. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Metrics over all feeds that this peer follows. */
export class FeedMetrics {
  readonly receivedBytes: Counter
  readonly parts: Counter
  readonly mismatches: Counter
  readonly failures: Counter<'code'>
  readonly followed: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.receivedBytes = new Counter({
      name: 'kairo_feed_received_bytes_total',
      help: 'Bytes received in feeds',
      registers,
    })
    this.parts = new Counter({
      name: 'kairo_feed_parts_total',
      help: 'New parts received in feeds',
      registers,
    })
    this.mismatches = new Counter({
      name: 'kairo_feed_mismatches_total',
      help: 'Objects thrown away because they did not match their digest',
      registers,
    })
    this.failures = new Counter({
      name: 'kairo_feed_failures_total',
      help: 'Feeds from other peers that ended or broke, by error code',
      labelNames: ['code'],
      registers,
    })
    this.followed = new Gauge({
      name: 'kairo_feed_followed',
      help: 'Feeds that arrive now',
      registers,
    })
  }
}
