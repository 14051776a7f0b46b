/** Leases by when to look at them: the first is at hand, adding and removing move few. */
import type { Lease } from './lease-table.ts'

/** A binary heap that knows each lease's place. */
export class DeadlineHeap {
  readonly #leases: Lease[] = []

  get size(): number {
    return this.#leases.length
  }

  /** The one to look at first. */
  first(): Lease | undefined {
    return this.#leases[0]
  }

  /** Adds a lease that is not in it, by its `wakeMs`. */
  add(lease: Lease): void {
    lease.place = this.#leases.length
    this.#leases.push(lease)
    this.#up(lease)
  }

  /** Takes a lease out; one that is not in it is no error. */
  remove(lease: Lease): void {
    const { place } = lease
    if (place === -1) return
    lease.place = -1
    const last = this.#leases.pop() as Lease
    if (last === lease) return
    this.#set(place, last)
    this.#up(last)
    this.#down(last)
  }

  /** Looks at a lease of it later than before: sets its `wakeMs`. */
  postpone(lease: Lease, wakeMs: number): void {
    lease.wakeMs = wakeMs
    this.#down(lease)
  }

  /** Takes all out. */
  clear(): void {
    for (const lease of this.#leases) lease.place = -1
    this.#leases.length = 0
  }

  #up(lease: Lease): void {
    let { place } = lease
    while (place > 0) {
      const above = (place - 1) >>> 1
      const other = this.#leases[above] as Lease
      if (other.wakeMs <= lease.wakeMs) break
      this.#set(place, other)
      place = above
    }
    this.#set(place, lease)
  }

  #down(lease: Lease): void {
    let { place } = lease
    const leases = this.#leases
    for (;;) {
      let below = 2 * place + 1
      if (below >= leases.length) break
      const right = leases[below + 1]
      if (right !== undefined && right.wakeMs < (leases[below] as Lease).wakeMs) below += 1
      const other = leases[below] as Lease
      if (other.wakeMs >= lease.wakeMs) break
      this.#set(place, other)
      place = below
    }
    this.#set(place, lease)
  }

  #set(place: number, lease: Lease): void {
    this.#leases[place] = lease
    lease.place = place
  }
}
