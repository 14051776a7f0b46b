/** Entries by something that many share: a host, a tag. */
import type { CacheEntry } from './entry.ts'

/** Sets of entries by name; a name without entries takes no room. */
export class EntrySets {
  readonly #sets = new Map<string, Set<CacheEntry>>()

  /** Entries of a name, as a copy. */
  get(name: string): CacheEntry[] {
    return [...(this.#sets.get(name) ?? [])]
  }

  add(name: string, entry: CacheEntry): void {
    const set = this.#sets.get(name)
    if (set === undefined) this.#sets.set(name, new Set([entry]))
    else set.add(entry)
  }

  delete(name: string, entry: CacheEntry): void {
    const set = this.#sets.get(name)
    if (set?.delete(entry) === true && set.size === 0) this.#sets.delete(name)
  }
}
