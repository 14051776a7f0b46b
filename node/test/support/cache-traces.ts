/** Requests against a cache, made up from a seed: popularity after Zipf, scans; and the rival, least recently used. */

/** Numbers in [0, 1) that a seed decides (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** `count` requests for `objects` objects, of which the n-th most popular is asked for in proportion to 1/n^alpha. */
export function zipfTrace(
  random: () => number,
  options: { readonly objects: number; readonly count: number; readonly alpha: number },
): string[] {
  const cumulative = new Float64Array(options.objects)
  let sum = 0
  for (let rank = 0; rank < options.objects; rank += 1) {
    sum += 1 / (rank + 1) ** options.alpha
    cumulative[rank] = sum
  }
  return Array.from({ length: options.count }, () => {
    const wanted = random() * sum
    let low = 0
    let high = options.objects - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((cumulative[middle] ?? 0) < wanted) low = middle + 1
      else high = middle
    }
    return `object ${low}`
  })
}

/** Least recently used, bounded by bytes. */
export class LruModel {
  readonly #bytesMax: number
  readonly #sizes = new Map<string, number>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** True when it was there; it is afterwards. */
  ask(key: string, bytes: number): boolean {
    const isHit = this.#sizes.delete(key)
    this.#sizes.set(key, bytes)
    if (isHit) return true
    this.#bytes += bytes
    for (const [oldest, size] of this.#sizes) {
      if (this.#bytes <= this.#bytesMax) break
      this.#sizes.delete(oldest)
      this.#bytes -= size
    }
    return false
  }
}
