/** Which bytes of a part are there: stretches in order, with holes between them. */

/** Bytes from one to before another. */
export interface ByteRange {
  readonly from: number
  /** The first byte that does not belong to it. */
  readonly to: number
}

/** A set of bytes; each question costs the logarithm of the number of stretches. */
export class ByteRuns {
  /** In order; none touches the next one. */
  #runs: ByteRange[] = []

  /** The end of the last stretch; 0 when there is none. */
  get end(): number {
    return this.#runs.at(-1)?.to ?? 0
  }

  /** Bytes in a row from one on. */
  available(from: number): number {
    const run = this.#runs[this.#after(from)]
    return run === undefined || run.from > from ? 0 : run.to - from
  }

  /** Holes between two places. */
  missing(from: number, to: number): ByteRange[] {
    const holes: ByteRange[] = []
    let at = from
    for (let index = this.#after(from); at < to; index += 1) {
      const run = this.#runs[index]
      const until = Math.min(run?.from ?? to, to)
      if (until > at) holes.push({ from: at, to: until })
      if (run === undefined) break
      at = run.to
    }
    return holes
  }

  /** How many stretches there would be with these bytes, too. */
  countWith({ from, to }: ByteRange): number {
    const { first, last } = this.#touched(from, to)
    return this.#runs.length - (last - first) + 1
  }

  add({ from, to }: ByteRange): void {
    const { first, last } = this.#touched(from, to)
    const joined = this.#runs.slice(first, last)
    const start = Math.min(from, joined[0]?.from ?? from)
    const end = Math.max(to, joined.at(-1)?.to ?? to)
    this.#runs.splice(first, last - first, { from: start, to: end })
  }

  /** The stretches, from `first` to before `last`, that become one with these bytes. */
  #touched(from: number, to: number): { first: number; last: number } {
    const first = this.#after(from - 1)
    let last = first
    while (last < this.#runs.length && (this.#runs[last]?.from ?? 0) <= to) last += 1
    return { first, last }
  }

  #after(at: number): number {
    return firstBehind(this.#runs, at)
  }
}

/** The first of some ranges, in order, that ends behind a byte; their number when none does. */
export function firstBehind(ranges: readonly ByteRange[], at: number): number {
  let [low, high] = [0, ranges.length]
  // Most often it is none.
  if ((ranges.at(-1)?.to ?? 0) <= at) return high
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ranges[middle]?.to ?? 0) <= at) low = middle + 1
    else high = middle
  }
  return low
}
