/**
 * Which objects a bounded cache lets go: S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache
 * eviction", SOSP 2023) over objects of different sizes, with classes above it.
 *
 * A new object enters a small queue. Most are never asked for again and leave it soon, so that a scan passes through a tenth of
 * the cache; those asked for again move to the main queue, in which an object that was used goes round once more. Keys that left
 * the small queue are remembered for a while (ghosts): one that comes back goes to the main queue at once.
 *
 * Objects of a higher class stand outside the queues and go only when nothing of a lower class is left to go.
 */
import assert from 'node:assert/strict'
import { Chain, type Link } from './chain.ts'

/** What an object is to its owner, the first to go first: anything cached, a part of a live window, kept by the operator. */
export type ObjectClass = 'loose' | 'live' | 'kept'

/** All classes, the first to go first. */
export const objectClasses: readonly ObjectClass[] = ['loose', 'live', 'kept']

/** How an object stands among others, for who writes it down and restores it. */
export interface Standing {
  readonly isMain: boolean
  /** Uses lately, 0 to 3. */
  readonly uses: number
}

/** How a cache is bounded. */
export interface S3FifoInit<V> {
  readonly bytesMax: number
  readonly entriesMax: number
  /** Keys remembered of objects that went. Their bytes are also less than those of the loose objects. */
  readonly ghostsMax: number
  /**
   * True when another tier has lately been asked for the object in this one's place, which does not see those uses. Asked only
   * before an object would go.
   */
  readonly isWanted?: (key: string) => boolean
  /** Called for each object that goes to make room; it is gone already. */
  readonly onEvict: (key: string, value: V, objectClass: ObjectClass) => void
}

/** Share of the loose bytes that the small queue may have before it gives objects up; the paper's value. */
const SMALL_SHARE = 0.1
/** Uses are counted up to this; two bits in the paper. */
const USES_MAX = 3
/** Uses in the small queue that lead to the main queue. */
const PROMOTION_USES = 2
/** Objects that go round for one that leaves; then the next goes although it was used, so that no eviction takes long. */
const ROUNDS_MAX = 1_024

interface Entry<V> extends Link<Entry<V>> {
  readonly key: string
  readonly bytes: number
  /** Undefined in a ghost. */
  value: V | undefined
  uses: number
  queue: Queue<V>
}

/** A chain that knows how many bytes its members have. */
class Queue<V> {
  readonly chain = new Chain<Entry<V>>()
  readonly objectClass: ObjectClass | undefined
  bytes = 0
  /** Uses of members. */
  hits = 0

  constructor(objectClass: ObjectClass | undefined) {
    this.objectClass = objectClass
  }

  push(entry: Entry<V>): void {
    this.chain.push(entry)
    this.bytes += entry.bytes
    entry.queue = this
  }

  remove(entry: Entry<V>): void {
    this.chain.remove(entry)
    this.bytes -= entry.bytes
  }
}

/** Values by key, bounded by bytes and number. No clock, no I/O; the same calls give the same results. */
export class S3Fifo<V> {
  readonly #init: S3FifoInit<V>
  /** Everything held, and the ghosts. */
  readonly #entries = new Map<string, Entry<V>>()
  readonly #small = new Queue<V>('loose')
  readonly #main = new Queue<V>('loose')
  readonly #live = new Queue<V>('live')
  readonly #kept = new Queue<V>('kept')
  readonly #ghosts = new Queue<V>(undefined)

  constructor(init: S3FifoInit<V>) {
    this.#init = init
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#small.bytes + this.#main.bytes + this.#live.bytes + this.#kept.bytes
  }

  /** Objects held. */
  get size(): number {
    return this.#entries.size - this.#ghosts.chain.count
  }

  /** Bytes held of one class. */
  bytesOf(objectClass: ObjectClass): number {
    if (objectClass === 'loose') return this.#small.bytes + this.#main.bytes
    return this.#held(objectClass).bytes
  }

  /** Objects held of one class. */
  sizeOf(objectClass: ObjectClass): number {
    if (objectClass === 'loose') return this.#small.chain.count + this.#main.chain.count
    return this.#held(objectClass).chain.count
  }

  /** Uses counted of objects of one class. */
  hitsOf(objectClass: ObjectClass): number {
    if (objectClass === 'loose') return this.#small.hits + this.#main.hits
    return this.#held(objectClass).hits
  }

  /** The value, which counts as used. Allocates nothing and moves nothing. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.queue === this.#ghosts) return undefined
    entry.queue.hits += 1
    if (entry.uses < USES_MAX) entry.uses += 1
    return entry.value
  }

  /** The value; does not count as use. */
  look(key: string): V | undefined {
    return this.#find(key)?.value
  }

  /** True when the object is held; does not count as use. */
  has(key: string): boolean {
    return this.#find(key) !== undefined
  }

  /** True when the object is held and was used lately. */
  isUsed(key: string): boolean {
    const entry = this.#find(key)
    return entry !== undefined && (entry.uses > 0 || entry.queue === this.#main)
  }

  /** The class of an object held. */
  classOf(key: string): ObjectClass | undefined {
    return this.#find(key)?.queue.objectClass
  }

  /** How an object held stands. */
  standingOf(key: string): (Standing & { readonly bytes: number }) | undefined {
    const entry = this.#find(key)
    if (entry === undefined) return undefined
    return { isMain: entry.queue === this.#main, uses: entry.uses, bytes: entry.bytes }
  }

  /** True when an object of this size and class can be had without sending away one of a higher class. */
  fits(bytes: number, objectClass: ObjectClass): boolean {
    let bytesAfter = this.bytes + bytes - this.bytesOf('loose')
    let entriesAfter = this.size + 1 - this.sizeOf('loose')
    if (objectClass !== 'loose') {
      bytesAfter -= this.#live.bytes
      entriesAfter -= this.#live.chain.count
    }
    return bytesAfter <= this.#init.bytesMax && entriesAfter <= this.#init.entriesMax
  }

  /**
   * Takes an object that is not held, making room before. False, and nothing has changed, when it does not fit.
   * @param admittedAs the class for which room is made, where the object comes before what makes it of that class.
   */
  put(
    key: string,
    value: V,
    bytes: number,
    objectClass: ObjectClass,
    admittedAs: ObjectClass = objectClass,
  ): boolean {
    assert(bytes > 0, 'an object has bytes')
    if (!this.fits(bytes, admittedAs)) return false
    this.#makeRoom(bytes, 1, admittedAs === 'loose' ? 'loose' : 'live')
    this.#enter(key, value, bytes, objectClass)
    return true
  }

  /** Takes an object as it stood in an earlier run; {@link S3Fifo.trim} follows when all are there. */
  restore(
    key: string,
    value: V,
    bytes: number,
    standing: Standing & { readonly objectClass: ObjectClass },
  ): void {
    const entry = this.#enter(key, value, bytes, standing.objectClass)
    entry.uses = Math.min(standing.uses, USES_MAX)
    if (!standing.isMain || entry.queue !== this.#small) return
    this.#small.remove(entry)
    this.#main.push(entry)
  }

  /** Sends away what is over the bounds, whatever its class. */
  trim(): void {
    this.#makeRoom(0, 0, 'kept')
  }

  /** Moves an object to another class. One that becomes loose has still to show that it is worth its place. */
  setClass(key: string, objectClass: ObjectClass): void {
    const entry = this.#find(key)
    if (entry === undefined || entry.queue.objectClass === objectClass) return
    entry.queue.remove(entry)
    entry.uses = 0
    if (objectClass === 'loose') this.#small.push(entry)
    else this.#held(objectClass).push(entry)
  }

  /** Forgets an object; it leaves no ghost. */
  delete(key: string): V | undefined {
    const entry = this.#find(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    entry.queue.remove(entry)
    return entry.value
  }

  /** Takes one use away from an object; false when it had none left. For who chooses among some objects only. */
  spare(key: string): boolean {
    const entry = this.#find(key)
    if (entry === undefined || entry.uses === 0) return false
    entry.uses -= 1
    return true
  }

  /** Keys of all objects, of each queue the oldest first. */
  keys(): string[] {
    const keys: string[] = []
    for (const queue of [this.#main, this.#small, this.#live, this.#kept]) {
      for (const { key } of queue.chain) keys.push(key)
    }
    return keys
  }

  #find(key: string): Entry<V> | undefined {
    const entry = this.#entries.get(key)
    return entry?.queue === this.#ghosts ? undefined : entry
  }

  #held(objectClass: 'live' | 'kept'): Queue<V> {
    return objectClass === 'live' ? this.#live : this.#kept
  }

  #enter(key: string, value: V, bytes: number, objectClass: ObjectClass): Entry<V> {
    const ghost = this.#entries.get(key)
    const isGhost = ghost?.queue === this.#ghosts
    assert(ghost === undefined || isGhost, 'held already')
    if (isGhost) this.#ghosts.remove(ghost)
    const queue = isGhost ? this.#main : this.#small
    const entry = { key, bytes, value, uses: 0, queue, previous: undefined, next: undefined }
    this.#entries.set(key, entry)
    if (objectClass === 'loose') queue.push(entry)
    else this.#held(objectClass).push(entry)
    return entry
  }

  #makeRoom(bytes: number, entries: number, through: ObjectClass): void {
    const { bytesMax, entriesMax, onEvict } = this.#init
    while (this.bytes + bytes > bytesMax || this.size + entries > entriesMax) {
      const entry = this.#victim(through)
      if (entry === undefined) return
      const { value } = entry
      const objectClass = entry.queue.objectClass
      assert(value !== undefined && objectClass !== undefined, 'an object is held')
      this.#letGo(entry)
      onEvict(entry.key, value, objectClass)
    }
  }

  #victim(through: ObjectClass): Entry<V> | undefined {
    const loose = this.#looseVictim()
    if (loose !== undefined || through === 'loose') return loose
    return this.#live.chain.first ?? (through === 'kept' ? this.#kept.chain.first : undefined)
  }

  #looseVictim(): Entry<V> | undefined {
    for (let round = 0; ; round += 1) {
      const small = this.#small.chain.first
      const main = this.#main.chain.first
      const isSmallOver = this.#small.bytes > SMALL_SHARE * this.bytesOf('loose')
      if (small !== undefined && (isSmallOver || main === undefined)) {
        const isProved = small.uses >= PROMOTION_USES || this.#isWanted(small)
        if (!isProved || round >= ROUNDS_MAX) return small
        this.#small.remove(small)
        small.uses = 0
        this.#main.push(small)
        continue
      }
      if (main === undefined || round >= ROUNDS_MAX) return main
      if (main.uses === 0 && !this.#isWanted(main)) return main
      this.#main.remove(main)
      main.uses = Math.max(0, main.uses - 1)
      this.#main.push(main)
    }
  }

  #isWanted(entry: Entry<V>): boolean {
    return this.#init.isWanted?.(entry.key) === true
  }

  /** An object from the small queue leaves its key behind; one from the main queue had its chance. */
  #letGo(entry: Entry<V>): void {
    const isSmall = entry.queue === this.#small
    entry.queue.remove(entry)
    if (isSmall) {
      entry.value = undefined
      this.#ghosts.push(entry)
    } else this.#entries.delete(entry.key)
    for (;;) {
      const oldest = this.#ghosts.chain.first
      const isOver =
        this.#ghosts.chain.count > this.#init.ghostsMax ||
        this.#ghosts.bytes > this.#small.bytes + this.#main.bytes
      if (oldest === undefined || !isOver) return
      this.#ghosts.remove(oldest)
      this.#entries.delete(oldest.key)
    }
  }
}
