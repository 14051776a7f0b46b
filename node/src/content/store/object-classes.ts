/** What the store was told about digests, whether or not their bytes are here: which are in live windows, which are kept. */
import type { Digest } from '../digest.ts'
import type { ObjectClass } from '../eviction/s3-fifo.ts'

/** Pins of live windows, counted, and the operator's word. */
export class ObjectClasses {
  /** How many windows hold each digest. */
  readonly #pins = new Map<Digest, number>()
  readonly #kept = new Set<Digest>()

  /** Digests that are kept. */
  get kept(): ReadonlySet<Digest> {
    return this.#kept
  }

  /** Adds a pin. */
  pin(digest: Digest): void {
    this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1)
  }

  /** Takes one pin back; nothing happens where there is none. */
  unpin(digest: Digest): void {
    const pins = this.#pins.get(digest) ?? 0
    if (pins > 1) this.#pins.set(digest, pins - 1)
    else this.#pins.delete(digest)
  }

  /** Says that an object is kept. */
  keep(digest: Digest): void {
    this.#kept.add(digest)
  }

  /** Says that it is not. */
  release(digest: Digest): void {
    this.#kept.delete(digest)
  }

  /** The class where kept objects lie. */
  of(digest: Digest): ObjectClass {
    return this.#kept.has(digest) ? 'kept' : this.inWindow(digest)
  }

  /** The class in RAM before a disk, where being kept means nothing: the disk has it. */
  inWindow(digest: Digest): ObjectClass {
    return this.#pins.has(digest) ? 'live' : 'loose'
  }
}
