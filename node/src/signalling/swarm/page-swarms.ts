/**
 * All swarms of this edge: who is let in, as whom, and what is kept of pages whose connection broke. A page that shows its session is who it was: its id, and for
 * `resumeMsMax` its connections, its leases' history and what it holds. For `absenceMsMax` its neighbours are not told.
 */
import { randomBytes } from 'node:crypto'
import type { Hello, Off, PageId } from '@kairo/client/protocol'
import type { Clock } from '../../clock.ts'
import { swarmLimits as limits } from '../../limits/swarm.ts'
import { Page, type PageLine } from './page.ts'
import { PageSwarm } from './page-swarm.ts'
import type { SignedTokens } from './signed-tokens.ts'
import type { SwarmMetrics } from './swarm-metrics.ts'

/** What they work with. */
export interface PageSwarmsComponents {
  readonly clock: Clock
  readonly metrics: SwarmMetrics
  readonly tokens: SignedTokens
  readonly random: () => number
}

/** What they are told. */
export interface PageSwarmsInit {
  readonly areTicketsRequired: boolean
}

/** A page and where it is. */
export interface Entry {
  readonly page: Page
  readonly swarm: PageSwarm
  /** To be shown after a break. */
  readonly session: string
}

interface Absence {
  readonly page: Page
  readonly name: string
  readonly sinceMs: number
  isForsaken: boolean
}

/** The swarms. */
export class PageSwarms {
  readonly #components: PageSwarmsComponents
  readonly #init: PageSwarmsInit
  readonly #swarms = new Map<string, PageSwarm>()
  readonly #partsOfAll = { count: 0 }
  /** Pages whose connection broke, by id; the longest away first. */
  readonly #absent = new Map<PageId, Absence>()

  constructor(components: PageSwarmsComponents, init: PageSwarmsInit) {
    this.#components = components
    this.#init = init
  }

  /** Swarms there are. */
  get size(): number {
    return this.#swarms.size
  }

  /** Figures of all of them together. */
  load(): { pages: number; followers: number; leases: number; parts: number } {
    const sum = { pages: 0, followers: 0, leases: 0, parts: this.#partsOfAll.count }
    for (const swarm of this.#swarms.values()) {
      sum.pages += swarm.size
      sum.followers += swarm.followers
      sum.leases += swarm.leases
    }
    return sum
  }

  /** Lets a page in; {@link PageSwarm.enter} follows once it was welcomed. Or says why not. */
  admit(hello: Hello, address: string, line: PageLine): Entry | Off {
    const { clock, tokens, metrics } = this.#components
    const { swarm: name, ticket } = hello
    if (this.#init.areTicketsRequired && !tokens.admits(ticket, name, clock.now())) {
      return { kind: 'off', reason: 'ticket', detail: 'no valid ticket for this swarm' }
    }
    const id = this.#idOf(hello)
    const swarm = this.#swarms.get(name) ?? this.#create(name)
    const known = id === undefined ? undefined : swarm.find(id)
    if (known === undefined && swarm.present >= limits.pagesPerSwarmMax) {
      metrics.limited.inc({ limit: 'swarm-pages' })
      return { kind: 'off', reason: 'full', detail: 'this swarm has as many pages as it can' }
    }
    const { canConnect, uploadBps } = hello
    const page = known ?? this.#newPage({ id, address, canConnect, uploadBps })
    if (known !== undefined) {
      known.line?.displaced()
      // Its trees and leases are begun anew: it may not know what it was told last.
      swarm.suspend(known)
      this.#absent.delete(known.id)
      Object.assign(known, { canConnect, uploadBps })
    }
    page.line = line
    this.#swarms.set(name, swarm)
    metrics.entered.inc({ how: id === undefined ? 'new' : 'resumed' })
    return { page, swarm, session: tokens.session(page.id, name) }
  }

  /** The connection of a page is over: it left, or it `mayReturn`. */
  release({ page, swarm }: Entry, name: string, mayReturn: boolean): void {
    if (swarm.find(page.id) !== page) return
    if (!mayReturn || !page.canConnect) {
      swarm.leave(page)
      this.#tidy(name)
      return
    }
    swarm.suspend(page)
    const sinceMs = this.#components.clock.monotonicMs()
    const [longest] = this.#absent.values()
    if (longest !== undefined && this.#absent.size >= limits.absentMax) {
      this.#components.metrics.limited.inc({ limit: 'absent' })
      this.#forget(longest)
    }
    this.#absent.set(page.id, { page, name, sinceMs, isForsaken: false })
  }

  /** Looks for those whose time is over. */
  sweep(): void {
    const nowMs = this.#components.clock.monotonicMs()
    for (const absence of this.#absent.values()) {
      const { page, name, sinceMs } = absence
      const awayMs = nowMs - sinceMs
      if (awayMs < limits.absenceMsMax) break
      const swarm = this.#swarms.get(name)
      if (!absence.isForsaken) swarm?.forsake(page)
      absence.isForsaken = true
      if (awayMs >= limits.resumeMsMax) this.#forget(absence)
    }
  }

  /** Ends all swarms. */
  stop(): void {
    for (const swarm of this.#swarms.values()) swarm.stop()
    this.#swarms.clear()
    this.#absent.clear()
  }

  #forget({ page, name }: Absence): void {
    this.#absent.delete(page.id)
    this.#swarms.get(name)?.leave(page)
    this.#tidy(name)
  }

  /** The id that a page may have again. */
  #idOf({ session, swarm }: Hello): PageId | undefined {
    if (session === undefined) return undefined
    return this.#components.tokens.readSession(session, swarm)
  }

  #create(name: string): PageSwarm {
    const { clock, metrics, random } = this.#components
    const partsOfAll = this.#partsOfAll
    const onPutOut = ({ id }: Page): void => {
      this.#absent.delete(id)
      this.#tidy(name)
    }
    return new PageSwarm({ clock, metrics, random, partsOfAll, onPutOut })
  }

  #newPage(page: {
    id: PageId | undefined
    address: string
    canConnect: boolean
    uploadBps: number
  }): Page {
    const { clock } = this.#components
    const id = page.id ?? randomBytes(12).toString('base64url')
    return new Page({ ...page, id, enteredMs: clock.monotonicMs() })
  }

  /** A swarm is there as long as somebody is in it. */
  #tidy(name: string): void {
    const swarm = this.#swarms.get(name)
    if (swarm === undefined || swarm.size > 0) return
    swarm.stop()
    this.#swarms.delete(name)
  }
}
