/**
 * The renditions of one session, whoever makes them: the packager, a transcoder, captions. Players are told of all of them at
 * once, with one target duration, as RFC 8216 6.2.4 asks of a stream's media playlists.
 */
import type { Publication } from '../content/publication/publication.ts'
import { RENDITION_NAME } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import { sessionLimits } from '../limits/packaging.ts'
import { contentLimits } from '../limits.ts'
import type { PackagerRendition } from '../media/packager/rendition-facts.ts'

/** Names of what the publisher itself sends. */
const SOURCE_PATTERN = /^(?:source|audio)(?:-[0-9]+)?$/

/** Names may be taken before the publisher's tracks are known, so that there is always room for those. */
const ADDED_MAX = contentLimits.renditionsMax - 1 - sessionLimits.tracksMax

/** Renditions by name, in the order in which they came. */
export class RenditionList {
  readonly #publication: Publication
  #own: readonly PackagerRendition[] = []
  /** Names taken, and what is said of each once it has a part. */
  readonly #added = new Map<string, PackagerRendition | undefined>()
  #targetDurationS = 1

  constructor(publication: Publication) {
    this.#publication = publication
  }

  /** EXT-X-TARGETDURATION of the stream, seconds; only grows. */
  get targetDurationS(): number {
    return this.#targetDurationS
  }

  /**
   * Reserves a name.
   * @throws KairoError `ERR_INVALID_INPUT`, `ERR_NAME_TAKEN`, `ERR_LIMIT`.
   */
  reserve(name: string, isSource = false): void {
    if (!RENDITION_NAME.test(name)) {
      throw new KairoError('ERR_INVALID_INPUT', `${name} cannot be the name of a rendition`)
    }
    if (this.#added.has(name) || (!isSource && SOURCE_PATTERN.test(name))) {
      throw new KairoError('ERR_NAME_TAKEN', `the stream already has a rendition ${name}`)
    }
    if (this.#added.size >= ADDED_MAX) {
      throw new KairoError('ERR_LIMIT', `${ADDED_MAX} renditions may be added to a stream`)
    }
    this.#added.set(name, undefined)
  }

  /** Tells of the publisher's own renditions. */
  setOwn(renditions: readonly PackagerRendition[]): void {
    this.#own = renditions
    this.#publish()
  }

  /** Tells of a rendition whose name was reserved. */
  set(rendition: PackagerRendition): void {
    this.#added.set(rendition.info.name, rendition)
    this.#publish()
  }

  /** Takes a rendition off the stream, for good if it was ever told of. */
  remove(name: string): void {
    const known = this.#added.get(name)
    this.#added.delete(name)
    if (known === undefined) return
    this.#publication.dropRendition(name)
  }

  #publish(): void {
    const added = [...this.#added.values()].filter((one) => one !== undefined)
    const renditions = [...this.#own, ...added]
    const targets = renditions.map(({ targetDurationS }) => targetDurationS)
    this.#targetDurationS = Math.max(this.#targetDurationS, ...targets)
    const targetDurationS = this.#targetDurationS
    this.#publication.setRenditions(renditions.map((one) => ({ ...one, targetDurationS })))
  }
}
