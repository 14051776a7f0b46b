/** The metrics of a region's log. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** What the gauges read. */
export interface RegionLogGauges {
  readonly entries: () => number
  readonly members: () => number
  readonly isFollowing: () => boolean
}

/** Counters and gauges of one peer. */
export class RegionLogMetrics {
  readonly lists: Counter<'outcome'>
  readonly trimmed: Counter
  readonly limits: Counter<'limit'>
  readonly #registry: Registry

  constructor(registry: Registry) {
    this.#registry = registry
    const registers = [registry]
    this.lists = new Counter({
      name: 'kairo_coordination_log_lists_total',
      help: "Times that the region's log of purges was read whole: done or an error code.",
      labelNames: ['outcome'],
      registers,
    })
    this.trimmed = new Counter({
      name: 'kairo_coordination_log_trimmed_total',
      help: "Entries that this peer took out of the region's log of purges because they were too many or too old.",
      registers,
    })
    this.limits = new Counter({
      name: 'kairo_coordination_log_limits_total',
      help: "Limits of the region's log of purges that were hit.",
      labelNames: ['limit'],
      registers,
    })
  }

  /** Has the gauges read these. */
  watch({ entries, members, isFollowing }: RegionLogGauges): void {
    const gauge = (name: string, help: string, read: () => number): Gauge =>
      new Gauge({
        name: `kairo_coordination_log_${name}`,
        ...{ help, registers: [this.#registry] },
        collect() {
          this.set(read())
        },
      })
    gauge('entries', "Purges in the region's log, as this peer has read it.", entries)
    gauge('members', "Peers that follow the region's log of purges.", members)
    gauge('following', "1 while the region's log of purges was read whole and is watched.", () =>
      Number(isFollowing()),
    )
  }
}
