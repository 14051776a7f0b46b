/**
 * Pushes to the children of a tree: a live part goes to each child that is up as soon as it begins to come here, by whatever way, and once. A child that
 * is new gets the recent parts, unless it has them or they are coming in there. What is not new is not pushed: who looks back asks for it.
 * A page that gives nothing pushes nothing; the edge learns that from its `state` and plans without it.
 */
import { schedulerLimits } from './limits.ts'
import type { Part } from './part-state.ts'
import type { SchedulerState } from './state.ts'

/** Pushes a part to the children that are still to get it. */
export function passOn(state: SchedulerState, part: Part): void {
  if (!state.mayGive || !part.hasBegun || !(part.isRecent || part.isPushed)) return
  for (const child of state.stripes.placeOf(part)?.children ?? []) {
    if (!state.peers.has(child) || part.pushedTo.has(child) || part.pulls.has(child)) continue
    if (part.holders.get(child) ?? false) continue
    if (part.pushedTo.size >= schedulerLimits.pushedToMax) {
      state.counters.limited += 1
      return
    }
    part.pushedTo.add(child)
    state.counters.pushes += 1
    state.act({ type: 'push', peer: child, key: part.key })
  }
}
