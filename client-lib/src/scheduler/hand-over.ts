/**
 * A fetch that begins at once, because there is nothing to play or no time, may turn out not to be needed: the edge names another page that has the part or
 * its lease, or a neighbour has it whole. The fetch is left to it when the rest would take longer than `finishMs` as fast as this fetch has been so far;
 * not before it has run `measureMs`, not where the peer was measured to be slower, and once a part at most. The lease's holder and the root of the part's
 * stripe never hand over; neither is a fetch handed over to a neighbour that merely has the part coming in, unless the edge (or the tree) names it: it might
 * wait for this page.
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
  if (peer === undefined || !state.isDue(part, slowMs(fetch, rest, peer))) return false
  part.isHandedOver = true
  state.counters.handOvers += 1
  state.stopFetch(part)
  const [gap] = part.missing()
  if (gap !== undefined) state.ask(part, peer, gap)
  return true
}

/** When the fetch will have shown, if no further byte comes, that the peer is better. */
function slowMs(fetch: Fetch, rest: number, peer: Peer): number {
  if (fetch.got === 0) return fetch.sinceMs + schedulerLimits.finishMs
  if (rest === Number.POSITIVE_INFINITY) return rest
  const finishMs = (schedulerLimits.finishMs * fetch.got) / rest
  const peerMs = peer.rate.isMeasured ? (fetch.got * 8_000) / peer.expectedBps : 0
  return fetch.sinceMs + Math.max(schedulerLimits.measureMs, finishMs, peerMs)
}

function heir(state: SchedulerState, part: Part, rest: number): Peer | undefined {
  const { whole, coming } = candidates(part, state.peers)
  const bytes = Number.isFinite(rest) ? rest : schedulerLimits.partBytesFirst
  const named = part.answer?.peers ?? []
  const parent = state.stripes.placeOf(part)?.parent
  const holder = coming.find(({ id }) => id === named[0]) ?? coming.find(({ id }) => id === parent)
  return best(whole, bytes, state.random) ?? holder
}
