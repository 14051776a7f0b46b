/**
 * S3-FIFO with classes, slow and obvious: arrays that are searched, after the pseudo-code of the paper (algorithm 1). What is
 * bounded and how is said here a second time, independently of the class under test.
 */
import type { ObjectClass } from '../../../src/content/eviction/s3-fifo.ts'

interface ModelObject {
  readonly key: string
  readonly bytes: number
  uses: number
}

/** The model; its queues have the oldest first. */
export class S3FifoModel {
  small: ModelObject[] = []
  main: ModelObject[] = []
  live: ModelObject[] = []
  kept: ModelObject[] = []
  ghosts: ModelObject[] = []
  readonly evicted: string[] = []
  readonly #bytesMax: number
  readonly #entriesMax: number
  readonly #ghostsMax: number

  constructor(init: { bytesMax: number; entriesMax: number; ghostsMax: number }) {
    this.#bytesMax = init.bytesMax
    this.#entriesMax = init.entriesMax
    this.#ghostsMax = init.ghostsMax
  }

  get held(): ModelObject[] {
    return [...this.small, ...this.main, ...this.live, ...this.kept]
  }

  get(key: string): boolean {
    const object = this.held.find((one) => one.key === key)
    if (object === undefined) return false
    object.uses = Math.min(3, object.uses + 1)
    return true
  }

  put(key: string, bytes: number, objectClass: ObjectClass): boolean {
    const untouchable = objectClass === 'loose' ? [...this.live, ...this.kept] : this.kept
    if (sum(untouchable) + bytes > this.#bytesMax) return false
    if (untouchable.length + 1 > this.#entriesMax) return false
    while (sum(this.held) + bytes > this.#bytesMax || this.held.length + 1 > this.#entriesMax) {
      this.#evict()
    }
    const wasGhost = this.ghosts.some((one) => one.key === key)
    this.ghosts = this.ghosts.filter((one) => one.key !== key)
    const object = { key, bytes, uses: 0 }
    if (objectClass === 'live') this.live.push(object)
    else if (objectClass === 'kept') this.kept.push(object)
    else if (wasGhost) this.main.push(object)
    else this.small.push(object)
    return true
  }

  delete(key: string): boolean {
    const before = this.held.length
    const others = (objects: ModelObject[]) => objects.filter((one) => one.key !== key)
    this.small = others(this.small)
    this.main = others(this.main)
    this.live = others(this.live)
    this.kept = others(this.kept)
    return this.held.length < before
  }

  setClass(key: string, objectClass: ObjectClass): void {
    const object = this.held.find((one) => one.key === key)
    if (object === undefined) return
    if (objectClass === 'loose' && [...this.small, ...this.main].includes(object)) return
    if (objectClass === 'live' && this.live.includes(object)) return
    if (objectClass === 'kept' && this.kept.includes(object)) return
    this.delete(key)
    object.uses = 0
    const queue = { loose: this.small, live: this.live, kept: this.kept }[objectClass]
    queue.push(object)
  }

  #evict(): void {
    const loose = [...this.small, ...this.main]
    if (loose.length === 0) {
      const gone = this.live.shift()
      if (gone !== undefined) this.evicted.push(gone.key)
    } else if (this.main.length === 0 || sum(this.small) > 0.1 * sum(loose)) this.#evictSmall()
    else this.#evictMain()
    while (
      this.ghosts.length > this.#ghostsMax ||
      sum(this.ghosts) > sum([...this.small, ...this.main])
    ) {
      if (this.ghosts.shift() === undefined) break
    }
  }

  #evictSmall(): void {
    const object = this.small.shift()
    if (object === undefined) return
    if (object.uses >= 2) {
      object.uses = 0
      this.main.push(object)
      return
    }
    this.ghosts.push(object)
    this.evicted.push(object.key)
  }

  #evictMain(): void {
    const object = this.main.shift()
    if (object === undefined) return
    if (object.uses > 0) {
      object.uses -= 1
      this.main.push(object)
      return
    }
    this.evicted.push(object.key)
  }
}

function sum(objects: readonly ModelObject[]): number {
  return objects.reduce((bytes, object) => bytes + object.bytes, 0)
}
