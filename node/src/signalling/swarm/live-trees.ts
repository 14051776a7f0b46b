/**
 * The followers of the live renditions of one swarm, the trees that are planned for them, and when: soon for the first few, at once when one of few leaves,
 * else once a second. Each page is told when its own places change, after it was told whom to connect to; the child makes the offer.
 */
import {
  type Digests,
  type PageId,
  type PartKey,
  protocolLimits,
  readPartKey,
  type StripePlace,
  stripeOf,
} from '@kairo/client/protocol'
import type { CancelTimer, Clock } from '../../clock.ts'
import { treeLimits as limits } from '../../limits/swarm.ts'
import type { Page } from './page.ts'
import { noTrees, planTrees, type TreePlan } from './tree-plan.ts'

/** What the trees work with. */
export interface LiveTreesComponents {
  readonly clock: Clock
  /** Tells a page to connect to others, where it is not. */
  readonly connect: (page: Page, others: readonly PageId[]) => void
  readonly onPlan: (followers: number) => void
  readonly onLimit: (limit: 'renditions') => void
}

type DigestPart = Digests['parts'][number]

interface Rendition {
  readonly name: string
  partMs: number | undefined
  /** What it takes, as far as parts told; 0: unknown. */
  bps: number
  readonly followers: Map<PageId, Page>
  plan: TreePlan
  /** Roots of the plan before, whose parts may still be coming. */
  rootsBefore: readonly PageId[]
  plannedMs: number
  planDueMs: number
  cancelPlan: CancelTimer | undefined
  digests: DigestPart[]
  cancelDigests: CancelTimer | undefined
}

/** The trees of one swarm. */
export class LiveTrees {
  readonly #components: LiveTreesComponents
  readonly #renditions = new Map<string, Rendition>()

  constructor(components: LiveTreesComponents) {
    this.#components = components
  }

  /** Followers of all renditions; each page follows one. */
  get followers(): number {
    let count = 0
    for (const { followers } of this.#renditions.values()) count += followers.size
    return count
  }

  /** A page follows a rendition, and leaves the one that it followed. */
  follow(page: Page, name: string, partMs: number | undefined): void {
    const { onLimit } = this.#components
    if (page.follows !== undefined && page.follows !== name) this.leave(page)
    const known = this.#renditions.get(name)
    if (known === undefined && this.#renditions.size >= limits.renditionsMax) {
      onLimit('renditions')
      return
    }
    const rendition = known ?? fresh(name)
    this.#renditions.set(name, rendition)
    rendition.partMs = partMs ?? rendition.partMs
    page.follows = name
    if (rendition.followers.has(page.id)) {
      this.#tell(page, rendition)
      return
    }
    rendition.followers.set(page.id, page)
    const isFew = rendition.followers.size <= limits.promptJoinMax
    this.#planIn(rendition, isFew ? limits.planMsMin : limits.planMsMax)
  }

  /** A page follows nothing any more. */
  leave(page: Page): void {
    const rendition = this.#renditions.get(page.follows ?? '')
    page.follows = undefined
    if (rendition === undefined || !rendition.followers.delete(page.id)) return
    if (rendition.followers.size === 0) {
      rendition.cancelPlan?.()
      rendition.cancelDigests?.()
      this.#renditions.delete(rendition.name)
      return
    }
    const isFew = rendition.followers.size <= limits.promptLeaveMax
    this.#planIn(rendition, isFew ? 0 : limits.planMsMax)
  }

  /** A page begins, or ceases, to send to others. */
  changed(page: Page): void {
    const rendition = this.#renditions.get(page.follows ?? '')
    if (rendition !== undefined) this.#planIn(rendition, limits.planMsMin)
  }

  /** Whether a page fetches a part for all: it is, or was before the last plan, the root of its stripe. */
  isRoot(page: Page, key: PartKey): boolean {
    const place = readPartKey(key)
    const rendition = this.#renditions.get(place?.rendition ?? '')
    if (place === undefined || rendition === undefined || page.follows !== rendition.name) {
      return false
    }
    const { stripes, places } = rendition.plan
    const own = stripes === 0 ? undefined : places.get(page.id)?.[stripeOf(place, stripes)]
    const isNow = own !== undefined && own.parent === undefined
    return isNow || rendition.rootsBefore.includes(page.id)
  }

  /** Whether two pages are parent and child in a tree. */
  areJoined(a: Page, b: Page): boolean {
    const places = this.#renditions.get(a.follows ?? '')?.plan.places
    if (places === undefined) return false
    const isParent = (child: Page, parent: Page): boolean =>
      places.get(child.id)?.some((place) => place.parent === parent.id) === true
    return isParent(a, b) || isParent(b, a)
  }

  /** What a part is, for all followers of its rendition; says how it takes so many bits. */
  digest(part: DigestPart): void {
    const rendition = this.#renditions.get(readPartKey(part.key)?.rendition ?? '')
    if (rendition === undefined) return
    const { partMs, bps, followers } = rendition
    if (partMs !== undefined) {
      const now = (part.bytes * 8_000) / partMs
      rendition.bps = bps === 0 ? now : bps + limits.bpsWeight * (now - bps)
    }
    if (followers.size < 2) return
    rendition.digests.push(part)
    const delayMs = Math.min(limits.digestMsMax, followers.size * limits.digestMsPerFollower)
    const isMuch = rendition.digests.length >= protocolLimits.partsPerMessageMax
    if (delayMs < 1 || isMuch) this.#tellDigests(rendition)
    else {
      rendition.cancelDigests ??= this.#components.clock.after(delayMs, () =>
        this.#tellDigests(rendition),
      )
    }
  }

  /** Nothing is planned any more. */
  stop(): void {
    for (const { cancelPlan, cancelDigests } of this.#renditions.values()) {
      cancelPlan?.()
      cancelDigests?.()
    }
    this.#renditions.clear()
  }

  #tellDigests(rendition: Rendition): void {
    rendition.cancelDigests?.()
    rendition.cancelDigests = undefined
    const { digests, followers } = rendition
    rendition.digests = []
    const text = JSON.stringify({ kind: 'digests', parts: digests } satisfies Digests)
    for (const { line } of followers.values()) line?.tellText(text)
  }

  /** Plans in a while, or sooner if that is due already; never sooner after the last plan than plans may follow each other. */
  #planIn(rendition: Rendition, delayMs: number): void {
    const { clock } = this.#components
    const { followers, plannedMs, cancelPlan, planDueMs } = rendition
    const nowMs = clock.monotonicMs()
    const gapMs = followers.size <= limits.promptLeaveMax ? limits.planMsMin : limits.planMsMax
    const dueMs = Math.max(nowMs + delayMs, plannedMs + gapMs)
    if (cancelPlan !== undefined && planDueMs <= dueMs) return
    cancelPlan?.()
    rendition.planDueMs = dueMs
    rendition.cancelPlan = clock.after(Math.max(0, dueMs - nowMs), () => this.#plan(rendition))
  }

  #plan(rendition: Rendition): void {
    const { clock, onPlan } = this.#components
    const nowMs = clock.monotonicMs()
    rendition.cancelPlan = undefined
    rendition.plannedMs = nowMs
    const { followers, plan: before, bps } = rendition
    const seated = new Set(before.seats.flat())
    // A new seat needs an uplink that carries the rendition once; who has a seat keeps it.
    const isStrong = (page: Page): boolean =>
      page.canServe && (seated.has(page.id) || page.uploadBps >= bps)
    const pages = [...followers.values()]
    const isAnyStrong = pages.some(isStrong)
    rendition.plan = planTrees(
      pages.map((page) => ({
        id: page.id,
        canServe: isAnyStrong ? isStrong(page) : page.canServe,
        score: scoreOf(page, nowMs),
      })),
      before,
    )
    rendition.rootsBefore = (before.seats[0] ?? []).filter((id) => followers.has(id))
    onPlan(followers.size)
    this.#tellChanges(rendition, before)
  }

  #tellChanges(rendition: Rendition, before: TreePlan): void {
    const { followers, plan } = rendition
    const changed: Page[] = []
    for (const page of followers.values()) {
      if (!isSame(plan.places.get(page.id), before.places.get(page.id))) changed.push(page)
    }
    for (const page of changed) {
      const parents = new Set((plan.places.get(page.id) ?? []).map(({ parent }) => parent))
      parents.delete(undefined)
      if (parents.size > 0) this.#components.connect(page, [...parents] as PageId[])
    }
    for (const page of changed) this.#tell(page, rendition)
  }

  #tell(page: Page, { name, plan }: Rendition): void {
    const stripes = plan.places.get(page.id) ?? []
    page.line?.tell({ kind: 'tree', rendition: name, stripes })
  }
}

function fresh(name: string): Rendition {
  return {
    ...{ name, partMs: undefined, bps: 0, followers: new Map(), plan: noTrees, rootsBefore: [] },
    ...{ plannedMs: Number.NEGATIVE_INFINITY, planDueMs: 0, cancelPlan: undefined },
    ...{ digests: [], cancelDigests: undefined },
  }
}

function scoreOf({ uploadBps, enteredMs }: Page, nowMs: number): number {
  const uplink = Math.min(uploadBps, limits.uploadBpsEnough) / limits.uploadBpsEnough
  return uplink + Math.min(nowMs - enteredMs, limits.steadyMs) / limits.steadyMs
}

function isSame(
  a: readonly StripePlace[] = noPlaces,
  b: readonly StripePlace[] = noPlaces,
): boolean {
  if (a === b) return true
  return (
    a.length === b.length &&
    a.every((place, at) => {
      const other = b[at] as StripePlace
      if (place === other) return true
      const { parent, children } = place
      return (
        parent === other.parent &&
        children.length === other.children.length &&
        children.every((child, index) => child === other.children[index])
      )
    })
  )
}

const noPlaces: readonly StripePlace[] = []
