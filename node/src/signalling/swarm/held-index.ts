/**
 * What one page says that it holds whole: the runs of its last state, and single parts told of since. Only the first runs are listened to, and of what is
 * new only the newest parts are handed on, so that a message costs the same whatever it claims.
 */
import {
  type HeldParts,
  type PartKey,
  type PartPlace,
  partKey,
  readPartKey,
} from '@kairo/client/protocol'
import { pageSwarmLimits as limits } from '../../limits/swarm.ts'

interface Run {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** Of one page. */
export class HeldIndex {
  /** Whole segments by rendition. */
  #runs = new Map<string, Run[]>()
  /** Parts of segments. */
  #parts = new Set<PartKey>()
  readonly #since = new Set<PartKey>()

  /** Whether the page holds a part, as far as it told; `place` is what the key names. */
  has(key: PartKey, place: PartPlace | undefined): boolean {
    if (this.#since.has(key) || this.#parts.has(key)) return true
    if (place === undefined || place.part !== undefined) return false
    return isIn(this.#runs.get(place.rendition), place.sequence)
  }

  /** A part of which the page tells by itself. */
  add(key: PartKey): void {
    const [oldest] = this.#since
    if (this.#since.size >= limits.heldSinceMax) this.#since.delete(oldest as PartKey)
    this.#since.add(key)
  }

  /** Takes a state. Returns what is new, and whether all of it was listened to. */
  replace(held: readonly HeldParts[]): { readonly fresh: PartKey[]; readonly isAll: boolean } {
    const [runs, parts, fresh] = [new Map<string, Run[]>(), new Set<PartKey>(), [] as PartKey[]]
    for (const { key, count } of held.slice(0, limits.heldRunsMax)) {
      const place = readPartKey(key)
      if (place === undefined) continue
      const { rendition, sequence, part } = place
      if (part !== undefined) {
        parts.add(key)
        if (!this.#parts.has(key)) fresh.push(key)
        continue
      }
      const run = { from: sequence, to: sequence + count }
      const known = this.#runs.get(rendition)
      for (let at = Math.max(run.from, run.to - limits.heldNotedMax); at < run.to; at += 1) {
        if (!isIn(known, at)) fresh.push(partKey({ rendition, sequence: at, part: undefined }))
      }
      const others = runs.get(rendition)
      if (others === undefined) runs.set(rendition, [run])
      else others.push(run)
    }
    this.#runs = runs
    this.#parts = parts
    this.#since.clear()
    return { fresh: fresh.slice(-limits.heldNotedMax), isAll: held.length <= limits.heldRunsMax }
  }
}

function isIn(runs: readonly Run[] | undefined, sequence: number): boolean {
  return runs?.some(({ from, to }) => from <= sequence && sequence < to) ?? false
}
