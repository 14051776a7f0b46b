/**
 * When HTTP has to begin, and whether it would help.
 *
 * - HTTP takes over at `deadline - (missing bytes by the measured HTTP rate, shared with the fetches under way) - margin`; the margin is `marginMs`, but
 *   no more than a quarter of the time from the wish to its deadline. A part of unknown length is taken for `partBytesFirst`, and for no more than half
 *   of that time: so a live part with some 100 ms is not given to HTTP at once.
 * - While HTTP can still be in time, peers go on only if they are thought to be done before it would be (its margin counted): by what has come since the first
 *   byte, and as long as the last byte is not longer ago than HTTP would take. So the last bytes of a push are not fetched, and a peer that slackens loses
 *   the part.
 * - A part is late when HTTP could not be in time any more: on a tight origin, where many fetch at once and each measures a small share. Going to HTTP then takes
 *   from the others what it brings here. So a late part that is not urgent goes the usual way, with short waits; pulls of it have their patience for a first
 *   byte and `judgeMs` from there on, and go on unless HTTP is thought to be twice as fast.
 */
import { schedulerLimits } from './limits.ts'
import type { Part } from './part-state.ts'
import { bytesOf } from './ranges.ts'
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

function marginMs(part: Part): number {
  return Math.min(schedulerLimits.marginMs, spanOf(part) * schedulerLimits.marginShare)
}

/** What HTTP takes for the rest, with the margin. */
function takeoverMs(state: SchedulerState, part: Part): number {
  const margin = marginMs(part)
  const bps = state.httpShare(part.fetch !== undefined)
  if (part.bytes !== undefined) return (bytesOf(part.missing()) * 8_000) / bps + margin
  const guess = Math.max(0, schedulerLimits.partBytesFirst - part.have.total)
  return Math.min((guess * 8_000) / bps, spanOf(part) * schedulerLimits.unknownShare) + margin
}

/** Whether HTTP would not be in time any more. */
export function isLate(state: SchedulerState, part: Part): boolean {
  if (part.wish === undefined) return false
  const spareMs = takeoverMs(state, part) - marginMs(part)
  return state.nowMs + spareMs > part.wish.deadlineMs
}

/** Of a part whose time for HTTP has come: whether its pulls are to go on. */
export function isWorthWaiting(state: SchedulerState, part: Part): boolean {
  const late = isLate(state, part)
  let got = 0
  let firstMs = Number.POSITIVE_INFINITY
  let lastMs = 0
  for (const pull of part.pulls.values()) {
    if (pull.got === 0 && late) return true
    if (pull.got === 0) continue
    got += pull.got
    firstMs = Math.min(firstMs, pull.firstMs ?? firstMs)
    lastMs = Math.max(lastMs, pull.lastMs)
  }
  if (got === 0) return false
  const httpMs = takeoverMs(state, part)
  const missing =
    part.bytes === undefined ? schedulerLimits.partBytesFirst : bytesOf(part.missing())
  const sameMs = (httpMs * got) / missing
  const worthMs = late
    ? firstMs + Math.max(schedulerLimits.judgeMs, 2 * sameMs)
    : Math.min(lastMs + httpMs, firstMs + sameMs)
  return !state.isDue(part, worthMs)
}
