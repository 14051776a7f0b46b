/** What lies in a region's log, as one peer has read it: kept by what it listed and what the watch told since. Pure but for the clock. */
import type { KeyValue, WatchEvent } from '@kairo/tracker'
import type { Clock } from '../clock.ts'
import { regionLogLimits as limits } from '../limits/region-log.ts'
import type { RegionEntry } from './region-follower.ts'

/** The key of the log's own name. */
export const ID_KEY = 'id'
/** The key of the place up to which entries were trimmed. */
export const HORIZON_KEY = 'horizon'
const ENTRIES = 'entries/'
const MEMBERS = 'members/'
const NUMBER = /^\d{1,16}$/

/** The key of an entry. */
export function entryKey(name: string): string {
  return ENTRIES + name
}

/** The key of a follower. */
export function memberKey(peerId: string): string {
  return MEMBERS + peerId
}

/** A value that is plain ASCII. */
export function textOf({ value }: KeyValue): string {
  return Buffer.from(value).toString('latin1')
}

/** How far entries were trimmed. */
export interface Horizon {
  /** 0 when none was. */
  readonly revision: number
  /** Of its key; undefined when there is none. */
  readonly modRevision: number | undefined
}

const NO_HORIZON: Horizon = { revision: 0, modRevision: undefined }

/** What a change brought: an entry that was not there so, or a follower that said something. */
export interface MirrorChange {
  readonly entry?: RegionEntry
  readonly member?: string
}

/** The log in memory. */
export class RegionLogMirror {
  readonly #clock: Clock
  readonly #onLimit: (limit: 'membersMax' | 'entriesMax') => void
  readonly #valueBytesMax: number
  /** In the order of their revisions. */
  readonly #entries = new Map<string, RegionEntry>()
  readonly #members = new Map<string, number>()
  #bytes = 0
  #horizon = NO_HORIZON

  constructor(
    components: {
      readonly clock: Clock
      readonly onLimit: (limit: 'membersMax' | 'entriesMax') => void
    },
    init: {
      /** A larger entry is not one of ours, and is as if it were not there. */
      readonly valueBytesMax: number
    },
  ) {
    this.#clock = components.clock
    this.#onLimit = components.onLimit
    this.#valueBytesMax = init.valueBytesMax
  }

  /** Entries. */
  get size(): number {
    return this.#entries.size
  }

  get horizon(): Horizon {
    return this.#horizon
  }

  /** Followers and how far each said that it is. */
  get members(): ReadonlyMap<string, number> {
    return this.#members
  }

  /** Oldest first. */
  entries(): Iterable<RegionEntry> {
    return this.#entries.values()
  }

  find(name: string): RegionEntry | undefined {
    return this.#entries.get(name)
  }

  /** Forgets all: it is another log. */
  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  /** Takes over what was listed; entries that were there keep the time at which they were seen. */
  replace(items: readonly KeyValue[]): void {
    const seen = new Map(this.#entries)
    this.clear()
    this.#members.clear()
    this.#horizon = NO_HORIZON
    for (const item of [...items].sort((a, b) => a.modRevision - b.modRevision)) {
      const before = item.key.startsWith(ENTRIES)
        ? seen.get(item.key.slice(ENTRIES.length))
        : undefined
      this.#put(item, before?.seenMs)
    }
  }

  /** Takes over one change. */
  take(event: WatchEvent): MirrorChange {
    if (event.type === 'put') return this.#put(event.item, undefined)
    const { key } = event
    if (key.startsWith(ENTRIES)) this.#delete(key.slice(ENTRIES.length))
    else if (key.startsWith(MEMBERS)) this.#members.delete(key.slice(MEMBERS.length))
    else if (key === HORIZON_KEY) this.#horizon = NO_HORIZON
    return {}
  }

  /**
   * The oldest entries, as many as there are too many, or are old: in one row from the first, since only a row can be trimmed.
   * @param isOld asked from the oldest on, until one is not.
   */
  surplus(isOld: (entry: RegionEntry) => boolean): RegionEntry[] {
    const { entriesMax, bytesMax, keepShare } = limits
    const isFull = this.#entries.size > entriesMax || this.#bytes > bytesMax
    if (isFull) this.#onLimit('entriesMax')
    let left = this.#entries.size
    let leftBytes = this.#bytes
    const surplus: RegionEntry[] = []
    for (const entry of this.#entries.values()) {
      const isOver = isFull && (left > entriesMax * keepShare || leftBytes > bytesMax * keepShare)
      if (!isOver && !isOld(entry)) break
      surplus.push(entry)
      left -= 1
      leftBytes -= entry.value.byteLength
    }
    return surplus
  }

  #put(item: KeyValue, seenMs = this.#clock.monotonicMs()): MirrorChange {
    const { key, value, modRevision: revision } = item
    if (key.startsWith(ENTRIES)) {
      const name = key.slice(ENTRIES.length)
      // What a list of several pages brought already comes again by the watch.
      if (this.#entries.get(name)?.revision === revision) return {}
      this.#delete(name)
      const isOurs = value.byteLength <= this.#valueBytesMax
      const entry = { name, value: isOurs ? value : new Uint8Array(), revision, seenMs }
      this.#entries.set(name, entry)
      this.#bytes += entry.value.byteLength
      return { entry }
    }
    const text = textOf(item)
    const told = NUMBER.test(text) ? Number(text) : 0
    if (key === HORIZON_KEY) this.#horizon = { revision: told, modRevision: revision }
    if (!key.startsWith(MEMBERS)) return {}
    const member = key.slice(MEMBERS.length)
    if (!this.#members.has(member) && this.#members.size >= limits.membersMax) {
      this.#onLimit('membersMax')
      return {}
    }
    this.#members.set(member, told)
    return { member }
  }

  #delete(name: string): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    this.#entries.delete(name)
    this.#bytes -= entry.value.byteLength
  }
}
