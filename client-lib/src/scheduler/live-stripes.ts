/**
 * The trees of live renditions, and which parts are new. A stripe's root fetches its parts as they are published; every page with children in the
 * stripe passes a part on as soon as it begins to come; a leaf waits for its parent.
 *
 * Of the first list of a rendition, which is the whole window, only the last parts count as just published: what lies before them others
 * have, and the player asks for what it needs.
 */
import type { StripePlace } from '../protocol/edge-messages.ts'
import { stripeOf } from '../protocol/part-key.ts'
import { schedulerLimits } from './limits.ts'
import type { Part } from './part-state.ts'

/** What this page knows of live renditions. */
export class LiveStripes {
  readonly #trees = new Map<string, readonly StripePlace[]>()
  readonly #recent = new Map<string, Part[]>()

  /** Replaces the trees of a rendition. */
  plant(rendition: string, stripes: readonly StripePlace[]): void {
    this.#trees.delete(rendition)
    if (stripes.length > 0) this.#trees.set(rendition, stripes)
    trim(this.#trees)
  }

  /** The place of this page in the tree of a part. */
  placeOf(part: Part): StripePlace | undefined {
    if (part.place === undefined) return undefined
    const stripes = this.#trees.get(part.place.rendition)
    return stripes?.[stripeOf(part.place, stripes.length)]
  }

  /** Whether there are trees for the rendition of a part. */
  hasTree(part: Part): boolean {
    return part.place !== undefined && this.#trees.has(part.place.rendition)
  }

  /** Parts of one list, oldest first. Returns those that fell out of the recent ones, to be looked at. */
  publish(parts: readonly Part[]): readonly Part[] {
    const lists = Map.groupBy(parts, (part) => part.place?.rendition ?? '')
    const old: Part[] = []
    for (const [rendition, fresh] of lists) {
      const known = this.#recent.get(rendition)
      const added = known === undefined ? fresh.slice(-schedulerLimits.recentFirst) : fresh
      const all = [...(known ?? []), ...added.filter((part) => !part.isRecent)]
      old.push(...all.slice(0, -schedulerLimits.recentPartsMax))
      this.#recent.delete(rendition)
      this.#recent.set(rendition, all.slice(-schedulerLimits.recentPartsMax))
      for (const part of all) part.isRecent = true
    }
    old.push(...trim(this.#recent).flat())
    for (const part of old) part.isRecent = false
    return old
  }

  /** The recent parts, of one rendition or of all. */
  recent(rendition?: string): readonly Part[] {
    if (rendition !== undefined) return this.#recent.get(rendition) ?? []
    return [...this.#recent.values()].flat()
  }
}

/** Forgets the oldest. */
function trim<T>(map: Map<string, T>): T[] {
  const gone: T[] = []
  for (const [key, value] of map) {
    if (map.size <= schedulerLimits.renditionsMax) break
    map.delete(key)
    gone.push(value)
  }
  return gone
}
