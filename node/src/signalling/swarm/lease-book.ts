/**
 * Who fetches which part of one swarm by HTTP, for all. Pure but for the clock, and it knows pages by id only.
 *
 * - A part that nobody fetches is granted to who wants it; whoever wants it while the lease runs waits for its holder, and is told so.
 * - There is one holder a part at a time. A lease runs until the earliest deadline of those who wait less `marginMs`, at least `leaseMsMin` and
 *   at most `leaseMsMax`. Whose deadline is nearer than the shortest lease and the margin shortens nothing: another one's fetch would not
 *   be in time for it either, and it fetches for itself when its time comes.
 * - When a lease runs out, is given back, or its holder leaves, the one with the fewest leases lately of those who wait has it next, and the others
 *   wait for that one. Whose deadline has passed waits no more.
 * - Who has had more than its share lately, and plays alike with others, is not answered for `gatherMs`; then, of all who wanted the part
 *   meanwhile, the one with the fewest leases lately gets it. So pages that play alike take turns.
 * - Who sends nothing to others holds no lease: it is let fetch for itself, after `gatherMs` in which somebody else may want the part.
 */
import type { PageId, PartKey } from '@kairo/client/protocol'
import type { Clock } from '../../clock.ts'
import { leaseLimits as limits } from '../../limits/swarm.ts'
import { DecayingCount } from './decaying-count.ts'
import { TimeWheel } from './time-wheel.ts'

/** What is to be told. */
export type LeaseNotice =
  /** The page fetches the part; where it holds no lease (`isAlone`), only for itself. */
  | {
      readonly kind: 'grant'
      readonly to: PageId
      readonly key: PartKey
      readonly forMs: number
      readonly isAlone: boolean
    }
  | {
      readonly kind: 'from'
      readonly to: PageId
      readonly key: PartKey
      readonly holder: PageId
      readonly forMs: number
    }

/** How a lease came to its end. */
export type LeaseEnd = 'got' | 'failed' | 'expired' | 'left'

/** Something that was left out. */
export type LeaseLimit = 'leases' | 'waits'

/** What the book works with. */
export interface LeaseBookComponents {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly onEnd: (end: LeaseEnd) => void
  readonly onLimit: (limit: LeaseLimit) => void
}

interface Lease {
  readonly key: PartKey
  /** Undefined while it is waited who else wants the part. */
  holder: PageId | undefined
  endsMs: number
  /** Deadlines of those who wait, in the order of asking. */
  readonly waiting: Map<PageId, number>
  /** Who held it before, the latest last. */
  readonly formers: PageId[]
}

interface Member {
  canServe: boolean
  readonly granted: DecayingCount
  readonly holds: Set<PartKey>
  readonly waits: Set<PartKey>
  /** When it last wanted what another page wanted. */
  companyMs: number
}

/** The leases of one swarm. */
export class LeaseBook {
  readonly #components: LeaseBookComponents
  readonly #members = new Map<PageId, Member>()
  readonly #leases = new Map<PartKey, Lease>()
  readonly #wheel = new TimeWheel<PartKey>(limits.stepMs)
  readonly #gatherings = new Map<PartKey, number>()
  readonly #granted = new DecayingCount(limits.grantedHalfMs)
  #serving = 0

  constructor(components: LeaseBookComponents) {
    this.#components = components
  }

  /** Leases that run, and parts of which it is waited who wants them. */
  get size(): number {
    return this.#leases.size
  }

  /** When {@link tick} has something to do; monotonic. */
  get wakeAtMs(): number | undefined {
    let earliestMs = this.#wheel.nextMs()
    // The first gathering is the one that ends first: all last equally long.
    for (const endsMs of this.#gatherings.values()) {
      earliestMs = Math.min(earliestMs ?? endsMs, endsMs)
      break
    }
    return earliestMs
  }

  /** A page is there, or whether it sends to others has changed. */
  enter(id: PageId, canServe: boolean): void {
    const known = this.#members.get(id)
    this.#serving += Number(canServe) - Number(known?.canServe ?? false)
    if (known !== undefined) {
      known.canServe = canServe
      return
    }
    this.#members.set(id, {
      ...{ canServe, granted: new DecayingCount(limits.grantedHalfMs) },
      ...{ holds: new Set(), waits: new Set(), companyMs: Number.NEGATIVE_INFINITY },
    })
  }

  /** A page is gone; the next ones have its leases. */
  leave(id: PageId): LeaseNotice[] {
    const member = this.#members.get(id)
    if (member === undefined) return []
    this.#members.delete(id)
    this.#serving -= Number(member.canServe)
    for (const key of member.waits) this.#stopWaiting(id, key)
    return [...member.holds].flatMap((key) => this.#end(key, 'left'))
  }

  /** Who has the lease of a part. */
  holderOf(key: PartKey): PageId | undefined {
    return this.#leases.get(key)?.holder
  }

  /** A page wants a part within a time. Nothing is answered where the page has to wait for the answer, or waits for too much. */
  want(id: PageId, key: PartKey, withinMs: number): LeaseNotice[] {
    const member = this.#members.get(id)
    if (member === undefined) return []
    const nowMs = this.#components.clock.monotonicMs()
    const lease = this.#leases.get(key)
    if (lease !== undefined) return this.#wait(lease, id, member, nowMs + withinMs)
    if (this.#leases.size >= limits.leasesMax) {
      this.#components.onLimit('leases')
      return [alone(id, key)]
    }
    const mayGather = withinMs >= limits.gatherWithinMsMin && this.#mustLetOthersGoFirst(member)
    if (!mayGather && !member.canServe) return [alone(id, key)]
    const waiting = new Map([[id, nowMs + withinMs]])
    if (mayGather && !this.#mayWait(member)) return []
    const fresh: Lease = { key, holder: undefined, endsMs: nowMs, waiting, formers: [] }
    this.#leases.set(key, fresh)
    member.waits.add(key)
    if (!mayGather) return this.#grant(fresh, id)
    fresh.endsMs = nowMs + limits.gatherMs
    this.#gatherings.set(key, fresh.endsMs)
    return []
  }

  /** What a part is has become known: nobody fetches it any more. Returns who waits, and how long each still may. */
  settle(key: PartKey): (readonly [PageId, number])[] {
    const lease = this.#leases.get(key)
    if (lease === undefined) return []
    const nowMs = this.#components.clock.monotonicMs()
    if (lease.holder !== undefined) this.#components.onEnd('got')
    const waiting = [...lease.waiting].map(([id, ms]) => [id, Math.max(0, ms - nowMs)] as const)
    this.#delete(lease)
    return waiting
  }

  /** A page does not want a part any more, or its fetch failed. */
  failed(id: PageId, key: PartKey): LeaseNotice[] {
    if (this.#leases.get(key)?.holder === id) return this.#end(key, 'failed')
    this.#stopWaiting(id, key)
    return []
  }

  /** A page waits no more: it has the part. */
  has(id: PageId, key: PartKey): void {
    this.#stopWaiting(id, key)
  }

  /** Does what is due. */
  tick(): LeaseNotice[] {
    const nowMs = this.#components.clock.monotonicMs()
    const notices: LeaseNotice[] = []
    for (const [key, endsMs] of this.#gatherings) {
      if (endsMs > nowMs) break
      this.#gatherings.delete(key)
      const lease = this.#leases.get(key)
      if (lease !== undefined) notices.push(...this.#next(lease))
    }
    for (const key of this.#wheel.take(nowMs)) notices.push(...this.#end(key, 'expired'))
    return notices
  }

  #wait(lease: Lease, id: PageId, member: Member, deadlineMs: number): LeaseNotice[] {
    const nowMs = this.#components.clock.monotonicMs()
    const { key, holder } = lease
    if (holder === id) return [this.#grantNotice(lease, id)]
    if (!member.waits.has(key) && !this.#mayWait(member)) return []
    lease.waiting.set(id, deadlineMs)
    member.waits.add(key)
    member.companyMs = nowMs
    const [first] = lease.waiting.keys()
    const other = this.#members.get(holder ?? (first as PageId))
    if (other !== undefined) other.companyMs = nowMs
    if (holder === undefined) return []
    this.#setEnd(lease, Math.min(lease.endsMs, leaseEndMs(deadlineMs, nowMs)))
    return [{ kind: 'from', to: id, key, holder, forMs: this.#leftMs(lease) }]
  }

  #mayWait(member: Member): boolean {
    if (member.waits.size < limits.waitsPerPageMax) return true
    this.#components.onLimit('waits')
    return false
  }

  #mustLetOthersGoFirst({ canServe, granted, companyMs }: Member): boolean {
    const nowMs = this.#components.clock.monotonicMs()
    const others = this.#serving - Number(canServe)
    if (others === 0 || nowMs - companyMs > limits.companyMs) return false
    const share = this.#granted.at(nowMs) / this.#serving
    return !canServe || granted.at(nowMs) > share + limits.shareSlack
  }

  /** Ends a holder's lease; the next one has it. */
  #end(key: PartKey, end: LeaseEnd): LeaseNotice[] {
    const lease = this.#leases.get(key)
    if (lease?.holder === undefined) return []
    this.#components.onEnd(end)
    this.#members.get(lease.holder)?.holds.delete(key)
    if (end === 'expired') {
      lease.formers.push(lease.holder)
      if (lease.formers.length > limits.formersMax) lease.formers.shift()
    }
    this.#wheel.delete(key)
    lease.holder = undefined
    return this.#next(lease)
  }

  /** Chooses a holder of those who wait. */
  #next(lease: Lease): LeaseNotice[] {
    const { key, waiting } = lease
    const nowMs = this.#components.clock.monotonicMs()
    const [best, fewest] = [{ id: '' }, { count: Number.POSITIVE_INFINITY }]
    for (const [id, deadlineMs] of waiting) {
      const member = this.#members.get(id)
      if (member === undefined || deadlineMs < nowMs) {
        this.#stopWaiting(id, key)
        continue
      }
      // Who had it and did not bring it comes after all others.
      const count = member.granted.at(nowMs) + (lease.formers.includes(id) ? 1e9 : 0)
      if (!member.canServe || count >= fewest.count) continue
      best.id = id
      fewest.count = count
    }
    if (best.id !== '') return this.#grant(lease, best.id)
    // Nobody of them sends to others.
    const left = [...waiting.keys()]
    this.#delete(lease)
    return left.map((id) => alone(id, key))
  }

  #grant(lease: Lease, id: PageId): LeaseNotice[] {
    const { key, waiting } = lease
    const nowMs = this.#components.clock.monotonicMs()
    const member = this.#members.get(id) as Member
    // First, so that a lease for which nobody else waits is none that nobody wants.
    lease.holder = id
    this.#stopWaiting(id, key)
    member.holds.add(key)
    member.granted.add(1, nowMs)
    this.#granted.add(1, nowMs)
    let endsMs = nowMs + limits.leaseMsMax
    for (const deadlineMs of waiting.values()) {
      endsMs = Math.min(endsMs, leaseEndMs(deadlineMs, nowMs))
    }
    this.#setEnd(lease, endsMs)
    const forMs = this.#leftMs(lease)
    const others = [...waiting.keys()].map(
      (to) => ({ kind: 'from', to, key, holder: id, forMs }) as const,
    )
    return [this.#grantNotice(lease, id), ...others]
  }

  #grantNotice(lease: Lease, to: PageId): LeaseNotice {
    return { kind: 'grant', to, key: lease.key, forMs: this.#leftMs(lease), isAlone: false }
  }

  #leftMs({ endsMs }: Lease): number {
    return Math.max(1, Math.round(endsMs - this.#components.clock.monotonicMs()))
  }

  #setEnd(lease: Lease, endsMs: number): void {
    lease.endsMs = endsMs
    this.#wheel.set(lease.key, endsMs)
  }

  #stopWaiting(id: PageId, key: PartKey): void {
    this.#members.get(id)?.waits.delete(key)
    const lease = this.#leases.get(key)
    if (lease === undefined || !lease.waiting.delete(id)) return
    if (lease.holder === undefined && lease.waiting.size === 0) this.#delete(lease)
  }

  #delete(lease: Lease): void {
    const { key, holder, waiting } = lease
    for (const id of waiting.keys()) this.#members.get(id)?.waits.delete(key)
    if (holder !== undefined) this.#members.get(holder)?.holds.delete(key)
    this.#wheel.delete(key)
    this.#gatherings.delete(key)
    this.#leases.delete(key)
  }
}

/** Until when somebody with this deadline lets another one try. */
function leaseEndMs(deadlineMs: number, nowMs: number): number {
  const leftMs = deadlineMs - limits.marginMs - nowMs
  return leftMs < limits.leaseMsMin ? Number.POSITIVE_INFINITY : nowMs + leftMs
}

function alone(to: PageId, key: PartKey): LeaseNotice {
  return { kind: 'grant', to, key, forMs: limits.leaseMsMax, isAlone: true }
}
