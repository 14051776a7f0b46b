/** What a peer holds of one rendition, kept from what comes and goes, as it is told to the leader of its shard. */
import { strict as assert } from 'node:assert'
import { type Holding, type PartWindow, type SegmentRange, u32Max } from './holding.ts'
import { softLimits } from './soft-limits.ts'

const BITS_PER_BYTE = 8

/** Parts of segments that are not complete yet, whole segments, viewers. */
export class HeldParts {
  /** Viewers that this peer serves. */
  viewers = 0
  readonly #partsPerSegment: number
  /** Ascending, with gaps between them. */
  readonly #ranges: { first: number; count: number }[] = []
  /** Parts of segments that are not whole, a bit each, by segment. */
  readonly #parts = new Map<number, Uint8Array>()
  readonly #segmentsMax: number

  /** @param partsPerSegment the most parts that a segment of this rendition has, 1 to {@link softLimits}.partsPerSegmentMax */
  constructor(partsPerSegment: number) {
    assert(
      partsPerSegment >= 1 && partsPerSegment <= softLimits.partsPerSegmentMax,
      'a segment has some parts',
    )
    this.#partsPerSegment = partsPerSegment
    this.#segmentsMax = Math.floor((softLimits.windowBytesMax * BITS_PER_BYTE) / partsPerSegment)
  }

  /** A part came. @returns whether that is news */
  addPart(segment: number, part: number): boolean {
    assertSegment(segment)
    assert(part >= 0 && part < this.#partsPerSegment, 'no segment has so many parts')
    if (this.#hasSegment(segment)) return false
    let bits = this.#parts.get(segment)
    if (bits === undefined) {
      bits = new Uint8Array(Math.ceil(this.#partsPerSegment / BITS_PER_BYTE))
      this.#parts.set(segment, bits)
    }
    const byte = part >>> 3
    const bit = 1 << (part & 7)
    if (((bits[byte] as number) & bit) !== 0) return false
    bits[byte] = (bits[byte] as number) | bit
    this.#forgetOldParts()
    return true
  }

  /** Whole segments are here. @returns whether that is news */
  addSegments(first: number, count = 1): boolean {
    assertSegment(first)
    assert(count >= 1, 'some segments')
    assertSegment(first + count - 1)
    let from = first
    let end = first + count
    const ranges = this.#ranges
    // Those that touch the new one or lie in it.
    let at = ranges.findIndex((range) => range.first + range.count >= from)
    if (at === -1) at = ranges.length
    let touching = 0
    for (;;) {
      const range = ranges[at + touching]
      if (range === undefined || range.first > end) break
      if (range.first <= first && range.first + range.count >= first + count) return false
      from = Math.min(from, range.first)
      end = Math.max(end, range.first + range.count)
      touching += 1
    }
    ranges.splice(at, touching, { first: from, count: end - from })
    // What is told is bounded: the oldest range is the one that is missed least.
    if (ranges.length > softLimits.rangesPerEntryMax) ranges.shift()
    for (const segment of this.#parts.keys()) {
      if (segment >= from && segment < end) this.#parts.delete(segment)
    }
    return true
  }

  /** Segments and their parts are gone. @returns whether that is news */
  remove(first: number, count = 1): boolean {
    const end = first + count
    let changed = false
    for (const segment of this.#parts.keys()) {
      if (segment >= first && segment < end) changed = this.#parts.delete(segment) || changed
    }
    for (let at = this.#ranges.length - 1; at >= 0; at--) {
      const range = this.#ranges[at] as { first: number; count: number }
      const rangeEnd = range.first + range.count
      if (rangeEnd <= first || range.first >= end) continue
      changed = true
      const left: { first: number; count: number }[] = []
      if (range.first < first) left.push({ first: range.first, count: first - range.first })
      if (rangeEnd > end) left.push({ first: end, count: rangeEnd - end })
      this.#ranges.splice(at, 1, ...left)
    }
    if (this.#ranges.length > softLimits.rangesPerEntryMax) this.#ranges.shift()
    return changed
  }

  /** As it is told now. */
  toHolding(): Holding {
    const ranges: SegmentRange[] = this.#ranges.map((range) => ({ ...range }))
    return { viewers: this.viewers, window: this.#window(), ranges }
  }

  #window(): PartWindow | undefined {
    if (this.#parts.size === 0) return undefined
    const firstSegment = Math.min(...this.#parts.keys())
    const bits = new Uint8Array(softLimits.windowBytesMax)
    let last = 0
    for (const [segment, parts] of this.#parts) {
      const from = (segment - firstSegment) * this.#partsPerSegment
      for (let part = 0; part < this.#partsPerSegment; part++) {
        if ((((parts[part >>> 3] as number) >>> (part & 7)) & 1) === 0) continue
        const bit = from + part
        bits[bit >>> 3] = (bits[bit >>> 3] as number) | (1 << (bit & 7))
        last = Math.max(last, bit)
      }
    }
    return {
      firstSegment,
      partsPerSegment: this.#partsPerSegment,
      bits: bits.subarray(0, (last >>> 3) + 1),
    }
  }

  #hasSegment(segment: number): boolean {
    return this.#ranges.some(({ first, count }) => segment >= first && segment < first + count)
  }

  /** The window reaches back from the newest part as far as its bits go. */
  #forgetOldParts(): void {
    const oldest = Math.max(...this.#parts.keys()) - this.#segmentsMax
    for (const segment of this.#parts.keys()) if (segment <= oldest) this.#parts.delete(segment)
  }
}

function assertSegment(segment: number): void {
  assert(Number.isInteger(segment) && segment >= 0 && segment <= u32Max, 'a media sequence number')
}
