/**
 * The kept objects of the disk tier: each keeper's word is on disk before it counts as given, all together leave room for others, and
 * what one keeper says of one object takes effect in the order in which it is said.
 */
import { KairoError } from '../../errors.ts'
import { storeLimits } from '../../limits/store.ts'
import type { Digest } from '../digest.ts'
import type { Catalog } from './catalog.ts'
import type { Keeper } from './keepers.ts'
import type { ObjectClasses } from './object-classes.ts'

/** The disk tier, as its kept objects see it. */
export interface KeepingTier {
  readonly bytesMax: number
  readonly filesMax: number
  /** Bytes of kept objects that are here. */
  readonly keptBytes: () => number
  readonly has: (digest: Digest) => boolean
  /** Bytes of an object that is here, else 0. */
  readonly bytesOf: (digest: Digest) => number
  /** Resolves when writes of the object that are queued have been done or have failed. */
  readonly written: (digest: Digest) => Promise<void> | undefined
  /** The object's class may be another one now. */
  readonly reclass: (digest: Digest) => void
}

/** What the kept objects stand on. */
export interface KeptObjectsComponents {
  readonly classes: ObjectClasses
  readonly catalog: Pick<Catalog, 'setKept' | 'distrust'>
  readonly tier: KeepingTier
}

/** Keeps and releases. */
export class KeptObjects {
  readonly #classes: ObjectClasses
  readonly #catalog: Pick<Catalog, 'setKept' | 'distrust'>
  readonly #tier: KeepingTier
  /** The last change of what a keeper says of an object that is still being written down. */
  readonly #changes = new Map<string, Promise<void>>()

  constructor({ classes, catalog, tier }: KeptObjectsComponents) {
    this.#classes = classes
    this.#catalog = catalog
    this.#tier = tier
  }

  /**
   * Keeps an object that is here until this keeper releases it, over restarts; on disk when the promise resolves.
   * @throws KairoError `ERR_STORAGE` when there is no room for more kept objects, or it cannot be written down.
   */
  async keep(digest: Digest, keeper: Keeper): Promise<void> {
    await this.#inOrder(digest, keeper, () => this.#keep(digest, keeper))
  }

  /**
   * Takes a keeper's word back; nothing happens where it did not give one.
   * @throws KairoError `ERR_STORAGE` when it cannot be written down; it is kept again after a restart then.
   */
  async release(digest: Digest, keeper: Keeper): Promise<void> {
    await this.#inOrder(digest, keeper, () => this.#release(digest, keeper))
  }

  async #keep(digest: Digest, keeper: Keeper): Promise<void> {
    const isWritten = this.#classes.isKeptBy(digest, keeper)
    if (this.#classes.keepersOf(digest) === 0) this.#checkRoom(digest)
    this.#classes.keep(digest, keeper)
    this.#tier.reclass(digest)
    try {
      await this.#tier.written(digest)
      if (!this.#tier.has(digest)) throw new Error('its file could not be written')
      if (!isWritten) await this.#catalog.setKept(digest, this.#classes.keepersOf(digest))
    } catch (cause) {
      if (!isWritten) this.#takeBack(digest, keeper)
      throw new KairoError('ERR_STORAGE', 'the object cannot be kept', { cause })
    }
  }

  async #release(digest: Digest, keeper: Keeper): Promise<void> {
    if (!this.#classes.isKeptBy(digest, keeper)) return
    this.#classes.release(digest, keeper)
    this.#tier.reclass(digest)
    try {
      await this.#catalog.setKept(digest, this.#classes.keepersOf(digest))
    } catch (cause) {
      throw new KairoError('ERR_STORAGE', 'the release cannot be written down', { cause })
    }
  }

  /** Those that got lost count too: they are kept again when they are back. */
  #checkRoom(digest: Digest): void {
    const { bytesMax, filesMax, keptBytes, bytesOf } = this.#tier
    const { keptShareMax } = storeLimits
    const isOver =
      keptBytes() + bytesOf(digest) > bytesMax * keptShareMax ||
      this.#classes.kept.size + 1 > filesMax * keptShareMax
    if (isOver) throw new KairoError('ERR_STORAGE', 'kept objects leave no room for another')
  }

  #takeBack(digest: Digest, keeper: Keeper): void {
    this.#classes.release(digest, keeper)
    this.#tier.reclass(digest)
    // Another keeper's record, written meanwhile, may have taken this one's word along.
    this.#catalog.distrust()
  }

  async #inOrder(digest: Digest, keeper: Keeper, work: () => Promise<void>): Promise<void> {
    const key = `${keeper} ${digest}`
    const before = this.#changes.get(key)
    const mine = before === undefined ? work() : before.then(work, work)
    this.#changes.set(key, mine)
    try {
      await mine
    } finally {
      if (this.#changes.get(key) === mine) this.#changes.delete(key)
    }
  }
}
