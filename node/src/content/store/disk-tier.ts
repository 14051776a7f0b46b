/**
 * The disk half of the content store: which objects lie there, whose they are, and which go when there are too many. Bounded by
 * bytes and by files, and for each owner by its quota.
 */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../clock.ts'
import { storeLimits } from '../../limits/store.ts'
import { contentLimits } from '../../limits.ts'
import type { Digest } from '../digest.ts'
import { type ObjectClass, S3Fifo, type Standing } from '../eviction/s3-fifo.ts'
import { Catalog } from './catalog.ts'
import type { CatalogImage, CatalogObject } from './catalog-codec.ts'
import type { Keeper } from './keepers.ts'
import { KeptObjects } from './kept-objects.ts'
import type { ObjectClasses } from './object-classes.ts'
import { type FoundFile, ObjectFiles } from './object-files.ts'
import {
  type AccountKind,
  type AccountUsage,
  boundedName,
  boundedOwner,
  type ObjectOwner,
  type OwnedObject,
  OwnerAccounts,
} from './owner-accounts.ts'

/** Why an object went: too much on disk, or too much of its owner's. */
export type EvictionReason = 'room' | AccountKind

/** What became of an object offered to the disk: on its way, there already, too much to do, over a quota, no room by class. */
export type WriteOutcome = 'queued' | 'known' | 'busy' | 'quota' | 'room'

/** What happens on disk, for metrics and health. */
export interface DiskEvents {
  /** A write or removal failed; `error` is the system's. */
  failed(error: NodeJS.ErrnoException): void
  /** A file did not hold what its name says, or could not be read; it is deleted. */
  corrupt(digest: Digest, cause: unknown): void
  /** A file could not be read for want of something that says nothing of the file; it stays. */
  short(error: NodeJS.ErrnoException): void
  /** An object was removed to make room. */
  evicted(objectClass: ObjectClass, reason: EvictionReason): void
  /** The catalog was written anew. */
  rewritten(): void
}

/** How the disk tier is set up. */
export interface DiskTierInit {
  readonly directory: string
  readonly bytesMax: number
  readonly filesMax: number
  /** Bytes of one stream and of one tenant; 0 for no bound. */
  readonly streamBytesMax: number
  readonly tenantBytesMax: number
  readonly clock: Clock
  readonly classes: ObjectClasses
  /** True for an object that RAM has and was asked for lately. */
  readonly isWanted: (digest: Digest) => boolean
  readonly events: DiskEvents
}

/** What an object on disk carries: its place in its owner's accounts. */
interface Held {
  readonly owned: OwnedObject | undefined
}

/** Failures of a read that come from this process or machine, not from the file. */
const SHORTAGES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'])

/** Steps in which the age of adopted files is told. */
const AGES = 1_024

const NOBODYS: Held = { owned: undefined }

/** Files of objects under one folder. */
export class DiskTier {
  readonly #init: DiskTierInit
  readonly #files: ObjectFiles
  readonly #catalog: Catalog
  readonly #kept: KeptObjects
  readonly #accounts: OwnerAccounts
  /** What is on disk or about to be. */
  readonly #held: S3Fifo<Held>
  /** Work on one digest is always in the same lane, so that a removal never overtakes a write. */
  readonly #lanes: Promise<void>[] = Array.from({ length: contentLimits.diskLanes }, () =>
    Promise.resolve(),
  )
  #writesQueued = 0
  #removalsQueued = 0
  #opened = false
  #closed = false

  constructor(init: DiskTierInit) {
    this.#init = init
    this.#files = new ObjectFiles(init.directory)
    this.#accounts = new OwnerAccounts(init)
    this.#held = new S3Fifo<Held>({
      bytesMax: init.bytesMax,
      entriesMax: init.filesMax,
      ghostsMax: storeLimits.ghostsMax,
      isWanted: init.isWanted,
      onEvict: (digest, held, objectClass) => {
        this.#letGo(digest, held)
        init.events.evicted(objectClass, 'room')
      },
    })
    const held = this.#held
    this.#catalog = new Catalog({
      ...init,
      source: {
        get size() {
          return held.size
        },
        digests: () => held.keys(),
        object: (digest) => this.#catalogObject(digest),
        kept: init.classes.kept,
      },
      onFailure: init.events.failed,
      onRewrite: init.events.rewritten,
    })
    this.#kept = new KeptObjects({
      classes: init.classes,
      catalog: this.#catalog,
      tier: {
        bytesMax: init.bytesMax,
        filesMax: init.filesMax,
        keptBytes: () => held.bytesOf('kept'),
        has: (digest) => held.has(digest),
        bytesOf: (digest) => held.standingOf(digest)?.bytes ?? 0,
        written: (digest) => this.#lanes[laneOf(digest)],
        reclass: (digest) => this.reclass(digest),
      },
    })
  }

  /** Bytes on disk or about to be. */
  get bytes(): number {
    return this.#held.bytes
  }

  /** Writes that wait or run. */
  get writesQueued(): number {
    return this.#writesQueued
  }

  /** Owners with objects. */
  get owners(): number {
    return this.#accounts.size
  }

  /** Bytes of one class. */
  bytesOf(objectClass: ObjectClass): number {
    return this.#held.bytesOf(objectClass)
  }

  /** Objects of one class. */
  sizeOf(objectClass: ObjectClass): number {
    return this.#held.sizeOf(objectClass)
  }

  /** What an owner has on disk. */
  usageOf(kind: AccountKind, name: string): AccountUsage {
    return this.#accounts.usageOf(kind, boundedName(name))
  }

  /** Whose quota an object counts for; undefined when it is not here or nobody's. */
  ownerOf(digest: Digest): ObjectOwner | undefined {
    return this.#held.look(digest)?.owned?.owner
  }

  /**
   * Takes stock of what is there: leftovers of a crash and what is over the limits go, and so does any file whose name this tier
   * would not have given it. A folder that can be read and not written is used for reading, and reported.
   * @throws the system's error when the folder cannot be used at all.
   */
  async open(): Promise<void> {
    let failure: unknown
    try {
      await this.#files.prepare()
    } catch (error) {
      failure = error
    }
    try {
      const image = await this.#catalog.load()
      const isAsWritten = await this.#takeStock(image)
      if (!isAsWritten) this.#catalog.distrust()
    } catch (error) {
      throw failure ?? error
    }
    this.#opened = true
    if (failure !== undefined) this.#init.events.failed(failure as NodeJS.ErrnoException)
    else await this.#catalog.flush()
  }

  /** True when the object is on disk or about to be. */
  has(digest: Digest): boolean {
    return this.#held.has(digest)
  }

  /** How an object stands. */
  standingOf(digest: Digest): (Standing & { readonly bytes: number }) | undefined {
    return this.#held.standingOf(digest)
  }

  /**
   * Queues a write, making room.
   * @param isLive the object is about to be in a live window.
   */
  write(
    digest: Digest,
    bytes: Buffer,
    options: { readonly owner?: ObjectOwner; readonly isLive?: boolean } = {},
  ): WriteOutcome {
    if (this.#held.has(digest)) return 'known'
    if (this.#closed || this.#writesQueued >= contentLimits.diskWritesMax) return 'busy'
    if (this.#removalsQueued >= storeLimits.removalsMax) return 'busy'
    const { isLive = false } = options
    const owner = options.owner && boundedOwner(options.owner)
    const objectClass = this.#init.classes.of(digest)
    const admittedAs = objectClass === 'loose' && isLive ? 'live' : objectClass
    const size = bytes.byteLength
    if (!this.#held.fits(size, admittedAs)) return 'room'
    if (owner !== undefined && !this.#makeRoomOf(owner, size)) return 'quota'
    const held = this.#enter(digest, size, owner, objectClass)
    const isTaken = this.#held.put(digest, held, size, objectClass, admittedAs)
    assert(isTaken, 'what fits is taken')
    this.#writesQueued += 1
    this.#inLane(digest, async () => {
      try {
        await this.#write(digest, bytes)
      } finally {
        this.#writesQueued -= 1
      }
    })
    return 'queued'
  }

  /** The object's bytes, verified, or undefined when it is not here or turned out corrupt. */
  async read(digest: Digest): Promise<Buffer | undefined> {
    if (this.#held.get(digest) === undefined) return undefined
    // A write of the same object that is still queued comes first.
    await this.#lanes[laneOf(digest)]
    if (!this.#held.has(digest)) return undefined
    try {
      return await this.#files.read(digest)
    } catch (cause) {
      // Sent away while it was being read.
      if (!this.#held.has(digest)) return undefined
      if (SHORTAGES.has((cause as NodeJS.ErrnoException).code ?? '')) {
        this.#init.events.short(cause as NodeJS.ErrnoException)
        return undefined
      }
      this.#init.events.corrupt(digest, cause)
      this.delete(digest)
      return undefined
    }
  }

  /** Removes an object. */
  delete(digest: Digest): void {
    const held = this.#held.delete(digest)
    if (held !== undefined) this.#letGo(digest, held)
  }

  /** Takes over the class that the object has now. */
  reclass(digest: Digest): void {
    const held = this.#held.look(digest)
    if (held === undefined) return
    const objectClass = this.#init.classes.of(digest)
    this.#held.setClass(digest, objectClass)
    if (held.owned !== undefined) this.#accounts.setClass(held.owned, objectClass)
  }

  /**
   * Keeps an object that is here until this keeper releases it, over restarts; on disk when the promise resolves.
   * @throws KairoError `ERR_STORAGE` when there is no room for more kept objects, or it cannot be written down.
   */
  async keep(digest: Digest, keeper: Keeper): Promise<void> {
    await this.#kept.keep(digest, keeper)
  }

  /**
   * Takes a keeper's word back; where nobody else keeps the object it goes like others again.
   * @throws KairoError `ERR_STORAGE` when it cannot be written down; it is kept again after a restart then.
   */
  async release(digest: Digest, keeper: Keeper): Promise<void> {
    await this.#kept.release(digest, keeper)
  }

  /** Sets a tenant's own bound, 0 for none, undefined for the common one; resolves when what is over it is gone. */
  async setTenantMax(tenant: string, bytesMax: number | undefined): Promise<void> {
    this.#accounts.setTenantMax(boundedName(tenant), bytesMax)
    await this.#trimOwners()
  }

  /** Writes and removes a file, to learn whether the disk takes writes again. */
  async probe(): Promise<void> {
    await this.#files.probe()
  }

  /** Takes no more writes and resolves when those queued are done and the catalog is written. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#lanes)
    if (this.#opened) await this.#catalog.close()
  }

  /**
   * Takes over the objects that have a file, in the catalog's order. Files that it does not know are adopted; nobody knows whose they
   * are. False when the catalog said something else than the files.
   */
  async #takeStock(image: CatalogImage): Promise<boolean> {
    for (const [digest, bits] of image.kept) this.#init.classes.setKeepers(digest, bits)
    let known = 0
    const unknown = await this.#files.scan((digest) => {
      const object = image.objects.get(digest)
      if (object === undefined) return false
      known += 1
      object.isFound = true
      return true
    })
    let count = 0
    for (const object of image.objects.values()) {
      if (object.isFound) this.#restore(object)
      count += 1
      if (count % storeLimits.restoreSliceObjects === 0) await nextTurn()
    }
    for (const { digest, bytes } of oldestFirst(unknown)) {
      this.#restore({ digest, bytes, owner: undefined, isMain: false, uses: 0 })
      count += 1
      if (count % storeLimits.restoreSliceObjects === 0) await nextTurn()
    }
    this.#held.trim()
    await this.#trimOwners()
    return unknown.length === 0 && known === image.objects.size
  }

  async #trimOwners(): Promise<void> {
    let count = 0
    for (const { kind, name } of this.#accounts.overdrawn()) {
      const isOver = (): boolean => {
        const { bytes, bytesMax } = this.#accounts.usageOf(kind, name)
        return bytesMax > 0 && bytes > bytesMax
      }
      while (isOver() && this.#evictOf(kind, name)) {
        count += 1
        if (count % storeLimits.restoreSliceObjects === 0) await nextTurn()
      }
    }
  }

  #restore({ digest, bytes, owner, isMain, uses }: CatalogObject): void {
    if (this.#held.has(digest)) return
    const objectClass = this.#init.classes.of(digest)
    const held = this.#enter(digest, bytes, owner, objectClass)
    this.#held.restore(digest, held, bytes, { isMain, uses, objectClass })
  }

  #catalogObject(digest: Digest): CatalogObject | undefined {
    const standing = this.#held.standingOf(digest)
    if (standing === undefined) return undefined
    return { digest, ...standing, owner: this.#held.look(digest)?.owned?.owner }
  }

  #enter(
    digest: Digest,
    bytes: number,
    owner: ObjectOwner | undefined,
    objectClass: ObjectClass,
  ): Held {
    const owned = owner && this.#accounts.enter(digest, bytes, owner, objectClass)
    return owned === undefined ? NOBODYS : { owned }
  }

  #makeRoomOf(owner: ObjectOwner, bytes: number): boolean {
    if (!this.#accounts.couldFit(owner, bytes)) return false
    for (;;) {
      const over = this.#accounts.over(owner, bytes)
      if (over === undefined) return true
      if (!this.#evictOf(over.kind, over.name)) return false
    }
  }

  #evictOf(kind: AccountKind, name: string): boolean {
    const victim = this.#accounts.victim(kind, name, (digest) => this.#held.spare(digest))
    if (victim === undefined) return false
    const objectClass = this.#held.classOf(victim) ?? 'loose'
    this.delete(victim)
    this.#init.events.evicted(objectClass, kind)
    return true
  }

  async #write(digest: Digest, bytes: Buffer): Promise<void> {
    // Sent away or deleted while it waited.
    if (!this.#held.has(digest)) return
    try {
      await this.#files.write(digest, bytes)
      const object = this.#catalogObject(digest)
      if (object !== undefined) this.#catalog.added(object)
    } catch (error) {
      const held = this.#held.delete(digest)
      if (held?.owned !== undefined) this.#accounts.leave(held.owned)
      this.#init.events.failed(error as NodeJS.ErrnoException)
    }
  }

  /** The object counts for nobody any more, and its file goes in its turn. */
  #letGo(digest: Digest, held: Held): void {
    if (held.owned !== undefined) this.#accounts.leave(held.owned)
    this.#removalsQueued += 1
    this.#inLane(digest, async () => {
      this.#removalsQueued -= 1
      // Written again in the meantime: the newer write follows in this lane and needs no removal.
      if (this.#held.has(digest)) return
      try {
        await this.#files.remove(digest)
        this.#catalog.removed(digest)
      } catch (error) {
        this.#init.events.failed(error as NodeJS.ErrnoException)
      }
    })
  }

  #inLane(digest: Digest, work: () => Promise<void>): void {
    const lane = laneOf(digest)
    this.#lanes[lane] = (this.#lanes[lane] ?? Promise.resolve()).then(work)
  }
}

/** By age, roughly: sorting them exactly would hold up the event loop when there are many. */
function* oldestFirst(files: readonly FoundFile[]): Generator<FoundFile> {
  let first = Number.POSITIVE_INFINITY
  let last = Number.NEGATIVE_INFINITY
  for (const { writtenMs } of files) {
    first = Math.min(first, writtenMs)
    last = Math.max(last, writtenMs)
  }
  const ages = Array.from({ length: AGES }, (): FoundFile[] => [])
  for (const file of files) {
    const age = Math.floor(((file.writtenMs - first) / (last - first + 1)) * AGES)
    ages[age]?.push(file)
  }
  for (const age of ages) yield* age
}

function laneOf(digest: Digest): number {
  return Number.parseInt(digest.slice(0, 2), 16) % contentLimits.diskLanes
}
