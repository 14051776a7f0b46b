/** A swarm of pages without sockets, on a clock that stands still: what each is told is kept, for tests of what an edge decides. */
import type { EdgeMessage, Off, PageMessage } from '@kairo/client/protocol'
import { createRegistry } from '../../src/metrics/registry.ts'
import type { PageLine } from '../../src/signalling/swarm/page.ts'
import { type Entry, PageSwarms } from '../../src/signalling/swarm/page-swarms.ts'
import { SignedTokens } from '../../src/signalling/swarm/signed-tokens.ts'
import { SwarmMetrics } from '../../src/signalling/swarm/swarm-metrics.ts'
import { metric } from './http-exchange.ts'
import { ManualClock } from './manual-clock.ts'
import { digestOf } from './swarm-stage.ts'

/** What a page is. */
export interface ScriptedPageInit {
  readonly address?: string
  readonly uploadBps?: number
  readonly canConnect?: boolean
  readonly session?: string
}

/** A swarm. */
export class ScriptedSwarm {
  readonly clock = new ManualClock()
  readonly registry = createRegistry()
  readonly swarms: PageSwarms
  /** What is drawn, again and again; undefined: at random, the same in every run. */
  drawn: number | undefined
  #seed = 1
  readonly name = 'a film'

  constructor() {
    const metrics = new SwarmMetrics(this.registry, () => ({
      ...this.swarms.load(),
      ...{ connections: 0, swarms: this.swarms.size },
    }))
    this.swarms = new PageSwarms(
      {
        clock: this.clock,
        metrics,
        tokens: new SignedTokens('s'),
        random: () => this.drawn ?? this.#random(),
      },
      { areTicketsRequired: false },
    )
  }

  /** A multiplicative generator (Park and Miller). */
  #random(): number {
    this.#seed = (this.#seed * 48_271) % 2_147_483_647
    return this.#seed / 2_147_483_647
  }

  /** A page that is let in. Each has an address of its own by default. */
  enter(init: ScriptedPageInit = {}): ScriptedPage {
    return new ScriptedPage(this, init)
  }

  enterMany(count: number, init: ScriptedPageInit = {}): ScriptedPage[] {
    return Array.from({ length: count }, () => this.enter(init))
  }

  count(name: string, labels: Record<string, string> = {}): Promise<number> {
    return metric(this.registry, `kairo_swarm_${name}`, labels)
  }
}

let addresses = 0

/** A page. */
export class ScriptedPage implements PageLine {
  readonly heard: EdgeMessage[] = []
  isDisplaced = false
  readonly entry: Entry
  readonly #swarm: ScriptedSwarm

  constructor(swarm: ScriptedSwarm, init: ScriptedPageInit) {
    this.#swarm = swarm
    addresses += 1
    const { address = `192.0.2.${addresses}`, uploadBps = 10_000_000, canConnect = true } = init
    const { session } = init
    const hello = { kind: 'hello', swarm: swarm.name, uploadBps, canConnect } as const
    const entry = swarm.swarms.admit(
      { ...hello, ...(session !== undefined && { session }) },
      address,
      this,
    )
    if ('kind' in entry) throw new Error(`not let in: ${entry.detail}`)
    this.entry = entry
    entry.swarm.enter(entry.page)
  }

  get id(): string {
    return this.entry.page.id
  }

  tell(message: EdgeMessage): boolean {
    this.heard.push(message)
    return true
  }

  tellText(text: string): boolean {
    return this.tell(JSON.parse(text) as EdgeMessage)
  }

  putOut(off: Off): void {
    this.tell(off)
  }

  displaced(): void {
    this.isDisplaced = true
  }

  say(message: Exclude<PageMessage, { kind: 'hello' }>): void {
    this.entry.swarm.take(this.entry.page, message)
  }

  want(key: string, withinMs = 10_000): void {
    this.say({ kind: 'want', parts: [{ key, withinMs }] })
  }

  got(key: string, text = key): void {
    this.say({ kind: 'got', key, bytes: text.length, digest: digestOf(text) })
  }

  state(more: Partial<Extract<PageMessage, { kind: 'state' }>> = {}): void {
    this.say({ kind: 'state', held: [], uploadBps: 10_000_000, neighbours: [], ...more })
  }

  leave(mayReturn = false): void {
    this.#swarm.swarms.release(this.entry, this.#swarm.name, mayReturn)
  }

  /** Takes all messages of a kind that came. */
  take<Kind extends EdgeMessage['kind']>(kind: Kind): Extract<EdgeMessage, { kind: Kind }>[] {
    const taken = this.heard.filter((message) => message.kind === kind)
    this.heard.splice(0, this.heard.length, ...this.heard.filter((one) => one.kind !== kind))
    return taken as Extract<EdgeMessage, { kind: Kind }>[]
  }
}
