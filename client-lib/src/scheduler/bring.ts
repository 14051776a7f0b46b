/**
 * Who brings a part: looked at anew after each event that touches it, from the facts alone. In this order:
 *
 * 1. Pulls that were silent too long end; their peers are blamed and not asked for this part again (a whole holder for a fault, one that has the part
 *    coming in itself for a quarter of one).
 * 2. A fetch under way goes on, unless it is handed over (`hand-over.ts`). An urgent one that began before the edge was there is asked about once it is.
 * 3. HTTP alone where the page takes nothing from peers, or wrong bytes came; HTTP at once with the lease.
 * 4. Urgent: HTTP at once, and the edge is asked besides, so that the fetch can still be handed over.
 * 5. No time left (`deadline.ts`): the same; but what is late anyhow goes the usual way until one peer has failed.
 * 6. What nobody was asked for is asked of holders; a live part waits for its parent's push first, and the edge is asked first where nobody has the part
 *    whole. A slow peer's range is planned anew.
 * 7. The root of the stripe: HTTP. Who was handed over and got nothing: HTTP.
 * 8. The edge has named somebody who is not connected yet: wait for that, as long as the edge says. Else it is asked, and waited for `edgeWaitMs`.
 * 9. HTTP.
 *
 * Where HTTP failed, 4, 5 and 7 do not count until another source was tried, and the part is given up at 9; where it failed again, after the deadline too.
 */
import type { Reason } from './counters.ts'
import { isLate, isWorthWaiting, latestMs, spanOf } from './deadline.ts'
import { handOver } from './hand-over.ts'
import { schedulerLimits } from './limits.ts'
import type { Part, Pull } from './part-state.ts'
import { best, candidates, choose } from './sources.ts'
import type { SchedulerState } from './state.ts'

/** Does what is to be done for a part that is needed. */
export function bring(state: SchedulerState, part: Part): void {
  judgeSilence(state, part)
  if (part.leaseUntilMs !== undefined && state.isDue(part, part.leaseUntilMs)) {
    part.leaseUntilMs = undefined
  }
  if (part.fetch !== undefined) {
    const isLeft = handOver(state, part, part.fetch)
    // It began before the edge was there.
    if (!isLeft && part.fetch.why === 'urgent' && part.edgeAsks === 0) askEdge(state, part)
    return
  }
  if (!state.mayTake || part.isHttpOnly) {
    fetch(state, part, state.mayTake ? 'refused' : 'manners')
    return
  }
  const canFetch = !part.isHttpDown && part.failures < schedulerLimits.fetchFailuresMax
  const awaited = isParentAwaited(state, part)
  const reason = canFetch ? reasonForHttp(state, part, awaited) : undefined
  if (reason !== undefined) {
    fetch(state, part, reason)
    if (reason !== 'lease' && !awaited) askEdge(state, part)
    return
  }
  if (part.uncovered().length === 0) {
    planAnew(state, part)
    return
  }
  if (isHopeless(state, part)) {
    giveUp(state, part)
    return
  }
  if (awaited && part.pulls.size === 0 && !state.isDue(part, halfMs(state, part))) return
  if (!awaited && canFetch && isEdgeFirst(state, part)) return
  askHolders(state, part)
  if (part.pulls.size > 0) return
  if (canFetch && isOwn(state, part)) fetch(state, part, part.isHandedOver ? 'silent' : 'root')
  else if (!awaited || isOver(state, part, canFetch)) askElsewhere(state, part, canFetch)
}

/** HTTP has failed as often as it may, nobody sends, and the deadline has passed: peers that come and go cannot keep the player waiting for ever. */
function isHopeless(state: SchedulerState, part: Part): boolean {
  if (part.failures < schedulerLimits.fetchFailuresMax || part.pulls.size > 0) return false
  return state.isDue(part, part.wish?.deadlineMs ?? 0)
}

/** Nobody waits for the parent any more: HTTP failed (else it has taken over by then), and the deadline has passed. */
function isOver(state: SchedulerState, part: Part, canFetch: boolean): boolean {
  return !canFetch && state.isDue(part, part.wish?.deadlineMs ?? 0)
}

/**
 * Whether the edge is to say who is asked, since nobody is known to have the part whole: it spreads those who wait over those who have it coming in, while all
 * neighbours of a lease's holder would turn to it.
 */
function isEdgeFirst(state: SchedulerState, part: Part): boolean {
  if (part.pulls.size > 0 || part.spent.size > 0 || part.answer !== undefined) return false
  if (isOwn(state, part) || isLive(state, part)) return false
  if (candidates(part, state.peers).whole.length > 0) return false
  askEdge(state, part)
  return isEdgeAwaited(state, part)
}

function isEdgeAwaited(state: SchedulerState, part: Part): boolean {
  if (part.edgeAskedMs === undefined) return false
  return !state.isDue(part, part.edgeAskedMs + schedulerLimits.edgeWaitMs)
}

/** Ends what was silent too long: soon where the part is needed, late for a push that nobody waits for. */
export function judgeSilence(state: SchedulerState, part: Part): void {
  for (const pull of part.pulls.values()) {
    const { peer } = pull
    const sinceMs = Math.max(pull.lastMs, part.wish?.sinceMs ?? pull.lastMs)
    const patienceMs = part.isNeeded ? peer.patienceMs : schedulerLimits.pushIdleMs
    if (!state.isDue(part, sinceMs + patienceMs)) continue
    const isWhole = part.holders.get(peer.id)
    const isDone = part.restOf(pull) === 0
    state.cancelPull(part, pull)
    if (isDone) continue
    part.spent.add(peer.id)
    part.isHttpDown = false
    if (!part.isNeeded) continue
    state.counters.silences += 1
    state.blame(peer, isWhole ? 1 : schedulerLimits.comingFault, 'silent', part)
  }
}

/** Why HTTP has to begin now. */
function reasonForHttp(state: SchedulerState, part: Part, awaited: boolean): Reason | undefined {
  if (part.leaseUntilMs !== undefined) return 'lease'
  if (part.wish === undefined) return undefined
  const isDelivered = [...part.pulls.values()].some(({ got }) => got > 0)
  if (part.wish.isUrgent && !part.isHandedOver && !isDelivered) return 'urgent'
  if (!state.isDue(part, latestMs(state, part)) || isWorthWaiting(state, part)) return undefined
  const isNew = part.pulls.size === 0 && part.spent.size === 0 && !part.isHandedOver
  return isNew && !awaited && isLate(state, part) ? undefined : 'deadline'
}

/** HTTP from the first missing byte; or the end of it, where HTTP has failed and there is nobody else. */
function fetch(state: SchedulerState, part: Part, why: Reason): void {
  blameSlow(state, part, why)
  state.cancelPulls(part)
  if (part.isHttpDown || part.failures >= schedulerLimits.fetchFailuresMax) {
    giveUp(state, part)
    return
  }
  const [gap] = part.missing()
  if (gap !== undefined) state.startFetch(part, gap, why)
}

/** A whole holder from which HTTP takes over, and that was less than half as fast, is of little use. */
function blameSlow(state: SchedulerState, part: Part, why: Reason): void {
  if (why !== 'deadline') return
  const bps = state.httpShare(false) / 2
  for (const { peer, got, sinceMs } of part.pulls.values()) {
    const isSlow = (got * 8_000) / Math.max(1, state.nowMs - sinceMs) < bps
    if (isSlow && part.holders.get(peer.id)) state.blame(peer, 1, 'slow', part)
  }
}

function giveUp(state: SchedulerState, part: Part): void {
  if (part.leaseUntilMs !== undefined || part.isDuty) state.returnLease(part)
  part.isDutyOver = true
  part.isDuty = false
  part.edgeAskedMs = undefined
  if (part.wish === undefined) return
  part.wish = undefined
  state.counters.givenUp += 1
  state.counters.deadlineMisses += 1
  state.act({ type: 'give-up', key: part.key })
}

/** Whether the parent in the part's tree can still be expected to push it. */
function isParentAwaited(state: SchedulerState, part: Part): boolean {
  const parent = state.stripes.placeOf(part)?.parent
  if (parent === undefined || !part.isRecent) return false
  return state.peers.has(parent) && !part.spent.has(parent)
}

/** Until when a live part waits for its parent alone, or for somebody who is to be connected. */
function halfMs(state: SchedulerState, part: Part): number {
  if (part.wish === undefined) return Number.POSITIVE_INFINITY
  const { sinceMs } = part.wish
  return sinceMs + Math.max(0, latestMs(state, part) - sinceMs) * schedulerLimits.pushWaitShare
}

function askHolders(state: SchedulerState, part: Part): void {
  const withinMs = (part.wish?.deadlineMs ?? Number.POSITIVE_INFINITY) - state.nowMs
  const gaps = part.uncovered()
  for (const { peer, range } of choose(part, state.peers, gaps, withinMs, state.random)) {
    state.ask(part, peer, range)
  }
}

/** HTTP is this page's own matter: it is the root, or has stopped a fetch before for nothing. */
function isOwn(state: SchedulerState, part: Part): boolean {
  const place = state.stripes.placeOf(part)
  return part.isHandedOver || part.isDuty || (place !== undefined && place.parent === undefined)
}

function askElsewhere(state: SchedulerState, part: Part, canFetch: boolean): void {
  if (part.answer !== undefined) {
    const isHopeful = part.answer.peers.some((id) => !part.spent.has(id) && !state.isBanned(id))
    if (isHopeful && !state.isDue(part, patientMs(state, part, part.answer.untilMs, canFetch)))
      return
    part.answer = undefined
  }
  if (canFetch) {
    const isShort = isLive(state, part) || isLate(state, part)
    if (part.edgeAsks === 0 || !isShort) askEdge(state, part)
    if (isEdgeAwaited(state, part) || isEdgeCalled(state, part)) return
  }
  fetch(state, part, part.spent.size > 0 ? 'silent' : state.isEdgeOpen ? 'no-holder' : 'no-edge')
}

/** An edge is being called, at the start or after a break: who has time waits for it, else all would fetch the same until it listens. */
function isEdgeCalled(state: SchedulerState, part: Part): boolean {
  const sinceMs = state.edgeTriedMs
  return sinceMs !== undefined && !state.isDue(part, sinceMs + schedulerLimits.edgeOpenMs)
}

/** A part of the live edge, whose deadline is near. */
function isLive(state: SchedulerState, part: Part): boolean {
  return part.isRecent && state.stripes.hasTree(part)
}

/** How long somebody is waited for who is named, but not connected. */
function patientMs(state: SchedulerState, part: Part, untilMs: number, canFetch: boolean): number {
  const deadlineMs = part.wish?.deadlineMs ?? untilMs
  if (!canFetch) return Math.min(untilMs, deadlineMs)
  if (isLate(state, part)) {
    return Math.min(untilMs, (part.answer?.sinceMs ?? 0) + schedulerLimits.edgeWaitMs)
  }
  return isLive(state, part)
    ? Math.min(untilMs, (part.wish?.sinceMs ?? 0) + spanOf(part) / 2)
    : untilMs
}

/** Asks the edge who fetches, unless it has been asked or has answered. */
function askEdge(state: SchedulerState, part: Part): void {
  if (!state.isEdgeOpen || part.wish === undefined || part.edgeAskedMs !== undefined) return
  if (part.edgeAsks >= schedulerLimits.edgeAsksMax) return
  if (part.answer !== undefined && state.nowMs < part.answer.untilMs) return
  state.askEdge(part)
}

/**
 * What is left of the range of a peer that is much slower than another one would be is asked of that one, while there is time. A peer that has sent nothing
 * is judged by its silence.
 */
function planAnew(state: SchedulerState, part: Part): void {
  if (part.replans >= schedulerLimits.replansMax || state.nowMs >= latestMs(state, part)) return
  const { whole } = candidates(part, state.peers)
  if (whole.length === 0) return
  for (const pull of part.pulls.values()) {
    const rest = part.restOf(pull)
    if (pull.isPush || pull.got === 0 || rest === Number.POSITIVE_INFINITY) continue
    if (rest < schedulerLimits.replanBytesMin || !part.holders.get(pull.peer.id)) continue
    const other = best(whole, rest, state.random)
    if (other === undefined || !state.isDue(part, slowMs(pull, rest, other.expectedMs(rest))))
      continue
    part.replans += 1
    state.cancelPull(part, pull)
    part.spent.add(pull.peer.id)
    const [gap] = part.uncovered()
    if (gap !== undefined) state.ask(part, other, gap)
    state.blame(pull.peer, schedulerLimits.comingFault, 'slow', part)
    return
  }
}

/** When a pull will have shown, if no further byte comes, that it takes more than twice as long as another peer would. */
function slowMs(pull: Pull, rest: number, otherMs: number): number {
  const slow = (2 * otherMs * pull.got) / rest
  return pull.sinceMs + Math.max(schedulerLimits.replanAfterMs, slow)
}
