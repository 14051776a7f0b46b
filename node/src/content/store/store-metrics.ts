/** What the content store tells the operator. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Metrics of one store, with their labels already bound: they are touched on every request. */
export class StoreMetrics {
  readonly readMemory
  readonly readDisk
  readonly readSource
  readonly readMiss
  readonly evictedMemory
  readonly evictedDisk
  readonly skippedOutage
  readonly skippedQueue
  readonly corrupt: Counter
  readonly diskErrors: Counter<'code'>
  readonly degraded: Gauge

  constructor(
    registry: Registry,
    usage: () => { readonly memoryBytes: number; readonly diskBytes: number },
  ) {
    const registers = [registry]
    new Gauge({
      name: 'kairo_content_stored_bytes',
      help: 'Bytes of objects held, by tier',
      labelNames: ['tier'],
      registers,
      collect() {
        const { memoryBytes, diskBytes } = usage()
        this.set({ tier: 'memory' }, memoryBytes)
        this.set({ tier: 'disk' }, diskBytes)
      },
    })
    const reads = new Counter({
      name: 'kairo_content_reads_total',
      help: 'Objects asked for, by the tier that had them',
      labelNames: ['tier'],
      registers,
    })
    this.readMemory = reads.labels({ tier: 'memory' })
    this.readDisk = reads.labels({ tier: 'disk' })
    this.readSource = reads.labels({ tier: 'archive' })
    this.readMiss = reads.labels({ tier: 'none' })
    const evictions = new Counter({
      name: 'kairo_content_evictions_total',
      help: 'Objects removed to make room, by tier',
      labelNames: ['tier'],
      registers,
    })
    this.evictedMemory = evictions.labels({ tier: 'memory' })
    this.evictedDisk = evictions.labels({ tier: 'disk' })
    const skipped = new Counter({
      name: 'kairo_content_disk_skipped_total',
      help: 'Objects kept in memory only because the disk was failing or its queue full',
      labelNames: ['reason'],
      registers,
    })
    this.skippedOutage = skipped.labels({ reason: 'outage' })
    this.skippedQueue = skipped.labels({ reason: 'queue' })
    this.corrupt = new Counter({
      name: 'kairo_content_corrupt_total',
      help: 'Files of the disk cache that did not hold what their name says',
      registers,
    })
    this.diskErrors = new Counter({
      name: 'kairo_content_disk_errors_total',
      help: 'Failed writes and removals of the disk cache, by system error code',
      labelNames: ['code'],
      registers,
    })
    this.degraded = new Gauge({
      name: 'kairo_content_disk_degraded',
      help: '1 while the disk cache cannot write',
      registers,
    })
  }
}
