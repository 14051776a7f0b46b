/** Metrics of live transcoding. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** What the gauges read when they are asked. */
export interface TranscodeReadings {
  readonly headroomCores: number
  readonly budgetCores: number
  readonly costFactor: number
  /** Rungs by state. */
  readonly rungs: ReadonlyMap<string, number>
  /** The worst of all streams. */
  readonly lagS: number
  /** The slowest of all streams; 1 keeps pace. */
  readonly speed: number
}

/** Counters that the room adds to. */
export interface TranscodeMetrics {
  readonly restarts: Counter<'reason'>
  readonly dropped: Counter<'reason'>
  readonly skippedSeconds: Counter
}

/** Registers the room's metrics; `read` is called at each scrape. */
export function createTranscodeMetrics(
  registry: Registry,
  read: () => TranscodeReadings,
): TranscodeMetrics {
  const registers = [registry]
  const gauge = (name: string, help: string, value: (readings: TranscodeReadings) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(read()))
      },
    })
  gauge(
    'kairo_transcode_headroom_cores',
    'Processor cores that transcoding may use and does not',
    ({ headroomCores }) => headroomCores,
  )
  gauge(
    'kairo_transcode_budget_cores',
    'Processor cores that transcoding may use',
    ({ budgetCores }) => budgetCores,
  )
  gauge(
    'kairo_transcode_cost_factor_ratio',
    'Measured cost of rungs against the cost that was estimated',
    ({ costFactor }) => costFactor,
  )
  gauge(
    'kairo_transcode_lag_seconds',
    'How far the rung that is most behind is behind its source',
    ({ lagS }) => lagS,
  )
  gauge(
    'kairo_transcode_speed_ratio',
    'Media time made in a second, by the slowest stream; 1 keeps pace',
    ({ speed }) => speed,
  )
  new Gauge({
    name: 'kairo_transcode_rungs',
    help: 'Rungs by state: live, waiting, behind, or dropped for want of room',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset()
      for (const [state, count] of read().rungs) this.set({ state }, count)
    },
  })
  return {
    restarts: new Counter({
      name: 'kairo_transcode_restarts_total',
      help: 'Children replaced because they failed, hung or fell behind',
      labelNames: ['reason'],
      registers,
    }),
    dropped: new Counter({
      name: 'kairo_transcode_dropped_total',
      help: 'Rungs taken away or refused: no budget, behind, a late event loop, failures',
      labelNames: ['reason'],
      registers,
    }),
    skippedSeconds: new Counter({
      name: 'kairo_transcode_skipped_seconds_total',
      help: 'Media time that rungs left out to be on time again',
      registers,
    }),
  }
}
