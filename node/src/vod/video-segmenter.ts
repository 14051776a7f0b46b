/**
 * Cuts the pictures of one rendition into whole CMAF segments at times that are fixed beforehand, so that segments of all renditions
 * begin together whoever makes them, in whatever order.
 *
 * Decoding times are made anew: within a segment they are the presentation times in ascending order, which keeps every segment within
 * its own time, whatever an encoder or a container thinks of delays. Everything, sound too, is presented `lead` later, so that no
 * picture is presented before it is decoded; a rare one that is reordered further gets a negative offset, which CMAF allows.
 */
import { strict as assert } from 'node:assert'
import type { SegmentWrite } from '../content/archive/segment-file.ts'
import { type Digest, digestOf } from '../content/digest.ts'
import { KairoError } from '../errors.ts'
import { contentLimits } from '../limits.ts'
import { type AccessUnit, TICKS_PER_MS, type VideoConfig } from '../media/access-unit.ts'
import { encodeFragment, type FragmentSample } from '../media/cmaf/fragment.ts'
import { VIDEO_TRACK_ID, videoInitSegment } from '../media/cmaf/init-segment.ts'
import { microseconds } from './segment-facts.ts'

/** A keyframe this near before a boundary is the boundary's: containers round times. */
const TOLERANCE_TICKS = 3 * TICKS_PER_MS

/** How a {@link VideoSegmenter} is built. All times are 1/90000 s from the start of the video. */
export interface VideoSegmenterInit {
  /** Where segments begin; the number of a segment is its index here. */
  readonly boundaries: readonly number[]
  /** First segment of this stretch. */
  readonly first: number
  /** End of this stretch. */
  readonly end: number
  /** How much later than decoded pictures are presented. */
  readonly lead: number
  readonly onSegment: (write: SegmentWrite) => void
}

interface Init {
  readonly bytes: Buffer
  readonly digest: Digest
}

interface OpenSegment {
  readonly msn: number
  readonly init: Init
  readonly discontinuity: boolean
  readonly units: AccessUnit[]
  /** Presentation times, ascending; made when the segment is whole. */
  times: number[]
  /** Presentation time of each unit, no two the same. */
  shown: readonly number[]
}

/** Cuts pictures into segments. */
export class VideoSegmenter {
  readonly #options: VideoSegmenterInit
  #init: Init | undefined
  #config: VideoConfig | undefined
  #open: OpenSegment | undefined
  /** Whole but for its last duration, which the next one's first time decides. */
  #waiting: OpenSegment | undefined
  #lastInit: Digest | undefined

  constructor(init: VideoSegmenterInit) {
    this.#options = init
  }

  /** The newest configuration. */
  get config(): VideoConfig | undefined {
    return this.#config
  }

  /** Sets the configuration of what follows, from the next keyframe on. */
  configure(config: VideoConfig): void {
    const bytes = videoInitSegment(config)
    this.#config = config
    this.#init = { bytes, digest: digestOf(bytes) }
  }

  /**
   * Takes the next picture in decoding order.
   * @throws KairoError `ERR_MEDIA` when a segment has no keyframe at its time, or is too large.
   */
  write(unit: AccessUnit): void {
    const msn = unit.keyframe ? this.#segmentAt(unit.pts) : this.#open?.msn
    if (msn === undefined) return
    if (msn !== this.#open?.msn) this.#begin(msn)
    this.#open?.units.push(unit)
  }

  /** Ends the stretch. */
  finish(): void {
    this.#close()
    this.#emitWaiting(this.#options.end)
  }

  #segmentAt(pts: number): number {
    const { boundaries, first } = this.#options
    let msn = this.#open?.msn ?? first
    while ((boundaries[msn + 1] ?? Number.POSITIVE_INFINITY) <= pts + TOLERANCE_TICKS) msn += 1
    return msn
  }

  #begin(msn: number): void {
    const expected = this.#open === undefined ? this.#options.first : this.#open.msn + 1
    if (msn !== expected) {
      throw new KairoError('ERR_MEDIA', `there is no keyframe where segment ${expected} begins`)
    }
    this.#close()
    assert(this.#init !== undefined, 'the configuration comes first')
    const init = this.#init
    const discontinuity = this.#lastInit !== undefined && this.#lastInit !== init.digest
    this.#lastInit = init.digest
    this.#open = { msn, init, discontinuity, units: [], times: [], shown: [] }
  }

  #close(): void {
    const segment = this.#open
    if (segment === undefined) return
    this.#open = undefined
    segment.times = decodingTimes(segment.units)
    segment.shown = presentationTimes(segment.units, segment.times)
    this.#emitWaiting(segment.times[0] ?? this.#options.end)
    this.#waiting = segment
  }

  #emitWaiting(end: number): void {
    const segment = this.#waiting
    if (segment === undefined) return
    this.#waiting = undefined
    const { msn, init, units, times, shown, discontinuity } = segment
    const samples: FragmentSample[] = units.map((unit, index) => {
      const time = times[index] ?? 0
      const next = times[index + 1] ?? end
      return {
        duration: Math.max(1, next - time),
        compositionOffset: (shown[index] ?? time) - time + this.#options.lead,
        sync: unit.keyframe,
        data: unit.data,
      }
    })
    const start = times[0] ?? 0
    const bytes = encodeFragment({
      layout: 'per-sample',
      sequence: msn + 1,
      trackId: VIDEO_TRACK_ID,
      baseDecodeTime: start,
      samples,
    })
    this.#options.onSegment(
      wholeSegment({ msn, init, bytes, discontinuity, start, end: Math.max(start + 1, end) }),
    )
  }
}

/** The presentation times in ascending order, made to grow where a damaged file repeats one. */
function decodingTimes(units: readonly AccessUnit[]): number[] {
  const times = units.map(({ pts }) => Math.max(0, pts)).sort((a, b) => a - b)
  for (let index = 1; index < times.length; index++) {
    times[index] = Math.max(times[index] ?? 0, (times[index - 1] ?? 0) + 1)
  }
  return times
}

/** Where each unit is shown: at its rank's time among those of {@link decodingTimes}, which differ where its own does not. */
function presentationTimes(
  units: readonly AccessUnit[],
  times: readonly number[],
): readonly number[] {
  const shown = new Array<number>(units.length)
  const order = units.map((_, index) => index)
  order.sort((a, b) => (units[a]?.pts ?? 0) - (units[b]?.pts ?? 0))
  for (const [rank, index] of order.entries()) shown[index] = times[rank] ?? 0
  return shown
}

/** What {@link wholeSegment} puts together. */
export interface WholeSegment {
  readonly msn: number
  readonly init: { readonly bytes: Buffer; readonly digest: Digest }
  readonly bytes: Buffer
  readonly discontinuity: boolean
  /** First decoding time and end, 1/90000 s. */
  readonly start: number
  readonly end: number
}

/**
 * A segment of a file as the archive takes it.
 * @throws KairoError `ERR_MEDIA` when it is too large for one object.
 */
export function wholeSegment(whole: WholeSegment): SegmentWrite {
  const { msn, init, bytes, discontinuity, start, end } = whole
  if (bytes.byteLength > contentLimits.objectBytesMax) {
    throw new KairoError('ERR_MEDIA', `segment ${msn} is too large: ${bytes.byteLength} bytes`)
  }
  const startUs = microseconds(start)
  return {
    init: init.bytes,
    parts: [bytes],
    segment: {
      ...{ msn, digest: digestOf(bytes), bytes: bytes.byteLength, initDigest: init.digest },
      ...{ startUs, durationUs: microseconds(end) - startUs, discontinuity },
      programDateTimeMs: undefined,
    },
  }
}
