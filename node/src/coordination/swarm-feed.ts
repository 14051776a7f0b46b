/**
 * Tells the region what this peer holds of live streams, who watches here, and how busy it is. Nothing of it is kept: windows and audience are
 * looked at once a second, and of each window only its version is remembered, so that what did not change is not told again.
 */
import type { PeerLoad, Swarms, ToldSubject } from '@kairo/tracker'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { swarmFeedLimits as limits } from '../limits/swarms.ts'
import { heldWindow, type WindowEntry } from './held-windows.ts'

/** A rendition's window here. */
export interface HeldRendition {
  readonly info: { readonly name: string }
  /** Another one after each change. */
  readonly version: number
  readonly entries: readonly WindowEntry[]
}

/** A live stream here. */
export interface HeldStream {
  readonly record: { readonly id: string }
  followed(): readonly HeldRendition[]
}

/** What the feed works with. */
export interface SwarmFeedComponents {
  readonly clock: Clock
  readonly registry: Registry
  /** Undefined while no tracker runs. */
  readonly swarms: () => Swarms | undefined
  /** Streams that this peer can serve now. */
  readonly held: () => Iterable<HeldStream>
  /** Viewers of a stream at this peer. */
  readonly viewers: (id: string) => number
  readonly load: () => PeerLoad
}

/** What was told of one subject: which window in which version, or how many viewers. */
interface Told {
  readonly stream: string
  readonly rendition: string
  readonly window: HeldRendition | undefined
  readonly version: number
}

/** The feed, between start and stop. */
export class SwarmFeed {
  readonly #components: SwarmFeedComponents
  readonly #untold: Counter
  #told = new Map<string, Told>()
  #toldTo: Swarms | undefined
  #cancel: CancelTimer | undefined

  constructor(components: SwarmFeedComponents) {
    this.#components = components
    const { registry } = components
    const told = (): number => this.#told.size
    new Gauge({
      name: 'kairo_coordination_swarm_subjects',
      help: 'Live streams and renditions that this peer tells its region it holds.',
      registers: [registry],
      collect() {
        this.set(told())
      },
    })
    this.#untold = new Counter({
      name: 'kairo_coordination_swarm_untold_total',
      help: 'Times that a live stream or rendition was not told of because there are too many.',
      registers: [registry],
    })
  }

  start(): void {
    this.#later()
  }

  stop(): void {
    this.#cancel?.()
  }

  #later(): void {
    this.#cancel = this.#components.clock.after(limits.roundMs, () => {
      this.#round()
      this.#later()
    })
  }

  #round(): void {
    const swarms = this.#components.swarms()
    // One that was started anew has been told nothing.
    if (swarms !== this.#toldTo) this.#told = new Map()
    this.#toldTo = swarms
    if (swarms === undefined) return
    const before = this.#told
    this.#told = new Map()
    const held: ToldSubject[] = []
    for (const stream of this.#components.held()) this.#look(stream, before, held)
    const gone = [...before].filter(([key]) => !this.#told.has(key)).map(([, told]) => told)
    if (this.#told.size + gone.length === 0) return
    swarms.tell({
      held,
      gone: gone.map(({ stream, rendition }) => ({ stream, rendition })),
      load: this.#components.load(),
    })
  }

  #look(stream: HeldStream, before: ReadonlyMap<string, Told>, news: ToldSubject[]): void {
    const { id } = stream.record
    const windows = stream.followed().filter(({ entries }) => entries.length > 0)
    if (windows.length === 0) return
    if (this.#told.size + windows.length + 1 > limits.subjectsMax) {
      this.#untold.inc(windows.length + 1)
      return
    }
    const note = (
      rendition: string,
      window: HeldRendition | undefined,
      version: number,
    ): boolean => {
      const key = `${id} ${rendition}`
      const known = before.get(key)
      this.#told.set(key, { stream: id, rendition, window, version })
      return known?.window !== window || known?.version !== version
    }
    // Who holds a rendition is in the stream's swarm, too, and that is where viewers are counted.
    const viewers = this.#components.viewers(id)
    if (note('', undefined, viewers)) {
      news.push({ stream: id, rendition: '', viewers, ranges: [], parts: [] })
    }
    for (const window of windows) {
      const { name } = window.info
      if (!note(name, window, window.version)) continue
      news.push({ stream: id, rendition: name, viewers: 0, ...heldWindow(window.entries) })
    }
  }
}
