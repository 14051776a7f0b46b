/** Metrics of the library and of the making of videos. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { AssetState } from '../content/archive/asset-manifest.ts'

/** What the gauges read when they are scraped. */
export interface VodFigures {
  readonly states: Readonly<Record<AssetState, number>>
  readonly bytes: number
  readonly bytesMax: number
}

/** Gauges and counters of the library. */
export class VodMetrics {
  /** Videos that failed, by error code. */
  readonly failures
  /** Files that were refused before they became a video, by error code. */
  readonly refused
  /** Objects read from the library's files, by outcome. */
  readonly reads

  constructor(registry: Registry, figures: () => VodFigures) {
    const registers = [registry]
    this.failures = new Counter({
      ...{ name: 'kairo_vod_failures_total', help: 'Videos that could not be made, by error code' },
      ...{ labelNames: ['code'] as const, registers },
    })
    this.refused = new Counter({
      ...{
        name: 'kairo_vod_refused_total',
        help: 'Files not taken into the library, by error code',
      },
      ...{ labelNames: ['code'] as const, registers },
    })
    this.reads = new Counter({
      ...{ name: 'kairo_vod_reads_total', help: 'Objects read from the files of the library' },
      ...{ labelNames: ['outcome'] as const, registers },
    })
    new Gauge({
      ...{ name: 'kairo_vod_assets', help: 'Videos in the library, by state' },
      ...{ labelNames: ['state'] as const, registers },
      collect() {
        for (const [state, count] of Object.entries(figures().states)) this.set({ state }, count)
      },
    })
    new Gauge({
      ...{ name: 'kairo_vod_disk_bytes', help: 'Disk that the library takes', registers },
      collect() {
        this.set(figures().bytes)
      },
    })
    new Gauge({
      ...{ name: 'kairo_vod_disk_max_bytes', help: 'Disk that the library may take', registers },
      collect() {
        this.set(figures().bytesMax)
      },
    })
  }
}
