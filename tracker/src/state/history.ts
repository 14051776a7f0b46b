/**
 * The last changes of a group, for watches that come late or are slow: they all read from here, so a slow one holds no memory. Not part of
 * a snapshot; how far it goes back differs between members.
 */
import assert from 'node:assert/strict'
import type { WatchBatch, WatchEvent } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import type { ByteText } from './key-text.ts'
import { stateLimits } from './state-limits.ts'

const FIRST_SIZE = 256

/** One key's change. */
export interface Change {
  readonly revision: number
  readonly keyspace: ByteText
  readonly event: WatchEvent
}

/** How much history is kept. */
interface HistoryLimits {
  readonly historyChangesMax: number
  readonly historyBytesMax: number
}

/** A ring of changes, the oldest of which go first. */
export class ChangeHistory {
  readonly #limits: HistoryLimits
  /** Its length is a power of two; places are numbers that only grow. */
  #ring: (Change | undefined)[] = new Array(FIRST_SIZE).fill(undefined)
  #from = 0
  #to = 0
  #bytes = 0
  /** The last revision whose changes may be forgotten: what a watch goes on from is this or later. */
  #floor = 0
  #revision = 0
  /** Changes that were forgotten. */
  forgotten = 0

  constructor(limits: HistoryLimits) {
    assert(limits.historyChangesMax > 0, 'a history has room for one change')
    this.#limits = limits
  }

  /** The revision up to which all is told. */
  get revision(): number {
    return this.#revision
  }

  get floor(): number {
    return this.#floor
  }

  /** Changes that are kept. */
  get size(): number {
    return this.#to - this.#from
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Adds the changes of the next revision. */
  add(changes: readonly Change[]): void {
    const { historyChangesMax, historyBytesMax } = this.#limits
    for (const change of changes) {
      // Before there is one more, so that the ring is never twice as large as it need be.
      if (this.size >= historyChangesMax) this.#forgetOldest()
      if (this.size === this.#ring.length) this.#grow()
      this.#ring[this.#to & (this.#ring.length - 1)] = change
      this.#to += 1
      this.#bytes += changeBytes(change)
      this.#revision = change.revision
    }
    while (this.#bytes > historyBytesMax) this.#forgetOldest()
  }

  /** Forgets all, and knows of nothing up to a revision. */
  restart(revision: number): void {
    this.#ring = new Array(FIRST_SIZE).fill(undefined)
    this.#from = 0
    this.#to = 0
    this.#bytes = 0
    this.#floor = revision
    this.#revision = revision
  }

  /** Forgets changes up to a revision. */
  compact(revision: number): void {
    while (this.size > 0 && this.#at(this.#from).revision <= revision) this.#forgetOldest()
    this.#floor = Math.max(this.#floor, revision)
  }

  /**
   * The first changes under a prefix after a revision.
   * @returns undefined when there are none yet
   * @throws TrackerError ERR_COMPACTED
   */
  next(keyspace: ByteText, prefix: string, after: number): WatchBatch | undefined {
    if (after < this.#floor)
      throw new TrackerError('ERR_COMPACTED', `changes up to revision ${this.#floor} are forgotten`)
    let place = this.#placeAfter(after)
    let revision = 0
    let events: WatchEvent[] | undefined
    for (; place < this.#to; place++) {
      const change = this.#at(place)
      if (events !== undefined && change.revision !== revision) break
      if (change.keyspace !== keyspace || !keyOf(change.event).startsWith(prefix)) continue
      revision = change.revision
      events ??= []
      events.push(change.event)
    }
    return events === undefined ? undefined : { revision, events }
  }

  /** The place of the first change after a revision. */
  #placeAfter(revision: number): number {
    let low = this.#from
    let high = this.#to
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      if (this.#at(middle).revision <= revision) low = middle + 1
      else high = middle
    }
    return low
  }

  #at(place: number): Change {
    return this.#ring[place & (this.#ring.length - 1)] as Change
  }

  #forgetOldest(): void {
    const oldest = this.#at(this.#from)
    this.#ring[this.#from & (this.#ring.length - 1)] = undefined
    this.#from += 1
    this.#bytes -= changeBytes(oldest)
    this.#floor = oldest.revision
    this.forgotten += 1
  }

  #grow(): void {
    const changes = Array.from({ length: this.size }, (_, i) => this.#at(this.#from + i))
    const ring: (Change | undefined)[] = new Array(this.#ring.length * 2).fill(undefined)
    for (const [i, change] of changes.entries()) ring[i] = change
    this.#ring = ring
    this.#from = 0
    this.#to = changes.length
  }
}

/** The key that an event is about. */
export function keyOf(event: WatchEvent): string {
  return event.type === 'put' ? event.item.key : event.key
}

/** What a change takes of the history's bytes. */
function changeBytes({ event }: Change): number {
  const bytes = stateLimits.historyOverheadBytes
  if (event.type === 'deleted') return bytes + event.key.length
  return bytes + event.item.key.length + event.item.value.length
}
