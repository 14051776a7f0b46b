/** Metrics of restreaming. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { type TargetState, targetStates } from './target-status.ts'

/** Counters that the room adds to. */
export interface RestreamMetrics {
  readonly sentBytes: Counter
  readonly droppedUnits: Counter
  readonly queueFull: Counter<'limit'>
  readonly failures: Counter<'code'>
  readonly cut: Counter
}

/** Registers the room's metrics; `count` is asked at each scrape. */
export function createRestreamMetrics(
  registry: Registry,
  count: (state: TargetState) => number,
): RestreamMetrics {
  const registers = [registry]
  new Gauge({
    name: 'kairo_restream_targets',
    help: 'Restream targets of this peer by state',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of targetStates) this.set({ state }, count(state))
    },
  })
  return {
    sentBytes: new Counter({
      name: 'kairo_restream_sent_bytes_total',
      help: 'Media that restream targets took',
      registers,
    }),
    droppedUnits: new Counter({
      name: 'kairo_restream_dropped_units_total',
      help: 'Pictures and pieces of sound that were not sent because a target was too slow',
      registers,
    }),
    queueFull: new Counter({
      name: 'kairo_restream_queue_full_total',
      help: "Times that a target's queue reached its limit of bytes or of milliseconds",
      labelNames: ['limit'],
      registers,
    }),
    failures: new Counter({
      name: 'kairo_restream_failures_total',
      help: 'Connections to restream targets that failed, by error code',
      labelNames: ['code'],
      registers,
    }),
    cut: new Counter({
      name: 'kairo_restream_cut_total',
      help: 'Connections cut because the target did not take the end of the stream in time',
      registers,
    }),
  }
}
