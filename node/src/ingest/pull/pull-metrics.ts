/** Metrics of pulled streams. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Counters that pulls add to. */
export interface PullMetrics {
  readonly bytes: Counter
  readonly failures: Counter<'code'>
  readonly leftOut: Counter
}

/** Registers the metrics; `states` is asked at each scrape. */
export function createPullMetrics(
  registry: Registry,
  states: () => readonly string[],
): PullMetrics {
  const registers = [registry]
  new Gauge({
    name: 'kairo_pull_streams',
    help: 'Streams that this peer pulls by state',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset()
      for (const state of states()) this.inc({ state })
    },
  })
  return {
    bytes: new Counter({
      name: 'kairo_pull_received_bytes_total',
      help: 'Media taken from pulled sources',
      registers,
    }),
    failures: new Counter({
      name: 'kairo_pull_failures_total',
      help: 'Pulls that failed or broke off, by error code',
      labelNames: ['code'],
      registers,
    }),
    leftOut: new Counter({
      name: 'kairo_pull_left_out_tracks_total',
      help: 'Tracks of sound of pulled sources that were not taken because there were too many',
      registers,
    }),
  }
}
