/** Everything that plays at this peer: its own videos and recordings first, then what other peers tell of. */
import type {
  ObjectReadOptions,
  PlayableSource,
  Presentation,
  PresentationOutline,
  PresentationSource,
} from '../archive/presentation.ts'
import type { Digest } from '../digest.ts'

/** Own presentations and those of others as one. */
export class PlayableVideos implements PlayableSource {
  readonly #own: PresentationSource
  readonly #others: PlayableSource

  constructor(own: PresentationSource, others: PlayableSource) {
    this.#own = own
    this.#others = others
  }

  get(id: string): Presentation | undefined {
    return this.#own.get(id) ?? this.#others.get(id)
  }

  list(): readonly Presentation[] {
    return [...this.#own.list(), ...this.#others.list()]
  }

  outline(id: string): PresentationOutline | undefined {
    return this.#own.get(id) ?? this.#others.outline(id)
  }

  async open(id: string, options: { readonly signal: AbortSignal }): Promise<Presentation> {
    return this.#own.get(id) ?? (await this.#others.open(id, options))
  }

  async read(digest: Digest, options: ObjectReadOptions): Promise<Buffer> {
    const source = this.#own.get(options.id) === undefined ? this.#others : this.#own
    return await source.read(digest, options)
  }

  peek(digest: Digest): Buffer | undefined {
    return this.#others.peek(digest)
  }
}
