/**
 * A doubly linked list whose links lie in its members: taking one out of the middle, or the oldest, costs the same at any
 * length. A `Map` in its place walks over everything deleted before its first member.
 */
import assert from 'node:assert/strict'

/** What a member of a chain carries; it is in one chain at a time. */
export interface Link<N> {
  previous: N | undefined
  next: N | undefined
}

/** Members in order of arrival. */
export class Chain<N extends Link<N>> {
  #first: N | undefined
  #last: N | undefined
  #count = 0

  /** The oldest member. */
  get first(): N | undefined {
    return this.#first
  }

  /** Members. */
  get count(): number {
    return this.#count
  }

  /** Adds a member, which is in no chain, as the newest. */
  push(member: N): void {
    assert(member.previous === undefined && member.next === undefined, 'a member of one chain only')
    member.previous = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.next = member
    this.#last = member
    this.#count += 1
  }

  /** Takes out a member of this chain. */
  remove(member: N): void {
    const { previous, next } = member
    if (previous === undefined) {
      assert(this.#first === member, 'not in this chain')
      this.#first = next
    } else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    member.previous = undefined
    member.next = undefined
    this.#count -= 1
  }

  /** The members, oldest first; the chain must not change meanwhile. */
  *[Symbol.iterator](): Generator<N> {
    for (let member = this.#first; member !== undefined; member = member.next) yield member
  }
}
