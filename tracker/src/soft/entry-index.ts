/**
 * Finds the entry of a peer and a subject, so that no peer is twice among the holders of anything. Open addressing over entry numbers; the keys
 * are in the entries themselves. Used when something is named or goes, not for updates.
 */
import type { EntryTable } from './entry-table.ts'

const SLOTS_FIRST = 128

/** The index of one entry table. */
export class EntryIndex {
  readonly #entries: EntryTable
  /** Entries, plus 1; 0 is none. A power of two long, at most half full. */
  #slots = new Uint32Array(SLOTS_FIRST)
  #size = 0

  constructor(entries: EntryTable) {
    this.#entries = entries
  }

  get bytes(): number {
    return this.#slots.byteLength
  }

  /** The entry, or -1. */
  find(handle: number, subject: number): number {
    const mask = this.#slots.length - 1
    let slot = hash(handle, subject) & mask
    for (;;) {
      const entry = (this.#slots[slot] as number) - 1
      if (entry === -1) return -1
      if (this.#entries.handle(entry) === handle && this.#entries.subject(entry) === subject) {
        return entry
      }
      slot = (slot + 1) & mask
    }
  }

  /** Adds an entry that is not there. */
  add(entry: number): void {
    if ((this.#size + 1) * 2 > this.#slots.length) this.#resize(this.#slots.length * 2)
    this.#size += 1
    this.#put(entry)
  }

  /** Takes an entry out, while its row is still as it was. */
  remove(entry: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = this.#home(entry, mask)
    while (slots[hole] !== entry + 1) hole = (hole + 1) & mask
    this.#size -= 1
    // Knuth's algorithm R (6.4): what follows moves up if the hole stands between it and where it belongs.
    for (let slot = (hole + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#home((slots[slot] as number) - 1, mask)
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      slots[hole] = slots[slot] as number
      hole = slot
    }
    slots[hole] = 0
    if (slots.length > SLOTS_FIRST && this.#size * 8 < slots.length) this.#resize(slots.length / 2)
  }

  #home(entry: number, mask: number): number {
    return hash(this.#entries.handle(entry), this.#entries.subject(entry)) & mask
  }

  #put(entry: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#home(entry, mask)
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = entry + 1
  }

  #resize(length: number): void {
    const old = this.#slots
    this.#slots = new Uint32Array(length)
    for (const slot of old) if (slot !== 0) this.#put(slot - 1)
  }
}

/** Mixes both numbers well (the finalizer of MurmurHash3): neighbours among peers and subjects must not be neighbours here. */
function hash(handle: number, subject: number): number {
  let mixed = Math.imul(handle, 0x9e37_79b1) ^ subject
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
