/**
 * When HTTP has to begin, and whether it would help.
 *
 * - HTTP takes over at `deadline - (missing bytes by the measured HTTP rate, shared with the fetches under way) - margin`; the margin is `marginMs`, but
 *   no more than a quarter of the time from the wish to its deadline. A part of unknown length is taken for `partBytesFirst`, and for no more than half
 *   of that time: so a live part with some 100 ms is not given to HTTP at once.
 * - From then on peers go on only while they are thought to be done before HTTP would be (its margin counted): by what has come since the first byte, and
 *   as long as the last byte is not longer ago than HTTP would take. So a part that could not be in time anyhow (a tight origin, at the start) stays with
 *   the faster one, the last bytes of a push are not fetched by HTTP, and a peer that slackens loses the part.
 * - A peer that was asked when it was late already has its patience to bring a first byte.
 */
import { schedulerLimits } from './limits.ts'
import type { Part } from './part-state.ts'
import { bytesOf } from './ranges.ts'
import { candidates } from './sources.ts'
import type { SchedulerState } from './state.ts'

/** The time from the wish to its deadline. */
export function spanOf(part: Part): number {
  return part.wish === undefined ? 0 : Math.max(0, part.wish.deadlineMs - part.wish.sinceMs)
}

/** When HTTP has to begin at the latest; Infinity where nobody waits. */
export function latestMs(state: SchedulerState, part: Part): number {
  if (part.wish === undefined) return Number.POSITIVE_INFINITY
  return part.wish.deadlineMs - takeoverMs(state, part)
}

/** What HTTP takes for the rest, with the margin. */
function takeoverMs(state: SchedulerState, part: Part): number {
  const span = spanOf(part)
  const margin = Math.min(schedulerLimits.marginMs, span * schedulerLimits.marginShare)
  const bps = state.httpShare(part.fetch !== undefined)
  if (part.bytes !== undefined) return (bytesOf(part.missing()) * 8_000) / bps + margin
  const guess = Math.max(0, schedulerLimits.partBytesFirst - part.have.total)
  return Math.min((guess * 8_000) / bps, span * schedulerLimits.unknownShare) + margin
}

/** Of a part whose time has come: whether its pulls are to go on. */
export function isWorthWaiting(state: SchedulerState, part: Part): boolean {
  let got = 0
  let firstMs = Number.POSITIVE_INFINITY
  let lastMs = 0
  for (const pull of part.pulls.values()) {
    if (pull.isLate && pull.got === 0) return true
    if (pull.got === 0) continue
    got += pull.got
    firstMs = Math.min(firstMs, pull.firstMs ?? firstMs)
    lastMs = Math.max(lastMs, pull.lastMs)
  }
  if (got === 0) return false
  const httpMs = takeoverMs(state, part)
  const missing =
    part.bytes === undefined ? schedulerLimits.partBytesFirst : bytesOf(part.missing())
  return !state.isDue(part, Math.min(lastMs + httpMs, firstMs + (httpMs * got) / missing))
}

/** Of a part whose time has come and that nobody brings: a whole holder that is faster than HTTP, by measure. */
export function hasFasterHolder(state: SchedulerState, part: Part): boolean {
  const bps = state.httpShare(false)
  const { whole } = candidates(part, state.peers)
  return whole.some((peer) => peer.rate.isMeasured && peer.expectedBps >= bps)
}
