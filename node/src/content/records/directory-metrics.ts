/**
 * The directory's metrics.
 */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Counters and gauges of one directory. */
export class DirectoryMetrics {
  readonly heard: Counter<'outcome'>
  readonly announcements: Counter<'outcome'>

  constructor(registry: Registry, records: () => number) {
    const registers = [registry]
    new Gauge({
      name: 'kairo_directory_records',
      help: 'Stream records known.',
      registers,
      collect() {
        this.set(records())
      },
    })
    this.heard = new Counter({
      name: 'kairo_directory_heard_total',
      help: 'Records that came from other peers, by what became of them.',
      labelNames: ['outcome'],
      registers,
    })
    this.announcements = new Counter({
      name: 'kairo_directory_announcements_total',
      help: 'Announcements of own records.',
      labelNames: ['outcome'],
      registers,
    })
  }
}
