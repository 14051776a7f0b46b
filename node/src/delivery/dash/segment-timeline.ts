/**
 * SegmentTimeline (ISO/IEC 23009-1 5.3.9.6): which segments there are and when. Times are microseconds of the stream's own
 * timeline whatever the media's timescale is, since the index and archives count so.
 */
import type { Digest } from '../../content/digest.ts'
import { element } from './xml.ts'

/** Ticks a second in every manifest. */
const TIMESCALE = 1_000_000
/** A segment may begin this far from where the one before ends and still be told as following it: rounding, not a gap. */
const JITTER_US_MAX = 1_000

/** One segment with its place on the timeline. */
export interface TimedSegment {
  readonly msn: number
  /** First presentation. */
  readonly startUs: number
  readonly durationUs: number
  readonly initDigest: Digest
  /** Wall time of the first presentation, Unix milliseconds, where it is known. */
  readonly wallMs: number | undefined
  readonly discontinuity: boolean
}

/** Where a rendition's media are. */
export interface TemplateInit {
  /** With `$Number$`, relative to the manifest. */
  readonly media: string
  /** Undefined for captions. */
  readonly initialization: string | undefined
  /** Time of the timeline that is the Period's start. */
  readonly presentationTimeOffsetUs: number
  /** Seconds by which a segment can be asked for before it is whole; undefined when it must be whole. */
  readonly availabilityTimeOffsetS?: number | undefined
}

/** The SegmentTemplate of segments that are in order and number without gaps. */
export function segmentTemplate(init: TemplateInit, segments: readonly TimedSegment[]): string {
  const early = init.availabilityTimeOffsetS
  return element(
    'SegmentTemplate',
    {
      timescale: TIMESCALE,
      presentationTimeOffset: init.presentationTimeOffsetUs,
      startNumber: segments[0]?.msn,
      availabilityTimeOffset: early === undefined ? undefined : early.toFixed(3),
      availabilityTimeComplete: early === undefined ? undefined : 'false',
      initialization: init.initialization,
      media: init.media,
    },
    [element('SegmentTimeline', {}, timelineElements(segments))],
  )
}

interface Run {
  /** Undefined where the run follows the one before. */
  readonly t: number | undefined
  readonly d: number
  repeats: number
}

function timelineElements(segments: readonly TimedSegment[]): string[] {
  const runs: Run[] = []
  let endUs: number | undefined
  for (const [index, segment] of segments.entries()) {
    const follows = endUs !== undefined && Math.abs(segment.startUs - endUs) <= JITTER_US_MAX
    const startUs = follows && endUs !== undefined ? endUs : segment.startUs
    const next = segments[index + 1]
    // Rounding is taken up where it arises, so that it never adds up.
    const gapUs = next === undefined ? 0 : next.startUs - (startUs + segment.durationUs)
    const d = segment.durationUs + (Math.abs(gapUs) <= JITTER_US_MAX ? gapUs : 0)
    const last = runs.at(-1)
    if (last !== undefined && follows && last.d === d) last.repeats += 1
    else runs.push({ t: follows ? undefined : startUs, d, repeats: 0 })
    endUs = startUs + d
  }
  return runs.map(({ t, d, repeats }) => element('S', { t, d, r: repeats || undefined }))
}
