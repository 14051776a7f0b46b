/** Metrics of the making of videos. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Counters and gauges of the pipeline. */
export class PipelineMetrics {
  /** Stretches and tracks: made, taken over from an earlier run, tried again, given up. */
  readonly tasks
  /** Media made, in seconds of the file, not multiplied by renditions. */
  readonly seconds
  /** Waits for a child because live streams left no room. */
  readonly held
  /** Children held back because the disk does not keep up with them. */
  readonly diskHeld
  /** Children at work now. */
  readonly running

  constructor(registry: Registry) {
    const registers = [registry]
    this.tasks = new Counter({
      ...{ name: 'kairo_vod_tasks_total', help: 'Stretches and tracks of videos, by outcome' },
      ...{ labelNames: ['outcome'] as const, registers },
    })
    this.seconds = new Counter({
      ...{ name: 'kairo_vod_media_seconds_total', help: 'Media made into videos', registers },
    })
    this.held = new Counter({
      ...{ name: 'kairo_vod_held_total', help: 'Waits because live streams left no room' },
      registers,
    })
    this.diskHeld = new Counter({
      ...{ name: 'kairo_vod_disk_held_total', help: 'Children held back by a slow disk' },
      registers,
    })
    this.running = new Gauge({
      ...{ name: 'kairo_vod_children', help: 'Children that work on videos now', registers },
    })
  }
}
