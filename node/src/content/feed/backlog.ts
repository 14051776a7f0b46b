/** Which objects of a window come with a new feed, in which order. Both sides compute it from the same window. */
import { contentLimits } from '../../limits.ts'
import type { Digest } from '../digest.ts'
import type { IndexWindow, Position } from '../index/index-window.ts'

/**
 * Where the backlog of a follower begins. One that resumes gets what follows its last part; a new one starts with a segment
 * that can be decoded, at least three target durations behind the live edge where the window reaches back that far
 * (RFC 8216 6.3.3).
 */
export function backlogStart(window: IndexWindow, after: Position | undefined): Position {
  const { entries, head } = window
  const first = entries[0]
  const last = entries.at(-1)
  if (first === undefined || last === undefined) return { msn: head.firstMsn, part: 0 }
  if (after !== undefined) {
    const next = entries[window.indexAtOrAfter({ msn: after.msn, part: after.part + 1 })]
    if (next === undefined) return { msn: last.msn, part: last.part + 1 }
    const isInWindow = after.msn >= head.firstMsn - 1
    if (isInWindow) return { msn: next.msn, part: next.part }
  }
  return liveStart(window)
}

function liveStart({ entries, head }: IndexWindow): Position {
  const wantedUs = contentLimits.feedBacklogTargets * head.targetDurationS * 1_000_000
  let behindUs = 0
  for (let index = entries.length - 1; index >= 0; index -= 1) {
    const entry = entries[index]
    if (entry === undefined) break
    behindUs += entry.durationUs
    if (behindUs >= wantedUs && entry.part === 0 && entry.independent) {
      return { msn: entry.msn, part: entry.part }
    }
  }
  return { msn: head.firstMsn, part: 0 }
}

/** The objects of the backlog, each once: init segments first, then parts in order. */
export function backlogDigests(window: IndexWindow, from: Position): Digest[] {
  const entries = window.entries.slice(window.indexAtOrAfter(from))
  const digests = new Set(entries.map((entry) => entry.initDigest))
  for (const entry of entries) digests.add(entry.digest)
  return [...digests]
}
