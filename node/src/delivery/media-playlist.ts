/**
 * Media playlists (draft-pantos-hls-rfc8216bis-20), rendered from a rendition's index alone: the same index gives the same
 * bytes at every peer, so nothing of the peer's own time, name or state goes in.
 */
import type { Digest } from '../content/digest.ts'
import type { IndexEntry } from '../content/stream.ts'
import { archivedText, type RenderedRange } from './archived-lines.ts'
import type { ArchivedRange } from './live-archive.ts'
import { formatSeconds, type PlaylistFormat, segmentEnd, segmentTags } from './segment-lines.ts'
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
  /** Default `cmaf`. Captions have no parts: they are read long before they are heard. */
  readonly format?: PlaylistFormat
  /** Segments before the window, and their lines. Default none. */
  readonly archived?: ArchivedRange & { readonly lines: RenderedRange }
}

/** A playlist's text, with archived segments as they are kept. */
export interface MediaPlaylistText {
  readonly head: string
  readonly archived: readonly Buffer[]
  readonly rest: string
}

/** The playlist's text in pieces. */
export function renderMediaPlaylistText(
  view: PlaylistView,
  options: MediaPlaylistOptions = {},
): MediaPlaylistText {
  const { head } = view
  const { format = 'cmaf', archived } = options
  const segments = segmentsOf(view)
  const boundaryS = head.targetDurationS * SKIP_BOUNDARY_TARGETS
  const skippable = countSkippable(segments, archived, boundaryS)
  const skipped = options.skip === true ? skippable : 0
  const listedFrom =
    format === 'captions'
      ? segments.length
      : firstWithParts(segments, head.targetDurationS * PARTS_WITHIN_TARGETS)
  const top = renderHead(view, {
    segments,
    archived,
    canSkip: skippable > 0,
    partTargetUs: format === 'captions' ? undefined : partTargetOf(view, segments, listedFrom),
  })
  const archivedCount = archived === undefined ? 0 : archived.to - archived.from
  if (skipped > 0) top.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`)
  const lines: string[] = []
  if (skipped > 0 && skipped < archivedCount) lines.push(tailOf(archived, skipped, format))
  renderSegments(lines, segments, {
    skipped: Math.max(0, skipped - archivedCount),
    listedFrom,
    format,
    init: archived?.segments[archived.to - 1]?.initDigest,
  })
  renderTail(lines, view, format, options.reports ?? [])
  return {
    head: `${top.join('\n')}\n`,
    archived: skipped > 0 ? [] : (archived?.lines.pieces ?? []),
    rest: lines.join('\n'),
  }
}

/** Lines of the archived segments behind the first `skipped`, without the last line's end. */
function tailOf(
  archived: ArchivedRange | undefined,
  skipped: number,
  format: PlaylistFormat,
): string {
  if (archived === undefined) return ''
  const from = archived.from + skipped
  const init = archived.segments[from - 1]?.initDigest
  return archivedText(archived.segments.slice(from, archived.to), init, format).slice(0, -1)
}

function renderTail(
  lines: string[],
  view: PlaylistView,
  format: PlaylistFormat,
  reports: readonly RenditionReport[],
): void {
  if (view.head.ended) {
    lines.push('#EXT-X-ENDLIST')
  } else if (format === 'cmaf') {
    const next = nextPart(view)
    lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${partName(next.msn, next.part)}"`)
    for (const report of reports) {
      lines.push(
        `#EXT-X-RENDITION-REPORT:URI="../${report.rendition}/media.m3u8",LAST-MSN=${report.lastMsn},LAST-PART=${report.lastPart}`,
      )
    }
  }
  lines.push('')
}

/**
 * One picture that stayed long must not be declared for longer than its part is listed: players keep three times this from the
 * edge.
 */
function partTargetOf(
  { head }: PlaylistView,
  segments: readonly WindowSegment[],
  listedFrom: number,
): number {
  const listed = segments.slice(listedFrom).flatMap((segment) => segment.parts)
  return listed.reduce((us, part) => Math.max(us, part.durationUs), head.partTargetUs)
}

function partName(msn: number, part: number): string {
  return `${msn}.${part}.m4s`
}

function renderHead(
  view: PlaylistView,
  facts: {
    readonly segments: readonly WindowSegment[]
    readonly archived: MediaPlaylistOptions['archived']
    readonly canSkip: boolean
    /** Undefined where there are no parts. */
    readonly partTargetUs: number | undefined
  },
): string[] {
  const { head } = view
  const { segments, archived, canSkip, partTargetUs } = facts
  const targetUs = head.targetDurationS * 1_000_000
  const control = [
    'CAN-BLOCK-RELOAD=YES',
    ...(canSkip ? [`CAN-SKIP-UNTIL=${formatSeconds(targetUs * SKIP_BOUNDARY_TARGETS)}`] : []),
    `HOLD-BACK=${formatSeconds(targetUs * HOLD_BACK_TARGETS)}`,
    ...(partTargetUs === undefined ? [] : [partHoldBack(partTargetUs)]),
  ]
  const firstArchived = archived?.segments[archived.from]
  const lines = [
    '#EXTM3U',
    `#EXT-X-VERSION:${PROTOCOL_VERSION}`,
    `#EXT-X-TARGETDURATION:${head.targetDurationS}`,
    `#EXT-X-SERVER-CONTROL:${control.join(',')}`,
    ...(partTargetUs === undefined
      ? []
      : [`#EXT-X-PART-INF:PART-TARGET=${formatSeconds(partTargetUs)}`]),
    `#EXT-X-MEDIA-SEQUENCE:${firstArchived?.msn ?? segments[0]?.msn ?? head.firstMsn}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${head.discontinuitySequence - (archived?.lines.discontinuities ?? 0)}`,
  ]
  if (segments.every((segment) => segment.parts[0]?.independent === true)) {
    lines.push('#EXT-X-INDEPENDENT-SEGMENTS')
  }
  lines.push(`#X-KAIRO-SIGNATURE:${Buffer.from(view.signature).toString('base64')}`)
  return lines
}

function partHoldBack(partTargetUs: number): string {
  const us = Math.max(partTargetUs * PART_HOLD_BACK_TARGETS, PART_HOLD_BACK_US_MIN)
  return `PART-HOLD-BACK=${formatSeconds(us)}`
}

/** Leading segments, archived ones first, that end further than the Skip Boundary before the end of the last whole segment. */
function countSkippable(
  segments: readonly WindowSegment[],
  archived: ArchivedRange | undefined,
  boundaryS: number,
): number {
  const whole = segments.at(-1)?.complete === false ? segments.slice(0, -1) : segments
  const before = archived === undefined ? 0 : archived.to - archived.from
  let behindUs = 0
  let count = before + whole.length
  while (count > 0 && behindUs <= boundaryS * 1_000_000) {
    count -= 1
    const segment =
      count < before ? archived?.segments[archived.from + count] : whole[count - before]
    behindUs += segment?.durationUs ?? 0
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
  from: {
    readonly skipped: number
    readonly listedFrom: number
    readonly format: PlaylistFormat
    /** In force before the first segment. */
    readonly init: Digest | undefined
  },
): void {
  const { skipped, listedFrom, format } = from
  let init = segments[skipped - 1]?.parts[0]?.initDigest ?? from.init
  for (const [index, segment] of segments.entries()) {
    const first = segment.parts[0]
    if (index < skipped || first === undefined) continue
    if (format === 'captions' && !segment.complete) continue
    lines.push(...segmentTags(first, init, format))
    init = first.initDigest
    if (index >= listedFrom) for (const part of segment.parts) lines.push(partTag(part))
    if (!segment.complete) continue
    const { msn, durationUs } = segment
    const digest = segment.parts.at(-1)?.segmentDigest
    lines.push(...segmentEnd({ msn, durationUs, digest }, format))
  }
}

function partTag(entry: IndexEntry): string {
  const independent = entry.independent ? ',INDEPENDENT=YES' : ''
  return `#EXT-X-PART:DURATION=${formatSeconds(entry.durationUs)},URI="${partName(entry.msn, entry.part)}"${independent},X-KAIRO-SHA256="${entry.digest}"`
}
