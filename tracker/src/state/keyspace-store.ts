/** The keys of one keyspace: found by key, and listed in the order of their bytes. */
import type { ByteText } from './key-text.ts'
import { OrderedSlots, type Slot } from './ordered-slots.ts'

/** One keyspace. It is there only while it has keys. */
export class KeyspaceStore {
  /** The name in the form that is compared. */
  readonly name: ByteText
  readonly #slots = new Map<ByteText, Slot>()
  readonly #ordered = new OrderedSlots()

  constructor(name: ByteText) {
    this.name = name
  }

  /** How many keys there are. */
  get size(): number {
    return this.#slots.size
  }

  find(order: ByteText): Slot | undefined {
    return this.#slots.get(order)
  }

  /** Adds a key that is not there. */
  insert(slot: Slot): void {
    this.#slots.set(slot.order, slot)
    this.#ordered.insert(slot)
  }

  /** Takes out a key that is there. */
  remove(slot: Slot): void {
    this.#slots.delete(slot.order)
    this.#ordered.remove(slot)
  }

  /**
   * Visits the keys under a prefix in order, those behind `after` only, until the visitor returns false.
   * The visitor changes nothing.
   */
  visit(prefix: ByteText, after: ByteText | undefined, visitor: (slot: Slot) => boolean): void {
    const isAfter = after !== undefined && after >= prefix
    this.#ordered.visit(
      isAfter ? after : prefix,
      isAfter,
      (slot) => slot.order.startsWith(prefix) && visitor(slot),
    )
  }
}
