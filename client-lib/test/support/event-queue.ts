/** Time of a simulation: what is to happen, in order of its moment; of one moment in the order in which it was planned. */

interface Entry {
  readonly atMs: number
  readonly no: number
  readonly run: () => void
}

/** A queue of moments. */
export class EventQueue {
  readonly #heap: Entry[] = []
  #no = 0
  #nowMs = 0

  get nowMs(): number {
    return this.#nowMs
  }

  get size(): number {
    return this.#heap.length
  }

  /** Plans something; what lies in the past happens now. */
  at(ms: number, run: () => void): void {
    const entry = { atMs: Math.max(this.#nowMs, ms), no: this.#no++, run }
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const other = heap[parent]
      if (other === undefined || isBefore(other, entry)) break
      heap[at] = other
      at = parent
    }
    heap[at] = entry
  }

  after(ms: number, run: () => void): void {
    this.at(this.#nowMs + ms, run)
  }

  /** Lets happen what happens next, unless that is later than `untilMs`. Returns whether something did. */
  step(untilMs: number): boolean {
    const [first] = this.#heap
    if (first === undefined || first.atMs > untilMs) return false
    const last = this.#heap.pop()
    if (last !== undefined && last !== first) this.#sink(last)
    this.#nowMs = first.atMs
    first.run()
    return true
  }

  /** Lets everything happen until then. */
  run(untilMs: number): void {
    while (this.step(untilMs));
    this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  #sink(entry: Entry): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      const left = heap[2 * at + 1]
      const right = heap[2 * at + 2]
      if (left === undefined) break
      const isRight = right !== undefined && isBefore(right, left)
      const child = isRight ? right : left
      if (isBefore(entry, child)) break
      heap[at] = child
      at = 2 * at + (isRight ? 2 : 1)
    }
    heap[at] = entry
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.no < other.no)
}

/** Numbers from 0 up to 1 that look random and follow from the seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
