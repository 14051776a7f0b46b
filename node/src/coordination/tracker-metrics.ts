/** The tracker's figures as metrics. The thread counts; here counters follow, so that a region that is opened anew takes nothing back. */
import type { AgentStatus, TrackerFigures } from '@kairo/tracker'
import { Counter, Gauge, type Registry } from 'prom-client'
import { coordinationServiceLimits } from '../limits/coordination.ts'

/** What the gauges read. */
export interface TrackerGauges {
  readonly isUp: () => boolean
  readonly status: () => AgentStatus | undefined
}

/** These figures tell how it is, and not how often something was. */
const GAUGES: ReadonlySet<string> = new Set([
  'groups.led',
  ...['lines.standing', 'lines.queued_bytes'],
  ...['peers', 'subjects', 'entries', 'bytes'].map((what) => `soft.known_${what}`),
])

/** The metrics. */
export class TrackerMetrics {
  /** Threads that took the place of one that ended by itself. */
  readonly restarts: Counter
  readonly #registry: Registry
  readonly #counters = new Map<string, { readonly counter: Counter; last: number }>()
  readonly #gauges = new Map<string, Gauge>()

  constructor(registry: Registry, gauges: TrackerGauges) {
    this.#registry = registry
    const registers = [registry]
    const gauge = (name: string, help: string, read: () => number): Gauge =>
      new Gauge({
        name: `kairo_tracker_${name}`,
        ...{ help, registers },
        collect() {
          this.set(read())
        },
      })
    this.restarts = new Counter({
      name: 'kairo_tracker_restarts_total',
      help: "Times that the tracker's thread ended by itself and another one was begun.",
      registers,
    })
    const { isUp, status } = gauges
    gauge('up', '1 while coordination works here: the tracker runs, or etcd is used.', () =>
      Number(isUp()),
    )
    gauge('members', "Members of this peer's region.", () => status()?.memberCount ?? 0)
    gauge('quorum', '1 while the region decides things, as far as this peer knows.', () =>
      Number(status()?.hasQuorum ?? false),
    )
    gauge('degraded', '1 while the region has been without a quorum for long.', () =>
      Number(status()?.isDegraded ?? false),
    )
    gauge('conflicts', 'Other regions of the same name that do not go away by themselves.', () => {
      return status()?.conflicts.length ?? 0
    })
  }

  /** Takes what the tracker told. */
  take(figures: TrackerFigures): void {
    for (const [name, value] of Object.entries(figures)) {
      if (GAUGES.has(name)) this.#gauge(name).set(value)
      else this.#count(name, value)
    }
  }

  #count(name: string, value: number): void {
    const known = this.#counters.get(name) ?? this.#newCounter(name)
    if (known === undefined) return
    // One that went back began anew.
    known.counter.inc(value >= known.last ? value - known.last : value)
    known.last = value
  }

  #newCounter(name: string): { readonly counter: Counter; last: number } | undefined {
    if (this.#counters.size >= coordinationServiceLimits.figuresMax) return undefined
    const counter = new Counter({
      name: `kairo_tracker_${snake(name)}_total`,
      help: `What the tracker counts as ${name}.`,
      registers: [this.#registry],
    })
    const entry = { counter, last: 0 }
    this.#counters.set(name, entry)
    return entry
  }

  #gauge(name: string): Gauge {
    const known = this.#gauges.get(name)
    if (known !== undefined) return known
    const gauge = new Gauge({
      name: `kairo_tracker_${snake(name)}`,
      help: `What the tracker tells as ${name}.`,
      registers: [this.#registry],
    })
    this.#gauges.set(name, gauge)
    return gauge
  }
}

/** `driver.framesSent` becomes `driver_frames_sent`. */
function snake(name: string): string {
  return name.replaceAll('.', '_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
