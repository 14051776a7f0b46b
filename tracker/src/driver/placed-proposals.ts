/**
 * Proposals that have a place in the log, in the order in which they got it: terms grow, and so do the indices of one term. Two of
 * different terms may have had the same index.
 */
import assert from 'node:assert/strict'
import type { Proposal } from './proposals.ts'

/** Places at the front that were left, beyond which the list is moved up: seldom enough to cost nothing. */
const leftMax = 1_024

/** The proposals of one group that are in its log. */
export class PlacedProposals {
  /** Undefined where one was taken out. */
  #all: (Proposal | undefined)[] = []
  /** Where the first one stands. */
  #from = 0

  /** The one that was placed first. */
  get first(): Proposal | undefined {
    return this.#all[this.#from]
  }

  /** All of them, in order. */
  all(): Proposal[] {
    return this.#all.slice(this.#from) as Proposal[]
  }

  /** One more, in a place behind those of its term. */
  push(proposal: Proposal): void {
    this.#all.push(proposal)
  }

  /**
   * Entries are applied one after the other, and this is the next one. Terms only grow along a log: whatever was placed in an earlier
   * term than this entry's and did not come before it never will. And no two entries have the same index and term, so who placed that
   * one finds its own here.
   * @param lost takes those of which that shows that they will never be applied
   * @returns whose entry it is
   */
  take(index: number, term: number, lost: Proposal[]): Proposal | undefined {
    for (let first = this.first; first !== undefined && first.term <= term; first = this.first) {
      if (first.term === term && first.index > index) return undefined
      this.#shift()
      if (first.term === term) {
        assert(first.index === index, 'no entry is passed over')
        return first
      }
      lost.push(first)
    }
    return undefined
  }

  /** Takes out those of which something holds. */
  remove(is: (proposal: Proposal) => boolean): Proposal[] {
    const all = this.all()
    this.#all = all.filter((proposal) => !is(proposal))
    this.#from = 0
    return all.filter(is)
  }

  #shift(): void {
    this.#all[this.#from] = undefined
    this.#from += 1
    if (this.#from < leftMax || this.#from * 2 < this.#all.length) return
    this.#all.splice(0, this.#from)
    this.#from = 0
  }
}
