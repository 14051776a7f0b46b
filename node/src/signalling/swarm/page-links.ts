/**
 * Who is to be connected to whom in one swarm: neighbours of pages that enter or have too few left, connections that a part or a tree needs, and the
 * messages by which pages connect, which pass only between pages that were told to.
 */
import type { EdgeMessage, PageId, SignalTo } from '@kairo/client/protocol'
import type { Clock } from '../../clock.ts'
import { pageSwarmLimits as limits, swarmLimits } from '../../limits/swarm.ts'
import { takeToken } from '../../token-buckets.ts'
import { chooseNeighbours } from './neighbour-plan.ts'
import { join, type Page, part, signalRate } from './page.ts'
import type { PageSet } from './page-set.ts'
import type { SwarmMetrics } from './swarm-metrics.ts'

/** What they work with. */
export interface PageLinksComponents {
  readonly clock: Clock
  readonly metrics: SwarmMetrics
  readonly random: () => number
  /** Pages that are there and can connect. */
  readonly able: PageSet
  readonly find: (id: PageId) => Page | undefined
  /** Whether a tree needs two pages to be connected. */
  readonly areJoined: (a: Page, b: Page) => boolean
}

/** The connections of one swarm. */
export class PageLinks {
  readonly #components: PageLinksComponents

  constructor(components: PageLinksComponents) {
    this.#components = components
  }

  /** A page is there: it is told of others, and makes the offers. */
  enter(page: Page): void {
    const wanted = limits.neighboursFirst - page.links.size
    if (wanted > 0) this.#findNeighbours(page, wanted)
  }

  /** What a page, or nobody for long, tells of its connections. */
  refresh(page: Page, told: readonly { readonly id: PageId; readonly rttMs: number }[]): void {
    const nowMs = this.#components.clock.monotonicMs()
    for (const { id, rttMs } of told) {
      const link = page.links.get(id)
      if (link === undefined) continue
      link.seenMs = nowMs
      link.rttMs = rttMs
    }
    for (const [id, { seenMs }] of [...page.links]) {
      if (nowMs - seenMs < limits.linkMsMax) continue
      const other = this.#components.find(id)
      if (other === undefined) continue
      part(page, other)
      // What a tree needs is tried again.
      if (this.#components.areJoined(page, other)) this.connect(page, [id])
    }
    this.#seeToNeighbours(page)
  }

  /** Tells a page's neighbours that it is gone. */
  forsake(page: Page): void {
    for (const id of [...page.links.keys()]) {
      const other = this.#components.find(id)
      if (other === undefined) continue
      part(page, other)
      other.line?.tell({ kind: 'gone', id: page.id })
      this.#seeToNeighbours(other)
    }
  }

  /** Tells a page to connect to others, where it is not connected. */
  connect(page: Page, others: readonly PageId[]): void {
    const { clock, find } = this.#components
    const nowMs = clock.monotonicMs()
    const connect = others.filter((id) => {
      const other = find(id)
      return other !== undefined && join(page, other, nowMs)
    })
    if (connect.length === 0) return
    this.#say(page, { kind: 'peers', connect })
    this.#trim(page)
    for (const id of connect) this.#trim(find(id))
  }

  /** Whether two pages that are not connected can be. */
  isRoomBetween(page: Page, other: Page): boolean {
    return !page.links.has(other.id) && this.#hasRoom(page) && this.#hasRoom(other)
  }

  /** Passes on a message of a page that connects. */
  signal(page: Page, { to, step }: SignalTo): void {
    const { clock, metrics, find } = this.#components
    const link = page.links.get(to)
    const other = find(to)
    let result = 'unknown'
    if (link === undefined || other === undefined) {
      if (other === undefined) this.#say(page, { kind: 'gone', id: to })
    } else if (!takeToken(link.signals, signalRate, clock.monotonicMs())) result = 'limited'
    else {
      const isSent = other.line?.tell({ kind: 'signal', from: page.id, step }) === true
      result = isSent ? 'relayed' : 'undelivered'
    }
    metrics.signals.inc({ result })
  }

  #seeToNeighbours(page: Page): void {
    const { clock, able } = this.#components
    const { size } = page.links
    if (page.line === undefined || size >= limits.neighboursMin || size + 1 >= able.size) return
    const sinceMs = clock.monotonicMs() - page.neighboursMs
    if (sinceMs < swarmLimits.stateEveryMs && size > 0) return
    this.#findNeighbours(page, limits.neighboursFirst - size)
  }

  #findNeighbours(page: Page, count: number): void {
    const { clock, random, able, find } = this.#components
    page.neighboursMs = clock.monotonicMs()
    const others = chooseNeighbours(page, count, { pages: able, find, random })
    this.connect(
      page,
      others.map(({ id }) => id),
    )
  }

  /** Whether a page can have one connection more, if need be in the place of an old one. */
  #hasRoom({ links }: Page): boolean {
    if (links.size < limits.linksMax) return true
    const keptMs = this.#components.clock.monotonicMs() - limits.linkKeptMs
    for (const { sinceMs } of links.values()) if (sinceMs <= keptMs) return true
    return false
  }

  /** Ends the oldest connections that no tree needs of a page that has too many. */
  #trim(page: Page | undefined): void {
    if (page === undefined || page.links.size <= limits.linksMax) return
    const { metrics, find, areJoined } = this.#components
    for (const id of [...page.links.keys()]) {
      if (page.links.size <= limits.linksMax) return
      const other = find(id)
      if (other === undefined || areJoined(page, other)) continue
      part(page, other)
      this.#say(page, { kind: 'gone', id })
      other.line?.tell({ kind: 'gone', id: page.id })
      metrics.limited.inc({ limit: 'links' })
    }
  }

  #say(page: Page, message: EdgeMessage): void {
    page.line?.tell(message)
  }
}
