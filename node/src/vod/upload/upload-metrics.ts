/** What uploads count. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Metrics of one upload server. */
export class UploadMetrics {
  /** By outcome: created, finished, failed, expired, terminated, forgotten, refused-uploads, refused-address, refused-room, refused-locked. */
  readonly uploads: Counter<'outcome'>
  readonly bytes: Counter

  /** @param open reads the number of unfinished uploads. */
  constructor(registry: Registry, open: () => number) {
    const registers = [registry]
    this.uploads = new Counter({
      name: 'kairo_vod_uploads_total',
      help: 'Uploads by what became of them.',
      labelNames: ['outcome'],
      registers,
    })
    this.bytes = new Counter({
      name: 'kairo_vod_upload_received_bytes',
      help: 'Bytes of uploads received.',
      registers,
    })
    new Gauge({
      name: 'kairo_vod_uploads_open',
      help: 'Unfinished uploads, stale ones too.',
      registers,
      collect() {
        this.set(open())
      },
    })
  }
}
