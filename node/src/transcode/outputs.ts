/** The renditions that a transcoder adds to one stream: kept while children come and go, taken off when a rung is given up. */
import { isKairoError } from '../errors.ts'
import type { AudioRung, VideoRung } from '../media/ladder/rung.ts'
import type { DerivedRendition, PublishedSession } from '../media/published-session.ts'

/** A rung, its rendition and how far that has come. */
export interface Output {
  readonly rung: VideoRung | AudioRung
  readonly rendition: DerivedRendition
}

/** Renditions by the name of their rung. */
export class Outputs {
  readonly #session: PublishedSession
  #outputs = new Map<string, Output>()

  constructor(session: PublishedSession) {
    this.#session = session
  }

  /** In the order of the rungs last asked for. */
  get all(): readonly Output[] {
    return [...this.#outputs.values()]
  }

  /**
   * Makes the renditions those of `rungs`: new ones are announced, others removed, the rest go on.
   * @returns reasons by name of rungs that the stream has no place for.
   */
  set(rungs: readonly (VideoRung | AudioRung)[]): ReadonlyMap<string, string> {
    const refused = new Map<string, string>()
    const before = this.#outputs
    this.#outputs = new Map()
    for (const [name, { rendition }] of before) {
      if (!rungs.some((rung) => rung.name === name)) rendition.remove()
    }
    for (const rung of rungs) {
      try {
        const rendition = before.get(rung.name)?.rendition ?? this.#derive(rung)
        this.#outputs.set(rung.name, { rung, rendition })
      } catch (error) {
        if (!isKairoError(error)) throw error
        refused.set(rung.name, error.message)
      }
    }
    return refused
  }

  /** How far the one that is least far has come, 1/90000 s; undefined when none has begun. */
  get position(): number | undefined {
    const positions = this.all
      .map(({ rendition }) => rendition.position)
      .filter((position) => position !== undefined)
    return positions.length === 0 ? undefined : Math.min(...positions)
  }

  #derive(rung: VideoRung | AudioRung): DerivedRendition {
    return this.#session.derive({
      name: rung.name,
      kind: 'width' in rung ? 'video' : 'audio',
      bandwidthBps: 'bitrateMaxBps' in rung ? rung.bitrateMaxBps : rung.bitrateBps,
    })
  }
}
