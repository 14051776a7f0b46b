/**
 * What is asked for most, counted in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent
 * and top-k elements in data streams", ICDT 2005) with counts that decay. A key that is not among those counted takes the place of
 * the least popular one and its count, which is remembered as the most by which it may be too high.
 */
import assert from 'node:assert/strict'

/** How often a key was asked for, decayed. */
export interface PopularKey {
  readonly key: string
  /** At least the truth. */
  readonly count: number
  /** The truth is at most this much lower. */
  readonly error: number
}

interface Counted {
  readonly key: string
  count: number
  error: number
  /** Its place in the heap. */
  at: number
}

/** Counts keys. Every key that had more than 1/keysMax of all requests is among those counted. No clock, no I/O. */
export class Popularity {
  readonly #keysMax: number
  readonly #byKey = new Map<string, Counted>()
  /** A binary heap, the least popular first. */
  readonly #heap: Counted[] = []

  constructor(init: { readonly keysMax: number }) {
    assert(init.keysMax > 0, 'room for a key')
    this.#keysMax = init.keysMax
  }

  /** Keys counted now. */
  get size(): number {
    return this.#heap.length
  }

  /** A key was asked for, `weight` times. */
  add(key: string, weight = 1): void {
    const known = this.#byKey.get(key)
    if (known !== undefined) {
      known.count += weight
      this.#sink(known)
      return
    }
    const least = this.#heap[0]
    if (this.#heap.length < this.#keysMax || least === undefined) {
      const counted = { key, count: weight, error: 0, at: this.#heap.length }
      this.#byKey.set(key, counted)
      this.#heap.push(counted)
      this.#rise(counted)
      return
    }
    this.#byKey.delete(least.key)
    const counted = { key, count: least.count + weight, error: least.count, at: 0 }
    this.#byKey.set(key, counted)
    this.#heap[0] = counted
    this.#sink(counted)
  }

  /** What is known of a key; undefined when it is not among those counted. */
  of(key: string): PopularKey | undefined {
    const counted = this.#byKey.get(key)
    return counted && { key, count: counted.count, error: counted.error }
  }

  /** Multiplies all counts by `factor`, from 0 to 1; keys whose count falls below `countMin` are forgotten. */
  decay(factor: number, countMin: number): void {
    const kept = this.#heap.filter((counted) => {
      counted.count *= factor
      counted.error *= factor
      if (counted.count >= countMin) return true
      this.#byKey.delete(counted.key)
      return false
    })
    // What is sorted is a heap.
    kept.sort((a, b) => a.count - b.count)
    for (const [at, counted] of kept.entries()) counted.at = at
    this.#heap.splice(0, this.#heap.length, ...kept)
  }

  /** Up to `count` keys that were certainly asked for at least `countMin` times, the most popular first. */
  top(count: number, countMin = 0): PopularKey[] {
    return this.#heap
      .filter((counted) => counted.count - counted.error >= countMin)
      .sort((a, b) => b.count - a.count || (a.key < b.key ? -1 : 1))
      .slice(0, count)
      .map(({ key, count: counted, error }) => ({ key, count: counted, error }))
  }

  #rise(counted: Counted): void {
    for (;;) {
      const above = this.#heap[(counted.at - 1) >> 1]
      if (counted.at === 0 || above === undefined || above.count <= counted.count) return
      this.#swap(counted, above)
    }
  }

  #sink(counted: Counted): void {
    for (;;) {
      const left = this.#heap[2 * counted.at + 1]
      const right = this.#heap[2 * counted.at + 2]
      const lesser = right !== undefined && left !== undefined && right.count < left.count
      const below = lesser ? right : left
      if (below === undefined || below.count >= counted.count) return
      this.#swap(counted, below)
    }
  }

  #swap(a: Counted, b: Counted): void {
    const { at } = a
    a.at = b.at
    b.at = at
    this.#heap[a.at] = a
    this.#heap[b.at] = b
  }
}
