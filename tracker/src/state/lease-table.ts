/** The leases of a group as all members know them. When one ends is the leader's matter, see `lease-keeper.ts`. */
import type { Slot } from './ordered-slots.ts'

const BASE = 36

/** One lease. */
export class Lease {
  readonly id: string
  /** Of the entry that granted it. */
  readonly term: number
  readonly index: number
  readonly ttlMs: number
  /** What goes with it; made with the first key, for most leases have one or none. */
  #slots: Set<Slot> | undefined = undefined

  /** The leader's: when the time is up, by its clock. */
  deadlineMs = Number.POSITIVE_INFINITY
  /** The leader's: its end was proposed, so it is not renewed any more. */
  isEnding = false
  /** The leader's: when to look at it again, and its place among those to look at; -1 for none. */
  wakeMs = Number.POSITIVE_INFINITY
  place = -1

  constructor(term: number, index: number, ttlMs: number) {
    this.id = leaseIdOf(term, index)
    this.term = term
    this.index = index
    this.ttlMs = ttlMs
  }

  /** How many keys go with it. */
  get size(): number {
    return this.#slots?.size ?? 0
  }

  attach(slot: Slot): void {
    this.#slots ??= new Set()
    this.#slots.add(slot)
  }

  detach(slot: Slot): void {
    this.#slots?.delete(slot)
  }

  /** What goes with it, by keyspace and key: the order in which it came differs between members. */
  sorted(): Slot[] {
    return [...(this.#slots ?? [])].sort(bySlot)
  }
}

/** The id of the lease that an entry granted: the index alone is unique in a group, the term tells groups apart. */
function leaseIdOf(term: number, index: number): string {
  return `${term.toString(BASE)}-${index.toString(BASE)}`
}

/** Leases by id, in the order in which they were granted. */
export class LeaseTable {
  readonly #leases = new Map<string, Lease>()

  get size(): number {
    return this.#leases.size
  }

  get(leaseId: string): Lease | undefined {
    return this.#leases.get(leaseId)
  }

  add(lease: Lease): void {
    this.#leases.set(lease.id, lease)
  }

  delete(lease: Lease): void {
    this.#leases.delete(lease.id)
  }

  values(): IterableIterator<Lease> {
    return this.#leases.values()
  }
}

function bySlot(a: Slot, b: Slot): number {
  if (a.keyspace !== b.keyspace) return a.keyspace < b.keyspace ? -1 : 1
  if (a.order === b.order) return 0
  return a.order < b.order ? -1 : 1
}
