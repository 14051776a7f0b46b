/**
 * One swarm: the viewers of one stream or video at this edge. It says who connects to whom, who fetches what, who has it, and what it is; it passes on what
 * pages need to connect; it lets go who lies or is reported.
 *
 * - A page that enters is told of up to `neighboursFirst` others and makes the offers; it is told of new ones when fewer than `neighboursMin` are left.
 * - A wanted part is answered, in this order: alone, where pages did not agree what it is; with its digest and up to four pages that have it whole,
 *   neighbours first and those named least lately first; as a check of what another page fetches; else by the leases (lease-book.ts).
 *   A page that was sent to others `sentToOthersMax` times for a part is granted it, or waits for who is.
 * - `describe` is answered with the digest as soon as it is known.
 * - `got` is what a part is (agreement.ts): those who waited are told its digest, and who has it if they are not connected to it; followers of the live rendition too.
 * - Nobody is sent to a page that it has reported.
 * - Who lied about a digest, or is reported by two of its neighbours in different address groups, is put out.
 * - Messages of connecting pass only between pages that were told to connect.
 * - Pages that cannot connect get digests of what they want, and nothing else.
 */
import {
  type EdgeMessage,
  type Got,
  type PageId,
  type PageMessage,
  type PageState,
  type PartKey,
  type Report,
  readPartKey,
} from '@kairo/client/protocol'
import type { CancelTimer, Clock } from '../../clock.ts'
import { pageSwarmLimits as limits } from '../../limits/swarm.ts'
import { takeToken } from '../../token-buckets.ts'
import { judge, type Verdict } from './agreement.ts'
import { Checks } from './checks.ts'
import { LeaseBook, type LeaseNotice } from './lease-book.ts'
import { LiveTrees } from './live-trees.ts'
import { type Page, wantRate } from './page.ts'
import { PageLinks } from './page-links.ts'
import { PageSet } from './page-set.ts'
import { PartBook, type PartRecord, type PartsOfAll } from './part-book.ts'
import type { SwarmMetrics } from './swarm-metrics.ts'

/** What a swarm works with. */
export interface PageSwarmComponents {
  readonly clock: Clock
  readonly metrics: SwarmMetrics
  readonly random: () => number
  /** Parts remembered in all swarms. */
  readonly partsOfAll: PartsOfAll
  /** A page was put out: nobody is to come back under its id. */
  readonly onPutOut: (page: Page) => void
}

/** One swarm. */
export class PageSwarm {
  readonly #components: PageSwarmComponents
  /** All, with those whose connection broke. */
  readonly #pages = new Map<PageId, Page>()
  /** Those that are there and can connect. */
  readonly #able = new PageSet()
  readonly #leases: LeaseBook
  readonly #links: PageLinks
  readonly #trees: LiveTrees
  readonly #parts: PartBook
  readonly #checks: Checks
  #present = 0
  #wakeMs = Number.POSITIVE_INFINITY
  #cancelWake: CancelTimer | undefined

  constructor(components: PageSwarmComponents) {
    const { clock, metrics, random, partsOfAll } = components
    this.#components = components
    const onLimit = (limit: string): void => metrics.limited.inc({ limit })
    const onEnd = (end: string): void => metrics.leases.inc({ end })
    this.#leases = new LeaseBook({ clock, onEnd, onLimit })
    const areJoined = (a: Page, b: Page): boolean => this.#trees.areJoined(a, b)
    const find = (id: PageId): Page | undefined => this.#pages.get(id)
    this.#links = new PageLinks({ clock, metrics, random, able: this.#able, find, areJoined })
    this.#trees = new LiveTrees({
      clock,
      connect: (page, others) => this.#links.connect(page, others),
      onPlan: () => metrics.plans.inc(),
      onLimit,
    })
    this.#parts = new PartBook(partsOfAll, () => onLimit('parts'))
    this.#checks = new Checks(random)
  }

  /** Pages, with those whose connection broke a moment ago. */
  get size(): number {
    return this.#pages.size
  }

  /** Pages that are connected. */
  get present(): number {
    return this.#present
  }

  /** Pages to be in trees. */
  get followers(): number {
    return this.#trees.followers
  }

  /** Leases that run. */
  get leases(): number {
    return this.#leases.size
  }

  /** The page of an id. */
  find(id: PageId): Page | undefined {
    return this.#pages.get(id)
  }

  /** A page is there: new, or again. It has been welcomed. */
  enter(page: Page): void {
    this.#pages.set(page.id, page)
    this.#present += 1
    if (!page.canConnect) return
    this.#able.add(page)
    this.#leases.enter(page.id, page.canServe)
    this.#links.enter(page)
  }

  /** The connection of a page broke: it may come back, so its neighbours are not told yet. */
  suspend(page: Page): void {
    if (page.line === undefined) return
    page.line = undefined
    this.#present -= 1
    this.#able.delete(page)
    this.#trees.leave(page)
    this.#tell(this.#leases.leave(page.id))
    this.#arm()
  }

  /** Neighbours are told that a page is gone. */
  forsake(page: Page): void {
    this.#links.forsake(page)
  }

  /** A page is gone for good. */
  leave(page: Page): void {
    if (!this.#pages.has(page.id)) return
    this.suspend(page)
    this.#pages.delete(page.id)
    this.forsake(page)
  }

  /** The last page is gone. */
  stop(): void {
    this.#cancelWake?.()
    this.#trees.stop()
    this.#parts.clear()
  }

  /** Takes what a page says, once it is in. */
  take(page: Page, message: Exclude<PageMessage, { kind: 'hello' }>): void {
    if (message.kind === 'want') {
      const parts = this.#affordable(page, message.parts)
      for (const { key, withinMs } of parts) this.#want(page, key, withinMs)
    } else if (message.kind === 'describe') {
      for (const key of this.#affordable(page, message.keys)) this.#describe(page, key)
    } else if (!page.canConnect) {
      // Everything else is about what goes between pages.
      return
    } else if (message.kind === 'state') this.#takeState(page, message)
    else if (message.kind === 'got') this.#got(page, message)
    else if (message.kind === 'failed') this.#tell(this.#leases.failed(page.id, message.key))
    else if (message.kind === 'signal') this.#links.signal(page, message)
    else if (message.kind === 'report') this.#report(page, message)
    else if (message.rendition === undefined) this.#trees.leave(page)
    else this.#trees.follow(page, message.rendition, message.partMs)
    this.#arm()
  }

  #takeState(page: Page, { held, uploadBps, neighbours }: PageState): void {
    const couldServe = page.canServe
    page.uploadBps = uploadBps
    if (page.canServe !== couldServe) {
      this.#leases.enter(page.id, page.canServe)
      this.#trees.changed(page)
    }
    this.#links.refresh(page, neighbours)
    const { fresh, isAll } = page.held.replace(held)
    if (!isAll) this.#limit('held')
    for (const key of fresh) this.#parts.addHolder(key, page.id)
  }

  /** The first parts that a page asks about, as many as it may. */
  #affordable<T>(page: Page, parts: readonly T[]): T[] {
    const nowMs = this.#components.clock.monotonicMs()
    return parts.filter(() => {
      if (takeToken(page.wants, wantRate, nowMs)) return true
      this.#limit('wants')
      return false
    })
  }

  #want(page: Page, key: PartKey, withinMs: number): void {
    const record = this.#parts.find(key)
    const { told, state } = record?.belief ?? {}
    if (!page.canConnect) {
      if (told !== undefined) this.#tellDigest(page, key, told)
      return
    }
    if (state !== undefined && state !== 'open') {
      this.#grant(page, key, limits.wholeWaitMs, 'alone')
      return
    }
    const isChecked = record?.check === 'owed' && this.#check(page, record, withinMs)
    if (isChecked) return
    if (record !== undefined && told !== undefined) {
      const holders = this.#holdersFor(page, record)
      if (holders.isReached && this.#maySend(page, key)) {
        this.#sendToHolders(page, record, holders.named, withinMs)
        return
      }
    }
    this.#tell(this.#leases.want(page.id, key, withinMs))
  }

  #describe(page: Page, key: PartKey): void {
    const record = this.#parts.take(key)
    const { told } = record.belief
    if (told !== undefined) this.#tellDigest(page, key, told)
    else if (record.curious.size < limits.curiousMax) record.curious.add(page.id)
    else this.#limit('curious')
  }

  /** Tells a page what a part is and who has it whole. */
  #sendToHolders(page: Page, record: PartRecord, peers: PageId[], withinMs: number): void {
    const { key } = record
    const { told } = record.belief
    if (told !== undefined) this.#tellDigest(page, key, told)
    const forMs = Math.max(1, Math.min(withinMs, limits.wholeWaitMs))
    this.#say(page, { kind: 'from', key, peers, isWhole: true, forMs })
    this.#answered('whole')
  }

  /** Has a page fetch what another one fetches, if it is one to ask. */
  #check(page: Page, record: PartRecord, withinMs: number): boolean {
    const { key, asked } = record
    if (withinMs < limits.checkWithinMsMin || asked.includes(page.id)) return false
    const first = this.#pages.get(asked[0] ?? '')
    if (this.#able.groups > 1 && first?.address === page.address) return false
    record.check = 'done'
    this.#checks.spend()
    this.#grant(page, key, limits.wholeWaitMs, 'check')
    return true
  }

  /** Whether a page is sent to others for a part, once more. */
  #maySend(page: Page, key: PartKey): boolean {
    const times = page.sent.get(key) ?? 0
    if (times >= limits.sentToOthersMax) return false
    const [oldest] = page.sent.keys()
    if (times === 0 && page.sent.size >= limits.sentPartsMax) page.sent.delete(oldest as PartKey)
    page.sent.set(key, times + 1)
    return true
  }

  /** Who has a part whole: neighbours, then others; where there are only others, the page is told to connect to one that has room. */
  #holdersFor(page: Page, { key, holders }: PartRecord): { named: PageId[]; isReached: boolean } {
    const nowMs = this.#components.clock.monotonicMs()
    const place = readPartKey(key)
    const has = (id: PageId): Page[] => {
      const other = this.#pages.get(id)
      if (!other?.canServe || other === page || page.reported.has(id)) return []
      return other.held.has(key, place) ? [other] : []
    }
    const byLoad = (pages: Page[]): Page[] =>
      pages.sort((a, b) => a.named.at(nowMs) - b.named.at(nowMs))
    const near = byLoad([...page.links.keys()].flatMap(has))
    const far = byLoad(holders.filter((id) => !page.links.has(id)).flatMap(has))
    const reached = near[0] ?? far.find((one) => this.#links.isRoomBetween(page, one))
    if (reached !== undefined) {
      if (near.length === 0) this.#links.connect(page, [reached.id])
      reached.named.add(1, nowMs)
    }
    const named = [...new Set([...(reached ? [reached] : []), ...near, ...far])]
    const isReached = reached !== undefined
    return { named: named.slice(0, limits.holdersNamedMax).map(({ id }) => id), isReached }
  }

  #got(page: Page, { key, bytes, digest }: Got): void {
    const record = this.#parts.take(key)
    const isAsked = record.asked.includes(page.id) || this.#trees.isRoot(page, key)
    const claim = { page: page.id, address: page.address, bytes, digest }
    const isOneGroup = this.#able.groups < 2
    const verdict = judge(record.belief, claim, { isAsked, isOneGroup })
    record.belief = verdict
    page.held.add(key)
    this.#parts.addHolder(key, page.id)
    const { told, state, agreed, liars, isNews } = verdict
    for (const id of agreed) {
      const other = this.#pages.get(id)
      if (other !== undefined) other.agreed += 1
    }
    page.agreed += agreed.length
    this.#components.metrics.claims.inc({ verdict: wordFor(verdict) })
    for (const id of liars) this.#putOut(this.#pages.get(id), 'its parts are not what others get')
    const isHolder = this.#leases.holderOf(key) === page.id
    this.#leases.has(page.id, key)
    if (isHolder || told !== undefined || state !== 'open') this.#settle(key)
    if (isNews && told !== undefined) this.#trees.digest({ key, bytes, digest })
    if (told === undefined) return
    for (const id of record.curious) {
      const curious = this.#pages.get(id)
      if (curious !== undefined) this.#tellDigest(curious, key, told)
    }
    record.curious.clear()
  }

  /**
   * Tells those who wait for a part what has become of it. Who is not connected to its holder gets no lease of its own at once: it is on its way through
   * the swarm.
   */
  #settle(key: PartKey): void {
    const record = this.#parts.take(key)
    const { told } = record.belief
    for (const [id, leftMs] of this.#leases.settle(key)) {
      const page = this.#pages.get(id)
      if (page === undefined) continue
      if (told === undefined) this.#want(page, key, leftMs)
      else if (page.links.has(told.page)) this.#tellDigest(page, key, told)
      else this.#sendToHolders(page, record, this.#holdersFor(page, record).named, leftMs)
    }
  }

  #tell(notices: readonly LeaseNotice[]): void {
    for (const notice of notices) {
      const page = this.#pages.get(notice.to)
      if (page === undefined) continue
      const { key, forMs } = notice
      if (notice.kind === 'grant') {
        this.#grant(page, key, forMs, notice.isAlone ? 'alone' : 'lease')
        continue
      }
      if (page.reported.has(notice.holder)) {
        this.#grant(page, key, forMs, 'alone')
        continue
      }
      const holder = this.#pages.get(notice.holder)
      if (holder !== undefined && this.#links.isRoomBetween(page, holder)) {
        this.#links.connect(page, [holder.id])
      }
      this.#say(page, { kind: 'from', key, peers: [notice.holder], isWhole: false, forMs })
      this.#answered('coming')
    }
  }

  #grant(page: Page, key: PartKey, forMs: number, how: 'lease' | 'alone' | 'check'): void {
    const isNew = this.#parts.find(key)?.asked.includes(page.id) !== true
    this.#parts.addAsked(key, page.id)
    if (how === 'lease' && isNew) {
      const record = this.#parts.take(key)
      const isOwed = this.#checks.granted(page, this.#able.size)
      if (isOwed && record.check === 'none') record.check = 'owed'
    }
    this.#say(page, { kind: 'grant', key, forMs })
    this.#answered(how)
  }

  #report(page: Page, { peer }: Report): void {
    const other = this.#pages.get(peer)
    if (other === undefined || !page.links.has(peer) || page.reported.has(peer)) return
    if (page.reported.size >= limits.reportsPerPageMax) {
      this.#limit('reports')
      return
    }
    page.reported.add(peer)
    // Without an address nobody is told apart.
    if (page.address !== '') other.reportedBy.add(page.address)
    if (other.reportedBy.size >= 2) this.#putOut(other, 'others report what it sends')
  }

  #putOut(page: Page | undefined, detail: string): void {
    if (page === undefined) return
    const { line } = page
    this.#parts.disbelieve(page.id)
    this.leave(page)
    this.#components.onPutOut(page)
    line?.putOut({ kind: 'off', reason: 'misbehaved', detail })
  }

  #tellDigest(page: Page, key: PartKey, told: { bytes: number; digest: string }): void {
    const { bytes, digest } = told
    this.#say(page, { kind: 'digests', parts: [{ key, bytes, digest }] })
  }

  #say(page: Page, message: EdgeMessage): void {
    page.line?.tell(message)
  }

  #answered(how: string): void {
    this.#components.metrics.answered.inc({ how })
  }

  #limit(limit: string): void {
    this.#components.metrics.limited.inc({ limit })
  }

  /** Sets the timer of what leases wait for. */
  #arm(): void {
    const { clock } = this.#components
    const wakeMs = this.#leases.wakeAtMs
    if (wakeMs === undefined || wakeMs >= this.#wakeMs) return
    this.#cancelWake?.()
    this.#wakeMs = wakeMs
    this.#cancelWake = clock.after(Math.max(0, wakeMs - clock.monotonicMs()), () => {
      this.#wakeMs = Number.POSITIVE_INFINITY
      this.#tell(this.#leases.tick())
      this.#arm()
    })
  }
}

/** What came of a claim, for the metric. */
function wordFor({ state, liars, agreed, isNews }: Verdict): string {
  if (state !== 'open') return state
  if (liars.length > 0) return 'decided'
  if (agreed.length > 0) return 'agreed'
  return isNews ? 'told' : 'unasked'
}
