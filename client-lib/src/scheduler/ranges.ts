/** Which bytes of a part there are: ranges that neither overlap nor touch, in order. */

/** Bytes of a part, `to` not included. */
export interface ByteRange {
  readonly from: number
  readonly to: number
}

/** A set of bytes. */
export class Ranges {
  #list: ByteRange[] = []
  #total = 0

  /** Adds a range; returns how many bytes of it are new. */
  add(from: number, to: number): number {
    if (to <= from) return 0
    const first = this.#firstFrom(from)
    let last = first
    let low = from
    let high = to
    let known = 0
    for (let range = this.#list[last]; range && range.from <= to; range = this.#list[++last]) {
      low = Math.min(low, range.from)
      high = Math.max(high, range.to)
      known += range.to - range.from
    }
    this.#list.splice(first, last - first, { from: low, to: high })
    const added = high - low - known
    this.#total += added
    return added
  }

  clear(): void {
    this.#list = []
    this.#total = 0
  }

  /** Bytes in all. */
  get total(): number {
    return this.#total
  }

  /** In how many pieces. */
  get pieces(): number {
    return this.#list.length
  }

  /** How many of the bytes of a range there are. */
  within(from: number, to: number): number {
    let total = 0
    for (let at = this.#firstFrom(from); ; at++) {
      const range = this.#list[at]
      if (range === undefined || range.from >= to) return total
      total += Math.max(0, Math.min(to, range.to) - Math.max(from, range.from))
    }
  }

  /** What is missing up to `to` (Infinity for an end that is not known), in order. */
  missing(to: number): ByteRange[] {
    return gapsBetween(this.#list, 0, to)
  }

  /** The first range that ends at or behind a byte. */
  #firstFrom(byte: number): number {
    let low = 0
    let high = this.#list.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#list[middle]?.to ?? 0) < byte) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What of `gaps` no range of `taken` covers. Both in any order; the result is in order. */
export function without(gaps: readonly ByteRange[], taken: readonly ByteRange[]): ByteRange[] {
  const sorted = taken.toSorted((one, other) => one.from - other.from)
  return gaps.flatMap((gap) => gapsBetween(sorted, gap.from, gap.to))
}

/** Bytes of ranges in all; Infinity when one has no end. */
export function bytesOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0)
}

function gapsBetween(sorted: readonly ByteRange[], from: number, to: number): ByteRange[] {
  const gaps: ByteRange[] = []
  let at = from
  for (const range of sorted) {
    if (range.from >= to) break
    if (range.from > at) gaps.push({ from: at, to: range.from })
    at = Math.max(at, range.to)
  }
  if (at < to) gaps.push({ from: at, to })
  return gaps
}
