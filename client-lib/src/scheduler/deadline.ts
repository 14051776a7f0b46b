/**
 * When HTTP has to begin, and whether it would help.
 *
 * - HTTP takes over at `deadline - (missing bytes by the measured HTTP rate, shared with the fetches under way) - margin`; the margin is `marginMs`, but
 *   no more than a quarter of the time from the wish to its deadline. A part of unknown length is taken for `partBytesFirst`, and for no more than half
 *   of that time: so a live part with some 100 ms is not given to HTTP at once.
 * - From then on peers go on only while they bring the part faster than HTTP would: by what has come since the first byte. So a part that could not be in
 *   time anyhow (a tight origin, at the start) stays with the faster one, and a peer that slackens loses it.
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
  const span = spanOf(part)
  const margin = Math.min(schedulerLimits.marginMs, span * schedulerLimits.marginShare)
  return part.wish.deadlineMs - httpMs(state, part, span) - margin
}

function httpMs(state: SchedulerState, part: Part, span: number): number {
  const bps = state.httpShare(part.fetch !== undefined)
  if (part.bytes !== undefined) return (bytesOf(part.missing()) * 8_000) / bps
  const guess = Math.max(0, schedulerLimits.partBytesFirst - part.have.total)
  return Math.min((guess * 8_000) / bps, span * schedulerLimits.unknownShare)
}

/** Of a part whose time has come: whether its pulls are to go on. */
export function isWorthWaiting(state: SchedulerState, part: Part): boolean {
  let got = 0
  let firstMs = Number.POSITIVE_INFINITY
  for (const pull of part.pulls.values()) {
    if (pull.isLate && pull.got === 0) return true
    got += pull.got
    firstMs = Math.min(firstMs, pull.firstMs ?? firstMs)
  }
  if (got === 0) return false
  return !state.isDue(part, firstMs + (got * 8_000) / state.httpShare(false))
}

/** Of a part whose time has come and that nobody brings: a whole holder that is faster than HTTP, by measure. */
export function hasFasterHolder(state: SchedulerState, part: Part): boolean {
  const bps = state.httpShare(false)
  const { whole } = candidates(part, state.peers)
  return whole.some((peer) => peer.rate.isMeasured && peer.expectedBps >= bps)
}
