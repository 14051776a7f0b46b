/**
 * An index window seen as segments: what playlists, blocking reloads and segment requests all ask of it.
 */
import type { IndexEntry, LiveRendition } from '../content/stream.ts'

/** What a playlist is made from; a {@link LiveRendition} is one. */
export type PlaylistView = Pick<LiveRendition, 'head' | 'entries' | 'signature'>

/** The parts of one media segment that are in the window. */
export interface WindowSegment {
  readonly msn: number
  /** In order, never empty. */
  readonly parts: readonly IndexEntry[]
  /** Sum of the parts' durations. */
  readonly durationUs: number
  /** True when no further part will come: it was closed, a later segment exists, or the stream has ended. */
  readonly complete: boolean
}

/** The window's segments in order; only the last can be incomplete. */
export function segmentsOf(view: PlaylistView): WindowSegment[] {
  const { entries, head } = view
  const segments: WindowSegment[] = []
  let from = 0
  while (from < entries.length) {
    const msn = entries[from]?.msn ?? 0
    let to = from
    let durationUs = 0
    let entry = entries[to]
    while (entry !== undefined && entry.msn === msn) {
      durationUs += entry.durationUs
      to += 1
      entry = entries[to]
    }
    const closed = entries[to - 1]?.endOfSegment === true
    const complete = closed || to < entries.length || head.ended
    segments.push({ msn, parts: entries.slice(from, to), durationUs, complete })
    from = to
  }
  return segments
}

/** True when the last part in the window ends its segment, or nothing will follow it. */
function lastIsClosed(view: PlaylistView): boolean {
  return view.head.ended || view.entries.at(-1)?.endOfSegment === true
}

/** Media sequence number of the last complete segment, one less than the first in the window when there is none. */
function lastCompleteMsn(view: PlaylistView): number {
  const last = view.entries.at(-1)
  if (last === undefined) return view.head.firstMsn - 1
  return lastIsClosed(view) ? last.msn : last.msn - 1
}

/** Where the part that comes next will stand: in the open segment, or first in a new one. */
export function nextPart(view: PlaylistView): { readonly msn: number; readonly part: number } {
  const last = view.entries.at(-1)
  if (last === undefined) return { msn: view.head.firstMsn, part: 0 }
  return last.endOfSegment ? { msn: last.msn + 1, part: 0 } : { msn: last.msn, part: last.part + 1 }
}

/**
 * True when the window reaches the given position or goes past it, so that a playlist request for it need not be held
 * (RFC 8216bis 6.2.5.2). Without a part the whole segment is meant. A part beyond the last one of a closed segment means
 * part 0 of the segment after, which the order of (msn, part) gives by itself.
 */
export function reaches(view: PlaylistView, msn: number, part: number | undefined): boolean {
  if (view.head.ended) return true
  if (part === undefined) return lastCompleteMsn(view) >= msn
  const last = view.entries.at(-1)
  return last !== undefined && (last.msn > msn || (last.msn === msn && last.part >= part))
}

/**
 * True when a position lies further ahead than a player can have reason to ask: more than two segments after the last
 * complete one, or more parts after the last one than the Advance Part Limit (RFC 8216bis 6.2.5.2). The limit is never less
 * than a target duration of parts, because players that do not want low latency ask for the last part of a segment at once.
 */
export function tooFarAhead(view: PlaylistView, msn: number, part: number | undefined): boolean {
  if (msn > lastCompleteMsn(view) + 2) return true
  if (part === undefined) return false
  const { partTargetUs, targetDurationS } = view.head
  const limit = Math.ceil((Math.max(3, targetDurationS) * 1_000_000) / Math.max(1, partTargetUs))
  const last = view.entries.at(-1)
  const lastPart = last !== undefined && last.msn === msn ? last.part : -1
  return last !== undefined && msn >= last.msn && part > lastPart + limit
}
