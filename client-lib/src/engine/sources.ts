/** Where HTTP has the parts that a playlist named of late. */
import type { PartKey } from '../protocol/part-key.ts'
import { engineLimits as limits } from './limits.ts'
import type { PartSource } from './part-request.ts'

/** The URLs by part; the oldest are forgotten. */
export class Sources {
  readonly #sources = new Map<PartKey, PartSource>()

  /** Remembers one; a URL that was renewed (a token in it) replaces the old one. */
  add({ key, url, range }: PartSource): void {
    this.#sources.delete(key)
    this.#sources.set(key, { key, url, ...(range && { range }) })
    const [oldest] = this.#sources.keys()
    if (this.#sources.size > limits.sourcesMax) this.#sources.delete(oldest as PartKey)
  }

  get(key: PartKey): PartSource | undefined {
    return this.#sources.get(key)
  }
}
