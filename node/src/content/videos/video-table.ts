/**
 * The lists of videos of other peers: bounded, found by video and by page, each forgotten when its life is over. A list lives on this
 * peer's clock for as long as its owner gave it, so that clocks that differ do no harm.
 */
import type { CancelTimer, Clock } from '../../clock.ts'
import { videoLimits as limits } from '../../limits/videos.ts'
import type { Digest } from '../digest.ts'
import type { VideoListHead } from './signed-list.ts'
import type { VideoRecord } from './video-record.ts'

/** One page of a list. */
export interface KnownPage {
  readonly bytes: Buffer
  readonly videos: readonly VideoRecord[]
}

/** A list, all of it. */
export interface KnownList {
  readonly head: VideoListHead
  /** The encoded SignedRecord, for others who ask. */
  readonly signed: Uint8Array
  readonly pages: ReadonlyMap<Digest, KnownPage>
}

/** A video of another peer. */
export interface KnownVideo {
  /** Peer id, base58. */
  readonly owner: string
  readonly video: VideoRecord
}

interface Row extends KnownList {
  /** Monotonic milliseconds at which it is forgotten. */
  readonly endsAtMs: number
  readonly bytes: number
}

/** What another list changes. */
export interface VideoChanges {
  /** New, or told otherwise than before. */
  readonly changed: readonly KnownVideo[]
  readonly removed: readonly KnownVideo[]
}

/** Lists by owner. */
export class VideoTable {
  readonly #clock: Clock
  readonly #onExpired: (owner: string) => void
  readonly #rows = new Map<string, Row>()
  readonly #videos = new Map<string, KnownVideo>()
  readonly #pages = new Map<Digest, KnownPage>()
  #bytes = 0
  #cancelSweep: CancelTimer | undefined

  constructor(clock: Clock, onExpired: (owner: string) => void) {
    this.#clock = clock
    this.#onExpired = onExpired
  }

  /** Owners whose lists are known. */
  get owners(): number {
    return this.#rows.size
  }

  /** Videos on all lists. */
  get videos(): number {
    return this.#videos.size
  }

  /** Bytes of all pages. */
  get bytes(): number {
    return this.#bytes
  }

  /** The list of an owner. */
  of(owner: string): KnownList | undefined {
    return this.#rows.get(owner)
  }

  /** Every list. */
  lists(): readonly KnownList[] {
    return [...this.#rows.values()]
  }

  /** A video by its name, which is one owner's only. */
  video(id: string): KnownVideo | undefined {
    return this.#videos.get(id)
  }

  /** Every video. */
  list(): readonly KnownVideo[] {
    return [...this.#videos.values()]
  }

  /** A page of any list. */
  page(digest: Digest): KnownPage | undefined {
    return this.#pages.get(digest)
  }

  /** True when there is room for so many bytes in place of what is known of the owner. */
  hasRoom(owner: string, bytes: number): boolean {
    const known = this.#rows.get(owner)
    if (known === undefined && this.#rows.size >= limits.ownersMax) return false
    return this.#bytes - (known?.bytes ?? 0) + bytes <= limits.bytesMax
  }

  /** Adds a list, or replaces the owner's. */
  put(list: KnownList): VideoChanges {
    const { owner } = list.head
    const before = this.#rows.get(owner)
    const bytes = bytesOf(list)
    const row = { ...list, bytes, endsAtMs: this.#clock.monotonicMs() + this.#lifeMs(list.head) }
    this.#rows.set(owner, row)
    this.#bytes += bytes - (before?.bytes ?? 0)
    for (const digest of before?.pages.keys() ?? []) this.#pages.delete(digest)
    for (const [digest, page] of list.pages) this.#pages.set(digest, page)
    const after = new Map(videosOf(list).map((video) => [video.id, video]))
    const removed: KnownVideo[] = []
    for (const video of before === undefined ? [] : videosOf(before)) {
      if (after.has(video.id)) continue
      this.#videos.delete(video.id)
      removed.push({ owner, video })
    }
    const changed: KnownVideo[] = []
    for (const video of after.values()) {
      // Pages that stayed bring the very same objects.
      if (this.#videos.get(video.id)?.video === video) continue
      const known = { owner, video }
      this.#videos.set(video.id, known)
      changed.push(known)
    }
    this.#sweepLater()
    return { changed, removed }
  }

  /** The same list was signed anew. */
  refresh(head: VideoListHead, signed: Uint8Array): void {
    const row = this.#rows.get(head.owner)
    if (row === undefined) return
    const endsAtMs = this.#clock.monotonicMs() + this.#lifeMs(head)
    this.#rows.set(head.owner, { ...row, head, signed, endsAtMs })
  }

  /** Stops forgetting. */
  stop(): void {
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
  }

  /** What its owner gave it, or what is left of that by this peer's clock. */
  #lifeMs({ expiresAtMs, sequence }: VideoListHead): number {
    const leftMs = expiresAtMs + limits.clockSkewMsMax - this.#clock.now()
    return Math.max(0, Math.min(expiresAtMs - sequence, leftMs))
  }

  #forget(row: Row): void {
    const { owner } = row.head
    this.#rows.delete(owner)
    this.#bytes -= row.bytes
    for (const digest of row.pages.keys()) this.#pages.delete(digest)
    for (const { id } of videosOf(row)) this.#videos.delete(id)
    this.#onExpired(owner)
  }

  #sweepLater(): void {
    if (this.#cancelSweep !== undefined) return
    this.#cancelSweep = this.#clock.after(limits.announceIntervalMs, () => {
      this.#cancelSweep = undefined
      const now = this.#clock.monotonicMs()
      for (const row of [...this.#rows.values()]) if (row.endsAtMs <= now) this.#forget(row)
      if (this.#rows.size > 0) this.#sweepLater()
    })
  }
}

/** Bytes of the pages of a list. */
export function bytesOf({ pages }: Pick<KnownList, 'pages'>): number {
  return [...pages.values()].reduce((sum, { bytes }) => sum + bytes.byteLength, 0)
}

function videosOf({ head, pages }: KnownList): VideoRecord[] {
  return head.pages.flatMap((digest) => pages.get(digest)?.videos ?? [])
}
