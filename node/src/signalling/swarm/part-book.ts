/**
 * The parts of one swarm of which something is known: what they are, who holds them, whom the edge asked to fetch them. Bounded, alone and together
 * with those of all swarms; the part that nobody asked or told about for longest is forgotten.
 */
import type { PageId, PartKey } from '@kairo/client/protocol'
import { pageSwarmLimits as limits } from '../../limits/swarm.ts'
import { type Belief, noBelief } from './agreement.ts'

/** Parts remembered in all swarms. */
export interface PartsOfAll {
  count: number
}

/** A part. */
export interface PartRecord {
  readonly key: PartKey
  belief: Belief
  /** Who told that it has it whole, the latest ones; where it is in a ring says nothing. */
  readonly holders: PageId[]
  nextHolder: number
  /** Whom the edge asked to fetch it, the latest ones. */
  readonly asked: PageId[]
  /** Who wants to be told what it is. */
  readonly curious: Set<PageId>
  /** Whether somebody else is to fetch it too, to see that it is what was told; `done` once somebody was asked. */
  check: 'none' | 'owed' | 'done'
}

/** The parts of one swarm. */
export class PartBook {
  readonly #all: PartsOfAll
  readonly #onForgotten: () => void
  /** The one unused for longest first. */
  readonly #records = new Map<PartKey, PartRecord>()

  constructor(all: PartsOfAll, onForgotten: () => void) {
    this.#all = all
    this.#onForgotten = onForgotten
  }

  /** What is known of a part. */
  find(key: PartKey): PartRecord | undefined {
    return this.#records.get(key)
  }

  /** The same, to be written to; from now on it is the latest one used. */
  take(key: PartKey): PartRecord {
    const known = this.#records.get(key)
    if (known === undefined) this.#makeRoom()
    else this.#records.delete(key)
    const record = known ?? {
      ...{ key, belief: noBelief, holders: [], nextHolder: 0, asked: [], check: 'none' },
      curious: new Set(),
    }
    this.#records.set(key, record)
    return record
  }

  /** Notes that a page has a part, if anything is known of that part. */
  addHolder(key: PartKey, page: PageId): void {
    const record = this.#records.get(key)
    if (record === undefined || record.holders.includes(page)) return
    if (record.holders.length < limits.holdersMax) record.holders.push(page)
    else record.holders[record.nextHolder] = page
    record.nextHolder = (record.nextHolder + 1) % limits.holdersMax
  }

  /** Notes that the edge asked a page to fetch a part. */
  addAsked(key: PartKey, page: PageId): void {
    const { asked } = this.take(key)
    if (asked.includes(page)) return
    asked.push(page)
    if (asked.length > limits.holdersMax) asked.shift()
  }

  /** Forgets what a page said of parts; those that only it told of are unknown again. All parts are looked at. */
  disbelieve(page: PageId): void {
    for (const record of this.#records.values()) {
      const { belief } = record
      if (!belief.claims.some((claim) => claim.page === page)) continue
      const claims = belief.claims.filter((claim) => claim.page !== page)
      // Who said the same stands for it now.
      const { told: was } = belief
      const told = was?.page === page ? claims.find(({ digest }) => digest === was.digest) : was
      record.belief = { ...belief, claims, told }
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#all.count -= this.#records.size
    this.#records.clear()
  }

  #makeRoom(): void {
    this.#all.count += 1
    const isFull = this.#records.size >= limits.partsMax
    const [oldest] = this.#records.keys()
    // A swarm without any part may have one: there are not more swarms than pages.
    if (oldest === undefined || (!isFull && this.#all.count <= limits.partsOfAllMax)) return
    this.#records.delete(oldest)
    this.#all.count -= 1
    this.#onForgotten()
  }
}
