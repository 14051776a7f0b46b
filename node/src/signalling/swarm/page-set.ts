/** The pages of a swarm that can connect to others: found by place, so that some are chosen at random in constant time, and by address group. */
import assert from 'node:assert/strict'
import type { Page } from './page.ts'

/** A set of pages. */
export class PageSet {
  /** In no order. */
  readonly #pages: Page[] = []
  readonly #places = new Map<Page, number>()
  readonly #groups = new Map<string, Set<Page>>()

  get size(): number {
    return this.#pages.length
  }

  /** Address groups. */
  get groups(): number {
    return this.#groups.size
  }

  add(page: Page): void {
    if (this.#places.has(page)) return
    this.#places.set(page, this.#pages.length)
    this.#pages.push(page)
    const group = this.#groups.get(page.address)
    if (group === undefined) this.#groups.set(page.address, new Set([page]))
    else group.add(page)
  }

  delete(page: Page): void {
    const place = this.#places.get(page)
    if (place === undefined) return
    const last = this.#pages.pop()
    assert(last !== undefined, 'there is one, it has a place')
    if (last !== page) {
      this.#pages[place] = last
      this.#places.set(last, place)
    }
    this.#places.delete(page)
    const group = this.#groups.get(page.address)
    group?.delete(page)
    if (group?.size === 0) this.#groups.delete(page.address)
  }

  /** The page at a place, from 0 up to the size. */
  at(place: number): Page {
    const page = this.#pages[place]
    assert(page !== undefined, 'a place in the set')
    return page
  }

  /** Pages of an address group, the earliest first. */
  ofGroup(address: string): Iterable<Page> {
    return this.#groups.get(address) ?? []
  }
}
