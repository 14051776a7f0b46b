/**
 * The keys of a keyspace in the order of their bytes: pieces of a bounded number of slots, and the first key of each piece. Finding is
 * two binary searches; inserting moves half a piece, and rarely the list of pieces. For as many keys as a group may hold this is as
 * quick as a tree, and takes half the memory.
 */
import assert from 'node:assert/strict'
import type { KeyValue } from '../coordination.ts'
import type { ByteText } from './key-text.ts'
import type { Lease } from './lease-table.ts'
import { stateLimits } from './state-limits.ts'

const { orderedPieceMax } = stateLimits

/** The place of one key; its item is replaced by each change. */
export interface Slot {
  readonly order: ByteText
  /** The keyspace's name. */
  readonly keyspace: ByteText
  item: KeyValue
  /** What the key goes with. */
  lease: Lease | undefined
}

/** Slots by the order of their keys, none twice. */
export class OrderedSlots {
  readonly #pieces: Slot[][] = []
  /** The first key of each piece. */
  readonly #firsts: ByteText[] = []

  /** Adds a slot whose key is not there. */
  insert(slot: Slot): void {
    const pieces = this.#pieces
    const last = pieces.at(-1)
    if (last === undefined) {
      pieces.push([slot])
      this.#firsts.push(slot.order)
      return
    }
    // What comes in order, as a snapshot does, fills its pieces.
    if (slot.order > (last.at(-1) as Slot).order) {
      if (last.length < orderedPieceMax) {
        last.push(slot)
        return
      }
      pieces.push([slot])
      this.#firsts.push(slot.order)
      return
    }
    const at = Math.max(0, this.#pieceOf(slot.order))
    const piece = pieces[at] as Slot[]
    const place = lowerBound(piece, slot.order)
    piece.splice(place, 0, slot)
    if (place === 0) this.#firsts[at] = slot.order
    if (piece.length > orderedPieceMax) this.#split(at)
  }

  /** Takes out a slot that is there. */
  remove(slot: Slot): void {
    const at = this.#pieceOf(slot.order)
    const piece = this.#pieces[at]
    assert(piece !== undefined, 'a slot that is removed is there')
    const place = lowerBound(piece, slot.order)
    assert(piece[place] === slot, 'a slot that is removed is there')
    piece.splice(place, 1)
    if (piece.length === 0) {
      this.#pieces.splice(at, 1)
      this.#firsts.splice(at, 1)
      return
    }
    if (place === 0) this.#firsts[at] = (piece[0] as Slot).order
    if (piece.length < orderedPieceMax / 4) this.#join(at)
  }

  /**
   * Visits slots from `from` on (after it, when `isAfter`), in order, until the visitor returns false. The visitor changes nothing.
   */
  visit(from: ByteText, isAfter: boolean, visitor: (slot: Slot) => boolean): void {
    let at = Math.max(0, this.#pieceOf(from))
    let piece = this.#pieces[at]
    if (piece === undefined) return
    let place = lowerBound(piece, from)
    if (isAfter && piece[place]?.order === from) place += 1
    while (piece !== undefined) {
      for (; place < piece.length; place++) {
        if (!visitor(piece[place] as Slot)) return
      }
      place = 0
      at += 1
      piece = this.#pieces[at]
    }
  }

  /** The piece in which a key is, or would be; -1 when it comes before all. */
  #pieceOf(order: ByteText): number {
    const firsts = this.#firsts
    let low = 0
    let high = firsts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((firsts[middle] as ByteText) <= order) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  #split(at: number): void {
    const piece = this.#pieces[at] as Slot[]
    const rest = piece.splice(piece.length >>> 1)
    this.#pieces.splice(at + 1, 0, rest)
    this.#firsts.splice(at + 1, 0, (rest[0] as Slot).order)
  }

  /** Joins a small piece with the one behind it, when both fit into three quarters of one. */
  #join(at: number): void {
    const piece = this.#pieces[at] as Slot[]
    const next = this.#pieces[at + 1]
    if (next === undefined || piece.length + next.length > (orderedPieceMax * 3) / 4) return
    for (const slot of next) piece.push(slot)
    this.#pieces.splice(at + 1, 1)
    this.#firsts.splice(at + 1, 1)
  }
}

/** The first place whose key is not below `order`. */
function lowerBound(piece: readonly Slot[], order: ByteText): number {
  let low = 0
  let high = piece.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((piece[middle] as Slot).order < order) low = middle + 1
    else high = middle
  }
  return low
}
