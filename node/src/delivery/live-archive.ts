/**
 * How far a live stream reaches back beyond its window: whole segments that are kept for the time that viewers may rewind.
 * Whoever keeps them hands them out in order; those that join the window's first segment without a gap are shown.
 */
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import type { Digest } from '../content/digest.ts'
import type { LiveRendition, LiveStream, StreamId } from '../content/stream.ts'

/** Keeps segments that have left live windows, for as long as the stream's DVR window says. */
export interface LiveArchive {
  /**
   * The kept segments of a rendition in order of their numbers, which grow by one; empty when none is kept. Treat as
   * read-only. They may overlap the live window. Their bytes are objects of the stream like those of the window.
   */
  segments(stream: StreamId, rendition: string): readonly ArchivedSegment[]
}

/** The segments directly before a window: `segments[from]` up to, not including, `segments[to]`. */
export interface ArchivedRange {
  readonly segments: readonly ArchivedSegment[]
  readonly from: number
  readonly to: number
}

const NOTHING: ArchivedRange = { segments: [], from: 0, to: 0 }

/** What an archive has directly before a rendition's window. Numbers without gaps make this a subtraction, not a search. */
export function archivedBefore(
  archive: LiveArchive | undefined,
  stream: LiveStream,
  rendition: LiveRendition,
): ArchivedRange {
  const segments = archive?.segments(stream.record.id, rendition.info.name) ?? []
  const first = segments[0]
  const windowMsn = rendition.entries[0]?.msn ?? rendition.head.firstMsn
  if (first === undefined) return NOTHING
  const to = Math.min(windowMsn - first.msn, segments.length)
  if (to <= 0 || segments[to - 1]?.msn !== windowMsn - 1) return NOTHING
  return { segments, from: 0, to }
}

/** A segment of a range by its number. */
export function archivedSegment(range: ArchivedRange, msn: number): ArchivedSegment | undefined {
  const first = range.segments[range.from]
  if (first === undefined || msn < first.msn) return undefined
  const index = range.from + msn - first.msn
  return index < range.to ? range.segments[index] : undefined
}

/** The digest of an init segment that a segment of the range needs, by the first digits of it. */
export function archivedInit(range: ArchivedRange, prefix: string): Digest | undefined {
  const { segments, from, to } = range
  for (let index = to - 1; index >= from; index -= 1) {
    const digest = segments[index]?.initDigest
    if (digest?.startsWith(prefix) === true) return digest
  }
  return undefined
}
