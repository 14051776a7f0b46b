/**
 * The lines of whole segments in media playlists, the same for live windows, archived segments and videos on demand.
 */
import type { Digest } from '../content/digest.ts'

/** What the lines of one whole segment tell. */
export interface SegmentFacts {
  readonly msn: number
  readonly durationUs: number
  readonly discontinuity: boolean
  readonly programDateTimeMs: number | undefined
  readonly initDigest: Digest
  readonly digest: Digest | undefined
}

/** `cmaf`: with init segments; `captions`: WebVTT, which has none. */
export type PlaylistFormat = 'cmaf' | 'captions'

/** What stands in front of a segment's parts; `init` is the one in force before it. */
export function segmentTags(
  segment: Pick<SegmentFacts, 'discontinuity' | 'programDateTimeMs' | 'initDigest'>,
  init: Digest | undefined,
  format: PlaylistFormat,
): string[] {
  const lines: string[] = []
  if (segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY')
  if (format === 'cmaf' && segment.initDigest !== init) {
    lines.push(`#EXT-X-MAP:URI="${initName(segment.initDigest)}"`)
  }
  if (segment.programDateTimeMs !== undefined) {
    lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.programDateTimeMs).toISOString()}`)
  }
  return lines
}

/** What ends a whole segment. */
export function segmentEnd(
  segment: Pick<SegmentFacts, 'msn' | 'durationUs' | 'digest'>,
  format: PlaylistFormat,
): string[] {
  const extension = format === 'cmaf' ? 'm4s' : 'vtt'
  return [
    // Not an #EXT line, so players take it for a comment (RFC 8216bis 4.1).
    ...(segment.digest === undefined ? [] : [`#X-KAIRO-SEGMENT-SHA256:${segment.digest}`]),
    `#EXTINF:${formatSeconds(segment.durationUs)},`,
    `${segment.msn}.${extension}`,
  ]
}

/** What names an init segment: the first digits of its digest. */
export const INIT_PREFIX = /^[0-9a-f]{16}$/

/** File name of an init segment: its digest's first 16 digits keep it apart from those before and after it. */
export function initName(digest: Digest): string {
  return `init-${digest.slice(0, 16)}.mp4`
}

/** Whole microseconds as decimal seconds, exact and without trailing zeros. */
export function formatSeconds(us: number): string {
  const whole = Math.floor(us / 1_000_000)
  const fraction = String(us % 1_000_000).padStart(6, '0')
  const trimmed = fraction.replace(/0+$/, '')
  return `${whole}.${trimmed === '' ? '0' : trimmed}`
}
