/**
 * The segment cuts of a stream's source that derived renditions follow. It is bounded: a rendition that lags behind the
 * oldest cut left goes on from there.
 */
import { sessionLimits } from '../../limits/packaging.ts'
import { TICKS_PER_MS } from '../access-unit.ts'
import type { SegmentCut } from '../published-session.ts'

/** The newest cuts, oldest first; their times and numbers grow. */
export class CutLog {
  #cuts: SegmentCut[] = []

  /** Notes the next cut. */
  add(cut: SegmentCut): void {
    this.#cuts.push(cut)
    if (this.#cuts.length > sessionLimits.cutsMax) this.#cuts.shift()
  }

  /** The newest cut at or before a time, 1/90000 s. */
  at(time: number): SegmentCut | undefined {
    return this.#cuts.findLast((cut) => cut.time <= time)
  }

  /** The cut of a segment. */
  of(msn: number): SegmentCut | undefined {
    return this.#cuts.findLast((cut) => cut.msn === msn)
  }

  /** Wall time of a time, Unix milliseconds, by the cut before it; 0 without any. */
  wallMs(time: number): number {
    const cut = this.at(time) ?? this.#cuts[0]
    return cut === undefined ? 0 : cut.wallMs + (time - cut.time) / TICKS_PER_MS
  }
}
