/**
 * The index of the cache: which responses are there, by key, host, tag and age. Bodies are the content store's; an entry whose objects
 * are gone is found out when it is asked for. Everything here is synchronous, so that a purge is done when it returns.
 */
import { cdnLimits } from '../../limits/cdn.ts'
import type { StoredHead } from '../message.ts'
import type { Purgeable, PurgeMode, PurgeSelector } from '../purge-selector.ts'
import { surrogateTags } from '../rules/surrogate-tags.ts'
import type { CacheMetrics } from './cache-metrics.ts'
import { CacheEntry, type EntryInit, variantOf } from './entry.ts'
import { EntrySets } from './entry-sets.ts'
import { isPurged, type PurgeSubject } from './purge-match.ts'

/** Is told of changes that must survive a restart, in their order. */
export interface IndexObserver {
  /** A response was stored or its head changed. */
  changed(entry: CacheEntry): void
  removed(entry: CacheEntry): void
  /** Must have written it down when it returns. */
  purged(selector: PurgeSelector, mode: PurgeMode, nowMs: number): void
}

/** What an index works with. */
export interface CacheIndexComponents {
  readonly clock: { now(): number }
  readonly metrics: CacheMetrics
}

/** Bounds of an index. */
export interface CacheIndexInit {
  readonly entriesMax: number
  readonly headBytesMax: number
}

interface RememberedPurge {
  readonly selector: PurgeSelector
  readonly mode: PurgeMode
}

/** Stored responses. */
export class CacheIndex implements Purgeable {
  readonly #clock: { now(): number }
  readonly #metrics: CacheMetrics
  readonly #init: CacheIndexInit
  readonly #byKey = new Map<string, CacheEntry[]>()
  readonly #byHost = new EntrySets()
  readonly #byTag = new EntrySets()
  /** In order of arrival; one that was used comes to the end instead of going (second chance). */
  readonly #order = new Set<CacheEntry>()
  readonly #observers: IndexObserver[] = []
  readonly #purgeListeners: ((selector: PurgeSelector) => void)[] = []
  /** Purges number `generation - recent.length` to `generation - 1`. */
  readonly #recent: RememberedPurge[] = []
  #generation = 0
  #bytes = 0

  constructor(components: CacheIndexComponents, init: CacheIndexInit) {
    this.#clock = components.clock
    this.#metrics = components.metrics
    this.#init = init
    this.#metrics.watchIndex(() => ({ entries: this.#order.size, bytes: this.#bytes }))
  }

  /** Responses stored. */
  get size(): number {
    return this.#order.size
  }

  /** Purges so far; a request notes it before it asks an origin. */
  get generation(): number {
    return this.#generation
  }

  /** All responses, in no useful order. */
  entries(): IterableIterator<CacheEntry> {
    return this.#order.values()
  }

  /** Tells `observer` of every change from now on. */
  observe(observer: IndexObserver): void {
    this.#observers.push(observer)
  }

  /** Calls `listener` within every purge, after the entries are gone. */
  onPurge(listener: (selector: PurgeSelector) => void): void {
    this.#purgeListeners.push(listener)
  }

  /** Variants stored under a key; the newest last. */
  get(key: string): readonly CacheEntry[] {
    return this.#byKey.get(key) ?? none
  }

  /** Stores a response in place of the variant that it replaces. */
  add(init: EntryInit): CacheEntry {
    const entry = new CacheEntry(init, cdnLimits.entryOverheadBytes)
    const variants = this.#byKey.get(entry.key)
    if (variants === undefined) {
      this.#byKey.set(entry.key, [entry])
    } else {
      this.#replace(variants, entry)
    }
    this.#order.add(entry)
    this.#byHost.add(entry.host, entry)
    for (const tag of entry.tags) this.#byTag.add(tag, entry)
    this.#bytes += entry.bytes
    this.#makeRoom(entry)
    return entry
  }

  /** Says that a response is whole, or has changed, and is to survive a restart. */
  keep(entry: CacheEntry): void {
    if (!entry.alive) return
    for (const observer of this.#observers) observer.changed(entry)
  }

  /** Gives a response a newer head (RFC 9111 4.3.4); one whose tags cannot be kept could not be purged by them, and goes. */
  refresh(entry: CacheEntry, head: StoredHead): void {
    const tags = surrogateTags(head.headers)
    if (tags === undefined) {
      this.remove(entry)
      return
    }
    for (const tag of entry.tags) this.#byTag.delete(tag, entry)
    entry.tags = tags
    entry.head = head
    entry.version += 1
    if (entry.alive) for (const tag of tags) this.#byTag.add(tag, entry)
    this.keep(entry)
  }

  /** Forgets a response. */
  remove(entry: CacheEntry): void {
    if (!this.#drop(entry)) return
    for (const observer of this.#observers) observer.removed(entry)
  }

  /** Forgets all responses but those of these host rules: the others have changed or gone. */
  keepRules(rules: ReadonlySet<string>): void {
    for (const entry of [...this.#order]) {
      if (!rules.has(entry.rule)) this.remove(entry)
    }
  }

  purge(selector: PurgeSelector, mode: PurgeMode): number {
    const nowMs = this.#clock.now()
    const taken = this.#candidates(selector).filter((entry) => isPurged(selector, entry))
    for (const entry of taken) {
      if (mode === 'hard') this.#drop(entry)
      else softly(entry, nowMs)
    }
    this.#generation += 1
    this.#recent.push({ selector, mode })
    if (this.#recent.length > cdnLimits.purgesRememberedMax) this.#recent.shift()
    for (const observer of this.#observers) observer.purged(selector, mode, nowMs)
    for (const listener of this.#purgeListeners) listener(selector)
    this.#metrics.purged.inc({ mode }, taken.length)
    return taken.length
  }

  /**
   * What became, since `generation`, of a response that was under way: `hard` or `soft` when a purge meant it, undefined when none did.
   * A request older than all purges that are remembered counts as purged.
   */
  purgedSince(generation: number, subject: PurgeSubject): PurgeMode | undefined {
    const count = this.#generation - generation
    if (count > this.#recent.length) return 'hard'
    let mode: PurgeMode | undefined
    for (let index = this.#recent.length - count; index < this.#recent.length; index += 1) {
      const purge = this.#recent[index] as RememberedPurge
      if (mode === 'hard' || !isPurged(purge.selector, subject)) continue
      mode = purge.mode
    }
    return mode
  }

  /** After the wall clock went back: what is stored keeps the age that it has. */
  shiftTimes(deltaMs: number): void {
    for (const entry of this.#order) {
      const { head } = entry
      entry.head = {
        ...head,
        requestTimeMs: head.requestTimeMs + deltaMs,
        responseTimeMs: head.responseTimeMs + deltaMs,
        ...(head.purgedMs !== undefined && { purgedMs: head.purgedMs + deltaMs }),
      }
      entry.version += 1
    }
  }

  #replace(variants: CacheEntry[], entry: CacheEntry): void {
    const variant = variantOf(entry.head.varyFields)
    const old = variants.find((one) => one.variant === variant)
    if (old !== undefined) this.#drop(old)
    if (this.get(entry.key).length >= cdnLimits.variantsMax) {
      this.#metrics.evicted.inc({ reason: 'variants' })
      this.remove(this.get(entry.key)[0] as CacheEntry)
    }
    this.#byKey.set(entry.key, [...this.get(entry.key), entry])
  }

  #makeRoom(newest: CacheEntry): void {
    for (const entry of this.#order) {
      const isFull =
        this.#order.size > this.#init.entriesMax || this.#bytes > this.#init.headBytesMax
      if (!isFull) return
      if (entry === newest) continue
      if (entry.used) {
        entry.used = false
        this.#order.delete(entry)
        this.#order.add(entry)
        continue
      }
      this.#metrics.evicted.inc({ reason: 'index' })
      this.remove(entry)
    }
  }

  #drop(entry: CacheEntry): boolean {
    if (!entry.alive) return false
    entry.alive = false
    const variants = this.#byKey.get(entry.key) ?? []
    const left = variants.filter((one) => one !== entry)
    if (left.length === 0) this.#byKey.delete(entry.key)
    else this.#byKey.set(entry.key, left)
    this.#order.delete(entry)
    this.#byHost.delete(entry.host, entry)
    for (const tag of entry.tags) this.#byTag.delete(tag, entry)
    this.#bytes -= entry.bytes
    return true
  }

  /** As few entries as the purge allows to look at. */
  #candidates(selector: PurgeSelector): CacheEntry[] {
    switch (selector.by) {
      case 'url':
        return [...this.get(selector.url)]
      case 'tag':
        return this.#byTag.get(selector.tag)
      case 'host':
        return this.#byHost.get(selector.host)
      case 'prefix':
        return this.#byHost.get(hostOf(selector.prefix))
      case 'everything':
        return [...this.#order]
    }
  }
}

const none: readonly CacheEntry[] = []

function softly(entry: CacheEntry, nowMs: number): void {
  entry.head = { ...entry.head, purgedMs: nowMs }
  entry.version += 1
}

function hostOf(prefix: string): string {
  return new URL(prefix).host
}
