/**
 * The parts that the scheduler knows, bounded. Those that are needed or under way are `active`; of the others the oldest are forgotten first,
 * at first those of which there are no bytes. Each event looks at the parts that it touches, and at active ones where it matters to all.
 */
import type { PartKey } from '../protocol/part-key.ts'
import { schedulerLimits } from './limits.ts'
import { Part } from './part-state.ts'

/** Parts by key. */
export class KnownParts {
  readonly #parts = new Map<PartKey, Part>()
  readonly #active = new Set<Part>()
  /** Without bytes, wish or anything under way: known from what peers say. The oldest first. */
  readonly #hearsay = new Set<Part>()
  readonly #onForgotten: (part: Part) => void

  /** @param onForgotten is told of parts that were forgotten because there were too many */
  constructor(onForgotten: (part: Part) => void) {
    this.#onForgotten = onForgotten
  }

  get(key: PartKey): Part | undefined {
    return this.#parts.get(key)
  }

  /** The part, made if there is room for it or room can be made; undefined when all are active. */
  open(key: PartKey): Part | undefined {
    const known = this.#parts.get(key)
    if (known !== undefined) return known
    if (this.#parts.size >= schedulerLimits.partsMax && !this.#forgetOne()) return undefined
    const part = new Part(key)
    this.#parts.set(key, part)
    this.#hearsay.add(part)
    return part
  }

  /** Puts a part where it belongs now. */
  settle(part: Part): void {
    const isActive = part.isNeeded || part.fetch !== undefined || part.pulls.size > 0
    if (isActive) this.#active.add(part)
    else this.#active.delete(part)
    if (isActive || part.have.total > 0 || part.isRecent) this.#hearsay.delete(part)
    else if (part.isEmpty) this.#delete(part)
    else this.#hearsay.add(part)
  }

  get active(): ReadonlySet<Part> {
    return this.#active
  }

  get size(): number {
    return this.#parts.size
  }

  #forgetOne(): boolean {
    const [heard] = this.#hearsay
    const part = heard ?? this.#oldestIdle()
    if (part === undefined) return false
    this.#delete(part)
    this.#onForgotten(part)
    return true
  }

  #oldestIdle(): Part | undefined {
    for (const part of this.#parts.values()) {
      if (!this.#active.has(part) && !part.isRecent && part.state !== 'checking') return part
    }
    return undefined
  }

  #delete(part: Part): void {
    this.#parts.delete(part.key)
    this.#hearsay.delete(part)
  }
}
