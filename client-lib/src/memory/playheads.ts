/** Where renditions play, and how far parts are from there. */
import type { PartPlace } from '../protocol/part-key.ts'
import { memoryLimits as limits } from './limits.ts'

/** More than any sequence number. */
const sequencesMax = 1e15

/** The playheads of a page: one a rendition that plays. */
export class Playheads {
  /** The one set last stands last. */
  readonly #heads = new Map<string, { readonly sequence: number; readonly turn: number }>()
  #turn = 0

  set(rendition: string, sequence: number): void {
    this.#turn += 1
    this.#heads.delete(rendition)
    this.#heads.set(rendition, { sequence, turn: this.#turn })
    for (const [name, { turn }] of this.#heads) {
      const isOld = this.#turn - turn > limits.playheadAge
      if (isOld || this.#heads.size > limits.playheadsMax) this.#heads.delete(name)
    }
  }

  /** The more, the less a part is of use: ahead of the playhead, behind it, or of a rendition that does not play. */
  distance({ rendition, sequence }: PartPlace): number {
    const head = this.#heads.get(rendition)
    if (head === undefined) return 2 * sequencesMax
    const ahead = sequence - head.sequence
    return ahead < 0 ? sequencesMax - ahead : ahead
  }
}
