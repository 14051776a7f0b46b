/**
 * Runs of 32-bit words of many lengths in a few large arrays: bit fields, ranges and lists for hundreds of thousands of peers without an
 * object for any of them. Runs are powers of two long; a freed one is used again for one of its length.
 */
import { strict as assert } from 'node:assert'

/** Words of a chunk, as a power of two: 1 MiB. Memory grows by it, and no copy is larger. */
const CHUNK_BITS = 18
const CHUNK_WORDS = 1 << CHUNK_BITS
const CHUNK_MASK = CHUNK_WORDS - 1

/** A pool that holds little does not take a whole chunk. */
const CHUNK_WORDS_FIRST = 1 << 10

/** Runs of one chunk are the longest. */
export const runClassMax: number = CHUNK_BITS

/** The class (power of two) whose runs hold `words` words; the shortest is two words. */
export function runClassFor(words: number): number {
  return words <= 2 ? 1 : 32 - Math.clz32(words - 1)
}

/** Hands out runs. The address of a run is a number above 0; 0 is none. */
export class WordPool {
  readonly #chunks: Uint32Array[] = [new Uint32Array(CHUNK_WORDS_FIRST)]
  /** First free run of each class; the first word of a free run is the next one. */
  readonly #free = new Uint32Array(runClassMax + 1)
  readonly #wordsMax: number
  /** Where untouched words of the last chunk start. The first two words stay unused, so that no run is at 0. */
  #fresh = 2
  /** Words in runs that are in use. */
  used = 0

  /** @param wordsMax beyond it no run is given out */
  constructor(wordsMax: number) {
    this.#wordsMax = wordsMax
  }

  /** Bytes that the pool takes. */
  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  }

  /** The array in which a run lies; do not keep it over a call of {@link allocate}. */
  chunk(at: number): Uint32Array {
    return this.#chunks[at >>> CHUNK_BITS] as Uint32Array
  }

  /** Where in its array a run starts. */
  offset(at: number): number {
    return at & CHUNK_MASK
  }

  /** A run of a class, its words unspecified; 0 when the pool is full. */
  allocate(runClass: number): number {
    assert(runClass >= 1 && runClass <= runClassMax, 'a run has a class')
    const words = 1 << runClass
    if (this.used + words > this.#wordsMax) return 0
    const freed = this.#free[runClass] as number
    if (freed !== 0) {
      this.#free[runClass] = this.chunk(freed)[this.offset(freed)] as number
      this.used += words
      return freed
    }
    const at = this.#takeFresh(words)
    this.used += words
    return at
  }

  /** Gives a run back. */
  release(at: number, runClass: number): void {
    assert(at !== 0, 'a run that was given out')
    this.used -= 1 << runClass
    this.#keepFree(at, runClass)
  }

  #keepFree(at: number, runClass: number): void {
    this.chunk(at)[this.offset(at)] = this.#free[runClass] as number
    this.#free[runClass] = at
  }

  #takeFresh(words: number): number {
    if (this.#chunks.length === 1) this.#growFirst(words)
    if (this.#fresh + words > CHUNK_WORDS) {
      this.#keepRest()
      this.#chunks.push(new Uint32Array(CHUNK_WORDS))
      this.#fresh = 0
    }
    const at = (this.#chunks.length - 1) * CHUNK_WORDS + this.#fresh
    this.#fresh += words
    return at
  }

  #growFirst(words: number): void {
    const first = this.#chunks[0] as Uint32Array
    let length = first.length
    while (length < CHUNK_WORDS && this.#fresh + words > length) length *= 2
    if (length === first.length) return
    const grown = new Uint32Array(length)
    grown.set(first)
    this.#chunks[0] = grown
  }

  /** What is left of a chunk becomes free runs. */
  #keepRest(): void {
    const base = (this.#chunks.length - 1) * CHUNK_WORDS
    // A chunk that never grew to its full length has nothing beyond it.
    const end = this.chunk(base).length
    while (end - this.#fresh >= 2) {
      const runClass = 31 - Math.clz32(end - this.#fresh)
      this.#keepFree(base + this.#fresh, Math.min(runClass, runClassMax))
      this.#fresh += 1 << Math.min(runClass, runClassMax)
    }
  }
}
