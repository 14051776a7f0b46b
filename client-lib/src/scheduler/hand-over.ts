/**
 * A fetch that begins at once, because there is nothing to play or no time, may turn out not to be needed: the edge names another page that has the part or
 * its lease, or a neighbour has it whole. The fetch is left to it when the rest would take longer than `finishMs`, as fast as it has been since its first
 * byte; not before `measureMs` from there, not where the peer is slower by measure (or by what is assumed of it), and once a part at most. A fetch without
 * a byte is left after `finishMs`. The lease's holder and the root of the part's stripe never hand over; neither is a fetch left to a neighbour that merely
 * has the part coming in, unless the edge (or the tree) names it: it might wait for this page.
 */
import { schedulerLimits } from './limits.ts'
import type { Fetch, Part } from './part-state.ts'
import { best, candidates, type Peer } from './sources.ts'
import type { SchedulerState } from './state.ts'

/** Leaves the fetch of a part to a peer if that is better. Returns whether it did. */
export function handOver(state: SchedulerState, part: Part, fetch: Fetch): boolean {
  if (part.isHandedOver || part.isHttpOnly || !state.mayTake) return false
  if (part.leaseUntilMs !== undefined || part.isDuty) return false
  const rest = part.restOf(fetch)
  const peer = heir(state, part, rest)
  if (peer === undefined || (rest === Number.POSITIVE_INFINITY && fetch.got > 0)) return false
  if (!state.isDue(part, slowMs(fetch, rest, peer))) return false
  part.isHandedOver = true
  state.counters.handOvers += 1
  state.stopFetch(part)
  const [gap] = part.missing()
  if (gap !== undefined) state.ask(part, peer, gap)
  return true
}

/** When the fetch will have shown, if no further byte comes, that the peer is better. */
function slowMs({ sinceMs, firstMs, got }: Fetch, rest: number, peer: Peer): number {
  if (firstMs === undefined) return sinceMs + schedulerLimits.finishMs
  const finishMs = (schedulerLimits.finishMs * got) / rest
  const peerMs = (got * 8_000) / peer.expectedBps
  return firstMs + Math.max(schedulerLimits.measureMs, finishMs, peerMs)
}

function heir(state: SchedulerState, part: Part, rest: number): Peer | undefined {
  const { whole, coming } = candidates(part, state.peers)
  const bytes = Number.isFinite(rest) ? rest : schedulerLimits.partBytesFirst
  const named = part.answer?.peers ?? []
  const parent = state.stripes.placeOf(part)?.parent
  const holder = coming.find(({ id }) => id === named[0]) ?? coming.find(({ id }) => id === parent)
  return best(whole, bytes, state.random) ?? holder
}
