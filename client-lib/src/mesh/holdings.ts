/** What this page has told its neighbours that it holds, so that each piece of news is told once, and all of it to whoever comes later. */
import type { Have, MeshMessage } from '../protocol/mesh-messages.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { meshLimits as limits } from './limits.ts'

type HeldPart = Have['parts'][number]

/** The parts by key, the oldest news first; a bounded number of them, as neighbours remember no more. */
export class Holdings {
  readonly #parts = new Map<PartKey, HeldPart>()

  /** Returns what is news. */
  add(parts: readonly HeldPart[]): readonly HeldPart[] {
    return parts.filter((part) => {
      const known = this.#parts.get(part.key)
      if (known?.isWhole === part.isWhole && known.bytes === part.bytes) return false
      this.#parts.delete(part.key)
      this.#parts.set(part.key, part)
      const [oldest] = this.#parts.keys()
      if (this.#parts.size > limits.heldMax) this.#parts.delete(oldest as PartKey)
      return true
    })
  }

  /** Returns those that had been told. */
  remove(keys: readonly PartKey[]): readonly PartKey[] {
    return keys.filter((key) => this.#parts.delete(key))
  }

  has(key: PartKey): boolean {
    return this.#parts.has(key)
  }

  get parts(): readonly HeldPart[] {
    return [...this.#parts.values()]
  }
}

/** The messages that tell of parts. */
export function haveMessages(parts: readonly HeldPart[]): readonly MeshMessage[] {
  return slices(parts).map((slice) => ({ kind: 'have', parts: slice }))
}

/** The messages that take parts back. */
export function lostMessages(keys: readonly PartKey[]): readonly MeshMessage[] {
  return slices(keys).map((slice) => ({ kind: 'lost', keys: slice }))
}

function slices<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  const count = Math.ceil(items.length / limits.partsPerMessage)
  return Array.from({ length: count }, (_, index) =>
    items.slice(index * limits.partsPerMessage, (index + 1) * limits.partsPerMessage),
  )
}
