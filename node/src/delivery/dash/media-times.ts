/**
 * Where segments lie on the stream's timeline. The index tells durations and wall times, and the media itself tells where a
 * stretch of continuous time begins: one part of each stretch is read, the rest is adding up. Durations in the index are
 * differences of rounded times, so their sums are exact.
 */
import type { ArchivedSegment } from '../../content/archive/presentation.ts'
import type { IndexEntry, LiveRendition, LiveStream, StreamRecord } from '../../content/stream.ts'
import { readInit } from '../../media/cmaf/fragment-reader.ts'
import { archivedBefore, type LiveArchive } from '../live-archive.ts'
import { segmentsOf, type WindowSegment } from '../segments.ts'
import { fragmentStart } from './fragment-start.ts'
import type { TimedSegment } from './segment-timeline.ts'

/** Wall times are rounded to milliseconds; a difference beyond this is a gap in a rendition that came late or lost pictures. */
const ROUNDING_US_MAX = 2_000

/** Segments of a rendition, of which the last may be open. */
export interface TimedWindow {
  readonly segments: readonly TimedSegment[]
  /** True when the last segment is still being made; its duration is what there is of it. */
  readonly open: boolean
}

interface Untimed {
  readonly facts: Omit<TimedSegment, 'startUs'>
  /** The first part, for segments of the window. */
  readonly first: IndexEntry | undefined
  startUs: number | undefined
}

/** Finds and remembers the times of renditions' segments. */
export class MediaTimes {
  readonly #archive: LiveArchive | undefined
  /** By rendition, the start of each segment of its window. */
  readonly #known = new WeakMap<LiveRendition, Map<number, number>>()

  constructor(components: { readonly archive?: LiveArchive | undefined }) {
    this.#archive = components.archive
  }

  /**
   * The segments of a rendition, archived ones first, with their times.
   * @throws KairoError what {@link LiveStream.read} throws, `ERR_INVALID_INPUT` for media that are not ours.
   */
  async window(
    stream: LiveStream,
    rendition: LiveRendition,
    options: { readonly signal: AbortSignal },
  ): Promise<TimedWindow> {
    const range = archivedBefore(this.#archive, stream, rendition)
    const window = segmentsOf(rendition)
    const known = this.#known.get(rendition) ?? new Map<number, number>()
    const segments = [
      ...range.segments.slice(range.from, range.to).filter(isSince(stream.record)).map(fromArchive),
      ...window.map((segment) => fromWindow(segment, known.get(segment.msn))),
    ]
    const windowFrom = segments.length - window.length
    for (const [from, to] of stretchesOf(segments)) {
      const stretch = segments.slice(from, to)
      await this.#anchor(stream, stretch.slice(Math.max(0, windowFrom - from)), options)
      spread(stretch)
    }
    const starts = segments.slice(windowFrom).map(({ facts, startUs }): [number, number] => {
      return [facts.msn, startUs ?? 0]
    })
    this.#known.set(rendition, new Map(starts))
    return {
      segments: segments.map(({ facts, startUs }) => ({ ...facts, startUs: startUs ?? 0 })),
      open: window.at(-1)?.complete === false,
    }
  }

  /** Makes sure that one segment of the window's part of a stretch has its time, reading the newest where none has. */
  async #anchor(
    stream: LiveStream,
    segments: readonly Untimed[],
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    if (segments.length === 0 || segments.some(({ startUs }) => startUs !== undefined)) return
    const inMemory = segments.findLast(({ first }) => first && stream.peek(first.digest))
    const anchor = inMemory ?? segments.at(-1)
    const { first } = anchor ?? {}
    if (anchor === undefined || first === undefined) return
    const [init, part] = await Promise.all([
      stream.peek(first.initDigest) ?? stream.read(first.initDigest, options),
      stream.peek(first.digest) ?? stream.read(first.digest, options),
    ])
    const { timescale } = readInit(init)
    anchor.startUs = Math.round((fragmentStart(part) * 1_000_000) / timescale)
  }
}

/**
 * A presentation has no time before its availability start, which is when the session began: what is kept of sessions before it is
 * for HLS only.
 */
function isSince({ startedAtMs }: StreamRecord): (segment: ArchivedSegment) => boolean {
  const startMs = Math.floor(startedAtMs / 1_000) * 1_000
  return ({ programDateTimeMs }) => (programDateTimeMs ?? startMs) >= startMs
}

function fromArchive(segment: ArchivedSegment): Untimed {
  const { msn, durationUs, initDigest, programDateTimeMs, discontinuity, startUs } = segment
  const facts = { msn, durationUs, initDigest, wallMs: programDateTimeMs, discontinuity }
  return { facts, first: undefined, startUs }
}

function fromWindow(segment: WindowSegment, startUs: number | undefined): Untimed {
  const { msn, durationUs } = segment
  const first = segment.parts[0] as IndexEntry
  const { initDigest, programDateTimeMs, discontinuity } = first
  const facts = { msn, durationUs, initDigest, wallMs: programDateTimeMs, discontinuity }
  return { facts, first, startUs }
}

/** Ranges of segments between which the timeline may jump. */
function stretchesOf(segments: readonly Untimed[]): [number, number][] {
  const starts = segments.flatMap(({ facts }, index) =>
    index === 0 || facts.discontinuity ? [index] : [],
  )
  return starts.map((from, index) => [from, starts[index + 1] ?? segments.length])
}

/**
 * Gives every segment of a stretch its time, from one that has it. The newest such is right for all: an archive knows decoding
 * times, from which presentation begins a little later.
 */
function spread(stretch: readonly Untimed[]): void {
  const anchor = stretch.findLastIndex(({ startUs }) => startUs !== undefined)
  for (let index = anchor + 1; index < stretch.length; index += 1) {
    const [before, segment] = [stretch[index - 1] as Untimed, stretch[index] as Untimed]
    segment.startUs = (before.startUs ?? 0) + stepUs(before.facts, segment.facts)
  }
  for (let index = anchor - 1; index >= 0; index -= 1) {
    const [segment, after] = [stretch[index] as Untimed, stretch[index + 1] as Untimed]
    segment.startUs = (after.startUs ?? 0) - stepUs(segment.facts, after.facts)
  }
}

/** Microseconds from the start of a segment to that of the next: its duration, or more where the rendition has a gap. */
function stepUs(segment: Untimed['facts'], next: Untimed['facts']): number {
  if (segment.wallMs === undefined || next.wallMs === undefined) return segment.durationUs
  const byWallUs = (next.wallMs - segment.wallMs) * 1_000
  const isGap = Math.abs(byWallUs - segment.durationUs) > ROUNDING_US_MAX
  return isGap ? byWallUs : segment.durationUs
}
