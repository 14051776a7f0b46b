/** Who wants to know when something about a part changes. */
import { KairoError } from '../errors.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { memoryLimits as limits } from './limits.ts'

interface Watched {
  readonly listeners: Set<() => void>
  isTelling: boolean
  /** Something changed while listeners were told. */
  isStale: boolean
}

/** The listeners. They are told that there is something, not what; so one call may stand for several changes. */
export class Watchers {
  readonly #watched = new Map<PartKey, Watched>()
  #count = 0

  /**
   * Calls `listener` from now on. Returns what ends that.
   * @throws KairoError `ERR_LIMIT`
   */
  add(key: PartKey, listener: () => void): () => void {
    if (this.#count >= limits.watchersMax) throw new KairoError('ERR_LIMIT', 'too many watchers')
    // A function of its own: the same one may be given twice.
    const own = (): void => listener()
    const watched = this.#watched.get(key) ?? {
      listeners: new Set(),
      isTelling: false,
      isStale: false,
    }
    this.#watched.set(key, watched)
    watched.listeners.add(own)
    this.#count += 1
    return () => {
      if (!watched.listeners.delete(own)) return
      this.#count -= 1
      if (watched.listeners.size === 0 && this.#watched.get(key) === watched) {
        this.#watched.delete(key)
      }
    }
  }

  /** Tells all listeners of a part. Changes that they make are told when all have been told, not inside one another. */
  tell(key: PartKey): void {
    const watched = this.#watched.get(key)
    if (watched === undefined) return
    watched.isStale = true
    if (watched.isTelling) return
    watched.isTelling = true
    while (watched.isStale) {
      watched.isStale = false
      for (const listener of [...watched.listeners]) {
        if (watched.listeners.has(listener)) call(listener)
      }
    }
    watched.isTelling = false
  }
}

/** Calls a listener; what it throws shows up as an uncaught error, and does not end what the caller is at. */
function call(listener: () => void): void {
  try {
    listener()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
