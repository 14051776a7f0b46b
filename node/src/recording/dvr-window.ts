/** The segments that viewers may go back to: without gaps, and as long as the window. Pure. */
import type { ArchivedSegment } from '../content/archive/presentation.ts'

/** A rolling window over the segments of one rendition. */
export class DvrWindow {
  #segments: ArchivedSegment[] = []
  /** Index of the first segment that the window needs; those before it may go. */
  #first = 0
  /** Time from that segment to the end. */
  #neededUs = 0

  /** In order, numbers grow by one. Treat as read-only; it grows, and is replaced when segments go. */
  get segments(): readonly ArchivedSegment[] {
    return this.#segments
  }

  /** Number of the newest segment. */
  get lastMsn(): number | undefined {
    return this.#segments.at(-1)?.msn
  }

  /** True when a segment is the next one, or the first. */
  joins(msn: number): boolean {
    return this.lastMsn === undefined || msn === this.lastMsn + 1
  }

  /**
   * Adds the newest segment; one that does not join what is there begins the window anew.
   * @returns number of the first segment that a window of `windowUs` needs: older ones may go.
   */
  add(segment: ArchivedSegment, windowUs: number): number {
    if (!this.joins(segment.msn)) this.clear()
    this.#segments.push(segment)
    this.#neededUs += segment.durationUs
    return this.neededFrom(windowUs)
  }

  /** Number of the first segment that a window needs; that of the next one to come when it needs none. */
  neededFrom(windowUs: number): number {
    // A window that was made longer needs again what it still has.
    while (this.#first > 0 && this.#neededUs < windowUs) {
      this.#first -= 1
      this.#neededUs += this.#segments[this.#first]?.durationUs ?? 0
    }
    for (;;) {
      const first = this.#segments[this.#first]
      if (first === undefined || this.#neededUs - first.durationUs < windowUs) break
      this.#neededUs -= first.durationUs
      this.#first += 1
    }
    return this.#segments[this.#first]?.msn ?? (this.lastMsn ?? -1) + 1
  }

  /** Takes out what is older than a segment. */
  dropBefore(msn: number): void {
    const oldest = this.#segments[0]
    if (oldest === undefined || msn <= oldest.msn) return
    const count = Math.min(msn - oldest.msn, this.#segments.length)
    for (let index = this.#first; index < count; index += 1) {
      this.#neededUs -= this.#segments[index]?.durationUs ?? 0
    }
    this.#segments = this.#segments.slice(count)
    this.#first = Math.max(0, this.#first - count)
  }

  /** Takes everything out. */
  clear(): void {
    this.#segments = []
    this.#first = 0
    this.#neededUs = 0
  }
}
