/**
 * Media playlists (draft-pantos-hls-rfc8216bis-20), rendered from a rendition's index alone: the same index gives the same
 * bytes at every peer, so nothing of the peer's own time, name or state goes in.
 */
import type { IndexEntry } from '../content/stream.ts'
import { nextPart, type PlaylistView, segmentsOf, type WindowSegment } from './segments.ts'

/** Needed for EXT-X-SKIP (RFC 8216bis 8). Full playlists say the same, so that a delta update differs in its segments only. */
const PROTOCOL_VERSION = 9
/** Segments that begin this near to the end carry their parts (RFC 8216bis 6.2.2), in target durations. */
const PARTS_WITHIN_TARGETS = 3
/** Skip Boundary (RFC 8216bis 4.4.3.8: at least six target durations). */
const SKIP_BOUNDARY_TARGETS = 6
/** HOLD-BACK (RFC 8216bis 4.4.3.8: at least three target durations). */
const HOLD_BACK_TARGETS = 3
/** PART-HOLD-BACK (RFC 8216bis 4.4.3.8: should be at least three part targets). */
const PART_HOLD_BACK_TARGETS = 3
/** With very short parts, three of them are less than the jitter of an ordinary network and a busy browser. */
const PART_HOLD_BACK_US_MIN = 800_000

/** How far another rendition of the stream has come (RFC 8216bis 4.4.5.4). */
export interface RenditionReport {
  readonly rendition: string
  readonly lastMsn: number
  readonly lastPart: number
}

/** What varies between playlists of one index. */
export interface MediaPlaylistOptions {
  /** Makes a delta update (RFC 8216bis 6.2.5.1) where the window is long enough for one. Default false. */
  readonly skip?: boolean
  /** The stream's other renditions, ordered by name. Default none. */
  readonly reports?: readonly RenditionReport[]
}

/** The playlist's text. */
export function renderMediaPlaylist(
  view: PlaylistView,
  options: MediaPlaylistOptions = {},
): string {
  const { head } = view
  const segments = segmentsOf(view)
  const skippable = countSkippable(segments, head.targetDurationS * SKIP_BOUNDARY_TARGETS)
  const skipped = options.skip === true ? skippable : 0
  const listedFrom = firstWithParts(segments, head.targetDurationS * PARTS_WITHIN_TARGETS)
  const listed = segments.slice(listedFrom).flatMap((segment) => segment.parts)
  const lines = renderHead(view, {
    segments,
    canSkip: skippable > 0,
    // One picture that stayed long must not be declared for longer than its part is listed: players keep three times
    // this from the edge.
    partTargetUs: listed.reduce((us, part) => Math.max(us, part.durationUs), head.partTargetUs),
  })
  if (skipped > 0) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`)
  renderSegments(lines, segments, { skipped, listedFrom })
  if (head.ended) {
    lines.push('#EXT-X-ENDLIST')
  } else {
    const next = nextPart(view)
    lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${partName(next.msn, next.part)}"`)
    for (const report of options.reports ?? []) {
      lines.push(
        `#EXT-X-RENDITION-REPORT:URI="../${report.rendition}/media.m3u8",LAST-MSN=${report.lastMsn},LAST-PART=${report.lastPart}`,
      )
    }
  }
  lines.push('')
  return lines.join('\n')
}

/** File name of an init segment: its digest's first 16 digits keep it apart from those before and after it. */
function initName(digest: string): string {
  return `init-${digest.slice(0, 16)}.mp4`
}

function partName(msn: number, part: number): string {
  return `${msn}.${part}.m4s`
}

function renderHead(
  view: PlaylistView,
  facts: {
    readonly segments: readonly WindowSegment[]
    readonly canSkip: boolean
    readonly partTargetUs: number
  },
): string[] {
  const { head } = view
  const { segments, canSkip, partTargetUs } = facts
  const targetUs = head.targetDurationS * 1_000_000
  const control = [
    'CAN-BLOCK-RELOAD=YES',
    ...(canSkip ? [`CAN-SKIP-UNTIL=${formatSeconds(targetUs * SKIP_BOUNDARY_TARGETS)}`] : []),
    `HOLD-BACK=${formatSeconds(targetUs * HOLD_BACK_TARGETS)}`,
    `PART-HOLD-BACK=${formatSeconds(
      Math.max(partTargetUs * PART_HOLD_BACK_TARGETS, PART_HOLD_BACK_US_MIN),
    )}`,
  ]
  const lines = [
    '#EXTM3U',
    `#EXT-X-VERSION:${PROTOCOL_VERSION}`,
    `#EXT-X-TARGETDURATION:${head.targetDurationS}`,
    `#EXT-X-SERVER-CONTROL:${control.join(',')}`,
    `#EXT-X-PART-INF:PART-TARGET=${formatSeconds(partTargetUs)}`,
    `#EXT-X-MEDIA-SEQUENCE:${segments[0]?.msn ?? head.firstMsn}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${head.discontinuitySequence}`,
  ]
  if (segments.every((segment) => segment.parts[0]?.independent === true)) {
    lines.push('#EXT-X-INDEPENDENT-SEGMENTS')
  }
  lines.push(`#X-KAIRO-SIGNATURE:${Buffer.from(view.signature).toString('base64')}`)
  return lines
}

/** Leading segments that end further than the Skip Boundary before the end of the last whole segment. */
function countSkippable(segments: readonly WindowSegment[], boundaryS: number): number {
  const whole = segments.at(-1)?.complete === false ? segments.slice(0, -1) : segments
  let behindUs = 0
  let count = whole.length
  while (count > 0 && behindUs <= boundaryS * 1_000_000) {
    count -= 1
    behindUs += whole[count]?.durationUs ?? 0
  }
  return count
}

/** Index of the first segment whose parts are listed: it is open, or begins no further from the end than this. */
function firstWithParts(segments: readonly WindowSegment[], withinS: number): number {
  let fromEndUs = 0
  let first = segments.length
  for (const segment of segments.toReversed()) {
    fromEndUs += segment.durationUs
    if (segment.complete && fromEndUs > withinS * 1_000_000) break
    first -= 1
  }
  return first
}

function renderSegments(
  lines: string[],
  segments: readonly WindowSegment[],
  from: { readonly skipped: number; readonly listedFrom: number },
): void {
  let init = segments[from.skipped - 1]?.parts[0]?.initDigest
  for (const [index, segment] of segments.entries()) {
    const first = segment.parts[0]
    if (index < from.skipped || first === undefined) continue
    renderSegmentTags(lines, first, init)
    init = first.initDigest
    if (index >= from.listedFrom) for (const part of segment.parts) lines.push(partTag(part))
    if (segment.complete) renderSegmentEnd(lines, segment)
  }
}

function renderSegmentTags(lines: string[], first: IndexEntry, init: string | undefined): void {
  if (first.discontinuity) lines.push('#EXT-X-DISCONTINUITY')
  if (first.initDigest !== init) lines.push(`#EXT-X-MAP:URI="${initName(first.initDigest)}"`)
  if (first.programDateTimeMs !== undefined) {
    lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(first.programDateTimeMs).toISOString()}`)
  }
}

function renderSegmentEnd(lines: string[], segment: WindowSegment): void {
  const digest = segment.parts.at(-1)?.segmentDigest
  // Not an #EXT line, so players take it for a comment (RFC 8216bis 4.1).
  if (digest !== undefined) lines.push(`#X-KAIRO-SEGMENT-SHA256:${digest}`)
  lines.push(`#EXTINF:${formatSeconds(segment.durationUs)},`, `${segment.msn}.m4s`)
}

function partTag(entry: IndexEntry): string {
  const independent = entry.independent ? ',INDEPENDENT=YES' : ''
  return `#EXT-X-PART:DURATION=${formatSeconds(entry.durationUs)},URI="${partName(entry.msn, entry.part)}"${independent},X-KAIRO-SHA256="${entry.digest}"`
}

/** Whole microseconds as decimal seconds, exact and without trailing zeros. */
function formatSeconds(us: number): string {
  const whole = Math.floor(us / 1_000_000)
  const fraction = String(us % 1_000_000).padStart(6, '0')
  const trimmed = fraction.replace(/0+$/, '')
  return `${whole}.${trimmed === '' ? '0' : trimmed}`
}
