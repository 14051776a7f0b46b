/**
 * How much of what this peer can do is used: the fullest of its event loop, the machine's processors, its connections and its
 * uplink, smoothed; and how much uplink is left. A change of class is told at once, with hysteresis, so that a load on an edge
 * does not tell of itself all the time.
 */
import { strict as assert } from 'node:assert'
import { cpus } from 'node:os'
import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import { Gauge, type Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { loadLimits } from '../limits/nearest.ts'
import type { Logger } from '../logger.ts'

/** What the meter says. */
export interface LoadReading {
  /** 0 to 1. */
  readonly load: number
  readonly freeBitsPerSecond: number
  /** Which of the shares is the fullest, for people. */
  readonly busiest: LoadShare
}

/** What a load may come from. */
export type LoadShare = 'event loop' | 'processors' | 'connections' | 'uplink'

/** What the meter looks at; counters grow, the others are of the moment. */
export interface LoadProbes {
  /** Used and all milliseconds of the event loop so far. */
  readonly eventLoopMs: () => { readonly active: number; readonly total: number }
  /** The same of all processors of the machine. */
  readonly processorMs: () => { readonly active: number; readonly total: number }
  /** Bytes sent to clients and peers so far. */
  readonly bytesSent: () => number
  /** Client connections open now, and how many may be. */
  readonly connections: () => { readonly open: number; readonly max: number }
}

/** What the meter needs. */
export interface LoadMeterComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly probes: LoadProbes
}

/** The probes that look at this process and machine. */
export function machineProbes(): Pick<LoadProbes, 'eventLoopMs' | 'processorMs'> {
  return {
    eventLoopMs: () => {
      const { active, idle }: EventLoopUtilization = performance.eventLoopUtilization()
      return { active, total: active + idle }
    },
    processorMs: () => {
      let [active, total] = [0, 0]
      for (const { times } of cpus()) {
        const used = times.user + times.nice + times.sys + times.irq
        active += used
        total += used + times.idle
      }
      return { active, total }
    },
  }
}

/** Samples the load every second between start and stop. */
export class LoadMeter {
  readonly #components: LoadMeterComponents
  readonly #uplinkBitsPerSecond: number
  readonly #isUplinkKnown: boolean
  readonly #listeners = new Set<() => void>()
  readonly #shares: Record<LoadShare, number> = {
    'event loop': 0,
    processors: 0,
    connections: 0,
    uplink: 0,
  }
  #sentBitsPerSecond = 0
  #class = 0
  #last: Snapshot | undefined
  #cancel: CancelTimer | undefined

  /** @param init.uplinkBitsPerSecond what this peer may send; 0 is not known, and no share of it is counted. */
  constructor(components: LoadMeterComponents, init: { readonly uplinkBitsPerSecond: number }) {
    this.#components = components
    this.#isUplinkKnown = init.uplinkBitsPerSecond > 0
    this.#uplinkBitsPerSecond = this.#isUplinkKnown
      ? init.uplinkBitsPerSecond
      : loadLimits.unknownUplinkBitsPerSecond
    const reading = () => this.reading()
    new Gauge({
      name: 'kairo_nearest_load_ratio',
      help: 'Share of what this peer can do that is used, as it tells other peers.',
      registers: [components.registry],
      collect() {
        this.set(reading().load)
      },
    })
  }

  /** Begins to sample. */
  start(): void {
    assert(this.#cancel === undefined, 'the load meter is started once')
    this.#last = this.#snapshot()
    this.#schedule()
  }

  /** Stops sampling. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** The load as last sampled. */
  reading(): LoadReading {
    const shares = Object.entries(this.#shares) as [LoadShare, number][]
    const [busiest, load] = shares.reduce((a, b) => (b[1] > a[1] ? b : a))
    return {
      load: Math.min(1, Math.max(0, load)),
      freeBitsPerSecond: Math.max(
        0,
        Math.floor(this.#uplinkBitsPerSecond - this.#sentBitsPerSecond),
      ),
      busiest,
    }
  }

  /** Calls `listener` when the load has come into another class. Returns the way to stop. */
  onClassChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #schedule(): void {
    this.#cancel = this.#components.clock.after(loadLimits.sampleIntervalMs, () => {
      this.#schedule()
      this.#sample()
    })
  }

  #sample(): void {
    const now = this.#snapshot()
    const before = this.#last ?? now
    this.#last = now
    const elapsedS = (now.atMs - before.atMs) / 1_000
    if (elapsedS <= 0) return
    const sent = ((now.bytesSent - before.bytesSent) * 8) / elapsedS
    this.#sentBitsPerSecond += (sent - this.#sentBitsPerSecond) * loadLimits.sampleWeight
    const { open, max } = this.#components.probes.connections()
    this.#smooth('event loop', shareOf(before.eventLoop, now.eventLoop))
    this.#smooth('processors', shareOf(before.processors, now.processors))
    this.#smooth('connections', max > 0 ? open / max : 0)
    this.#shares.uplink = this.#isUplinkKnown
      ? this.#sentBitsPerSecond / this.#uplinkBitsPerSecond
      : 0
    this.#classify()
  }

  #smooth(share: LoadShare, sample: number): void {
    this.#shares[share] += (sample - this.#shares[share]) * loadLimits.sampleWeight
  }

  #classify(): void {
    const { classEdges, hysteresis } = loadLimits
    const { load } = this.reading()
    const up = classEdges.filter((edge) => load >= edge).length
    const down = classEdges.filter((edge) => load >= edge - hysteresis).length
    const next = Math.min(Math.max(this.#class, up), down)
    if (next === this.#class) return
    this.#class = next
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (error) {
        this.#components.logger.error({ err: error }, 'a listener of the load meter failed')
      }
    }
  }

  #snapshot(): Snapshot {
    const { clock, probes } = this.#components
    return {
      atMs: clock.monotonicMs(),
      eventLoop: probes.eventLoopMs(),
      processors: probes.processorMs(),
      bytesSent: probes.bytesSent(),
    }
  }
}

interface Used {
  readonly active: number
  readonly total: number
}

interface Snapshot {
  readonly atMs: number
  readonly eventLoop: Used
  readonly processors: Used
  readonly bytesSent: number
}

function shareOf(before: Used, now: Used): number {
  const total = now.total - before.total
  return total > 0 ? (now.active - before.active) / total : 0
}
