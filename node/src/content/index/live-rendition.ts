/**
 * The one place where a rendition's index changes, for a stream published here and for one replicated: whoever waits for a
 * part is woken first, feeds after them.
 */
import type { Gauge, Registry } from 'prom-client'
import { abortReason } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import type { Digest } from '../digest.ts'
import { sharedGauge } from '../metrics.ts'
import type { IndexEntry, IndexHead, LiveRendition, RenditionInfo } from '../stream.ts'
import { comparePositions, type IndexWindow } from './index-window.ts'

/** What changed, for those who pass changes on. */
export interface RenditionChange {
  /** The window after the change. */
  readonly window: IndexWindow
  readonly version: number
  /** `part`: one entry was appended. `head`: only the head is new. `window`: nothing is to be assumed. */
  readonly kind: 'part' | 'head' | 'window'
}

/** Keeps the objects of live windows in RAM; the content store is one. */
export interface Pins {
  pin(digest: Digest): void
  unpin(digest: Digest): void
}

/** What a rendition works with. */
export interface WindowedRenditionComponents {
  readonly pins: Pins
  readonly registry: Registry
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: KairoError) => void
}

/** All who wait for the same part or segment. */
interface Bucket {
  readonly msn: number
  readonly part: number | undefined
  readonly waiters: Set<Waiter>
}

/** A {@link LiveRendition} over a window that its owner replaces. */
export class WindowedRendition implements LiveRendition {
  readonly #pins: Pins
  readonly #waiting: Gauge
  readonly #buckets = new Map<string, Bucket>()
  readonly #listeners = new Set<(change: RenditionChange) => void>()
  readonly #releaseListeners = new Set<(error: KairoError) => void>()
  #info: RenditionInfo
  #window: IndexWindow
  #version = 0
  #waiters = 0
  #failure: KairoError | undefined
  #released = false

  constructor(
    components: WindowedRenditionComponents,
    init: { readonly info: RenditionInfo; readonly window: IndexWindow },
  ) {
    this.#pins = components.pins
    this.#waiting = sharedGauge(
      components.registry,
      'kairo_content_waiting',
      'Requests that wait for a part to come',
    )
    this.#info = init.info
    this.#window = init.window
    this.#pinAll(init.window.entries)
  }

  get info(): RenditionInfo {
    return this.#info
  }

  get head(): IndexHead {
    return this.#window.head
  }

  get entries(): readonly IndexEntry[] {
    return this.#window.entries
  }

  get version(): number {
    return this.#version
  }

  get signature(): Uint8Array {
    return this.#window.signature
  }

  /** The window as it is now. */
  get window(): IndexWindow {
    return this.#window
  }

  /** Requests that wait now. */
  get waiterCount(): number {
    let count = 0
    for (const { waiters } of this.#buckets.values()) count += waiters.size
    return count
  }

  entry(msn: number, part: number): IndexEntry | undefined {
    return this.#window.entry(msn, part)
  }

  segment(msn: number): readonly IndexEntry[] {
    return this.#window.segment(msn)
  }

  /** Replaces what players know of the rendition. */
  describe(info: RenditionInfo): void {
    this.#info = info
    this.#version += 1
  }

  /** Takes the next window and wakes whoever it concerns. Its owner has signed or verified it. */
  apply(window: IndexWindow, kind: RenditionChange['kind']): void {
    const before = this.#window.entries
    this.#window = window
    this.#version += 1
    this.#repin(before, window.entries, kind)
    for (const [key, bucket] of this.#buckets) {
      if (!this.#reached(bucket.msn, bucket.part)) continue
      this.#buckets.delete(key)
      for (const waiter of bucket.waiters) waiter.resolve()
    }
    const change: RenditionChange = { window, version: this.#version, kind }
    // Behind the waiters' promises, which were settled first.
    queueMicrotask(() => {
      for (const listener of this.#listeners) listener(change)
    })
  }

  async wait(
    msn: number,
    part: number | undefined,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    if (this.#reached(msn, part)) return
    if (this.#failure !== undefined) throw this.#failure
    const { signal } = options
    if (signal.aborted) throw abortReason(signal)
    if (this.#waiters >= contentLimits.waitersMax) {
      throw new KairoError('ERR_LIMIT', 'too many requests wait for parts of this rendition')
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter: Waiter = { resolve, reject }
    const key = `${msn}.${part ?? ''}`
    let bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      bucket = { msn, part, waiters: new Set() }
      this.#buckets.set(key, bucket)
    }
    bucket.waiters.add(waiter)
    // Not `unlessAborted`: it takes more turns of the microtask queue, and feeds would be woken before whoever waits here.
    const onAbort = (): void => reject(abortReason(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiters += 1
    this.#waiting.inc()
    try {
      await promise
    } finally {
      this.#waiters -= 1
      this.#waiting.dec()
      signal.removeEventListener('abort', onAbort)
      bucket.waiters.delete(waiter)
      if (bucket.waiters.size === 0 && this.#buckets.get(key) === bucket) this.#buckets.delete(key)
    }
  }

  /** Ends all waits with an error, and those to come, until {@link WindowedRendition.recover}. */
  fail(error: KairoError): void {
    this.#failure = error
    for (const [key, bucket] of this.#buckets) {
      this.#buckets.delete(key)
      for (const waiter of bucket.waiters) waiter.reject(error)
    }
  }

  /** Waits are accepted again. */
  recover(): void {
    this.#failure = undefined
  }

  /** Calls `listener` after each change, until the function returned is called. */
  onChange(listener: (change: RenditionChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls `listener` when the rendition is released, until the function returned is called. */
  onRelease(listener: (error: KairoError) => void): () => void {
    this.#releaseListeners.add(listener)
    return () => this.#releaseListeners.delete(listener)
  }

  /** Lets go of the pinned objects and ends all waits and feeds; the rendition is not used any more. */
  release(error: KairoError): void {
    if (this.#released) return
    this.#released = true
    this.fail(error)
    this.#unpinAll(this.#window.entries)
    for (const listener of [...this.#releaseListeners]) listener(error)
  }

  #reached(msn: number, part: number | undefined): boolean {
    if (this.#window.head.ended) return true
    const last = this.#window.last
    if (last === undefined) return false
    if (part === undefined) return last.msn > msn || (last.msn === msn && last.endOfSegment)
    return comparePositions(last, { msn, part }) >= 0
  }

  #repin(
    before: readonly IndexEntry[],
    after: readonly IndexEntry[],
    kind: RenditionChange['kind'],
  ): void {
    if (this.#released) return
    if (kind === 'window') {
      this.#pinAll(after)
      this.#unpinAll(before)
      return
    }
    this.#pinAll(kind === 'part' ? after.slice(-1) : [])
    const kept = kind === 'part' ? after.length - 1 : after.length
    this.#unpinAll(before.slice(0, before.length - kept))
  }

  #pinAll(entries: readonly IndexEntry[]): void {
    for (const entry of entries) {
      this.#pins.pin(entry.digest)
      this.#pins.pin(entry.initDigest)
    }
  }

  #unpinAll(entries: readonly IndexEntry[]): void {
    for (const entry of entries) {
      this.#pins.unpin(entry.digest)
      this.#pins.unpin(entry.initDigest)
    }
  }
}
