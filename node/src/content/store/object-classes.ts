/** What the store was told about digests, whether or not their bytes are here: which are in live windows, which are kept. */
import type { Digest } from '../digest.ts'
import type { ObjectClass } from '../eviction/s3-fifo.ts'
import { bitOf, type Keeper, type KeeperBits } from './keepers.ts'

/** Pins of live windows, counted, and the word of each keeper. */
export class ObjectClasses {
  /** How many windows hold each digest. */
  readonly #pins = new Map<Digest, number>()
  readonly #kept = new Map<Digest, KeeperBits>()

  /** Digests that are kept, and by whom. */
  get kept(): ReadonlyMap<Digest, KeeperBits> {
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

  /** Who keeps an object. */
  keepersOf(digest: Digest): KeeperBits {
    return this.#kept.get(digest) ?? 0
  }

  /** True when this keeper, whoever else, keeps an object. */
  isKeptBy(digest: Digest, keeper: Keeper): boolean {
    return (this.keepersOf(digest) & bitOf(keeper)) !== 0
  }

  /** Says that a keeper keeps an object. */
  keep(digest: Digest, keeper: Keeper): void {
    this.setKeepers(digest, this.keepersOf(digest) | bitOf(keeper))
  }

  /** Says that it does not. */
  release(digest: Digest, keeper: Keeper): void {
    this.setKeepers(digest, this.keepersOf(digest) & ~bitOf(keeper))
  }

  /** Says who keeps an object, all of them. */
  setKeepers(digest: Digest, bits: KeeperBits): void {
    if (bits === 0) this.#kept.delete(digest)
    else this.#kept.set(digest, bits)
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
