/**
 * The content store: immutable objects named by their SHA-256, in RAM at once and on disk a moment later. Both tiers are
 * bounded by bytes and by number; parts of live windows go after other objects, kept ones not at all. A disk that refuses to write
 * costs its tier and nothing else: the peer goes on from RAM, says that it is degraded, and comes back by itself.
 */
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { abortReason, deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { storeLimits } from '../../limits/store.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { type Digest, digestOf } from '../digest.ts'
import { type ObjectClass, S3Fifo } from '../eviction/s3-fifo.ts'
import { SingleFlight } from '../single-flight.ts'
import { DiskOutage } from './disk-outage.ts'
import { DiskTier, type EvictionReason } from './disk-tier.ts'
import type { Keeper, KeeperBits } from './keepers.ts'
import { ObjectClasses } from './object-classes.ts'
import type { AccountKind, AccountUsage, ObjectOwner } from './owner-accounts.ts'
import { StoreMetrics } from './store-metrics.ts'

/** What a store works with. */
export interface ContentStoreComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
}

/** How a store is set up. */
export interface ContentStoreInit {
  /** Folder of the disk tier; undefined keeps everything in RAM. */
  readonly directory?: string
  /** Bytes of objects in RAM. */
  readonly memoryBytesMax: number
  /** Bytes of objects on disk; 0 keeps everything in RAM. */
  readonly diskBytesMax: number
  /** Files of objects on disk; `storeLimits.diskFilesMax` by default. */
  readonly diskFilesMax?: number
  /** Bytes on disk of one stream; 0, the default, for no bound. */
  readonly streamBytesMax?: number
  /** Bytes on disk of one tenant; 0, the default, for no bound. */
  readonly tenantBytesMax?: number
}

/** What a caller knows of an object that it puts. */
export interface PutOptions {
  /** Whose quota it counts for on disk; nobody's by default. Of an object put twice the first owner counts. */
  readonly owner?: ObjectOwner
  /** True for a part that is about to be pinned: room for it is made among older parts of live windows too. */
  readonly isLive?: boolean
}

/**
 * Objects that are kept for good elsewhere on this machine's disk: recordings, videos on demand. The store asks it for what
 * it has not itself, and keeps in RAM what it gets; such objects need no second copy in the disk tier.
 */
export interface ObjectSource {
  has(digest: Digest): boolean
  /** The bytes, verified against the digest; undefined when they are not there after all. */
  read(digest: Digest): Promise<Buffer | undefined>
}

/** Whether the store does all it should. */
export interface StoreHealth {
  readonly status: 'ok' | 'degraded'
  /** A sentence for the operator; empty when all is well. */
  readonly reason: string
}

/** Told of every object that was asked for. */
export type ReadObserver = (digest: Digest) => void

/** The object of no bytes is always there: captions have such init segments, origins such files. */
const EMPTY = Buffer.alloc(0)
const EMPTY_DIGEST = digestOf(EMPTY)

/** Objects in RAM and on disk. */
export class ContentStore {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: StoreMetrics
  readonly #classes = new ObjectClasses()
  readonly #memory: S3Fifo<Buffer>
  readonly #memoryBytesMax: number
  readonly #disk: DiskTier | undefined
  readonly #outage: DiskOutage
  readonly #reads = new SingleFlight<Buffer | undefined>()
  readonly #sources: ObjectSource[] = []
  #observer: ReadObserver | undefined
  #diskOpen = false
  /** True once a kept object had to go, which only bounds that shrank can bring about. */
  #keptEvicted = false
  #stopped = false

  constructor(components: ContentStoreComponents, init: ContentStoreInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:store' })
    this.#metrics = new StoreMetrics(components.registry, () => ({
      tiers: { memory: this.#memory, ...(this.#disk === undefined ? {} : { disk: this.#disk }) },
      memoryHitsOf: (objectClass) => this.#memory.hitsOf(objectClass),
      owners: this.#disk?.owners ?? 0,
    }))
    this.#memoryBytesMax = init.memoryBytesMax
    this.#memory = new S3Fifo({
      bytesMax: init.memoryBytesMax,
      entriesMax: storeLimits.memoryEntriesMax,
      ghostsMax: storeLimits.ghostsMax,
      onEvict: (_digest, _bytes, objectClass) =>
        this.#metrics.evicted('memory', objectClass, 'room'),
    })
    this.#outage = new DiskOutage(
      { clock: this.#clock, logger: this.#logger, metrics: this.#metrics },
      () => this.#probeDisk(),
    )
    this.#disk = this.#createDisk(init)
  }

  /** Opens the disk tier, taking over what an earlier run left. A disk that cannot be used leaves the store degraded. */
  async start(): Promise<void> {
    if (this.#disk === undefined) return
    try {
      await this.#disk.open()
      this.#diskOpen = true
    } catch (error) {
      this.#outage.failed(error as NodeJS.ErrnoException)
    }
  }

  /** Writes what is queued, for a bounded time, and lets go of the disk. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#outage.stop()
    if (this.#disk === undefined) return
    const limit = deadline(this.#clock, contentLimits.diskFlushMsMax)
    const expired = new Promise<void>((resolve) => {
      limit.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await Promise.race([this.#disk.close(), expired])
    limit.clear()
    if (limit.expired) {
      this.#logger.warn(
        { writes: this.#disk.writesQueued },
        'stopped before all objects were on disk',
      )
    }
  }

  /** Bytes in each tier. */
  get usage(): { readonly memoryBytes: number; readonly diskBytes: number } {
    return { memoryBytes: this.#memory.bytes, diskBytes: this.#disk?.bytes ?? 0 }
  }

  /** What a tenant or stream has on disk. */
  usageOf(kind: AccountKind, name: string): AccountUsage {
    return this.#disk?.usageOf(kind, name) ?? { bytes: 0, objects: 0, bytesMax: 0 }
  }

  /** Whose quota an object on disk counts for; undefined when it is in RAM only, or nobody's. */
  ownerOf(digest: Digest): ObjectOwner | undefined {
    return this.#disk?.ownerOf(digest)
  }

  /** Digests that are kept, whether or not they are here, and by whom. */
  get kept(): ReadonlyMap<Digest, KeeperBits> {
    return this.#classes.kept
  }

  /** Whether the store does all it should, and what is wrong when not. */
  health(): StoreHealth {
    const { cause } = this.#outage
    if (cause === undefined) return { status: 'ok', reason: '' }
    return {
      status: 'degraded',
      reason: `the disk cache cannot write (${cause.code ?? cause.message}); serving from memory`,
    }
  }

  /**
   * Takes an object whose digest the caller has verified. It can be read at once; the disk follows. The bytes must not
   * change afterwards.
   */
  put(digest: Digest, bytes: Buffer, options: PutOptions = {}): void {
    if (digest === EMPTY_DIGEST) return
    this.#remember(digest, bytes, options.isLive)
    if (this.#disk === undefined || this.#stopped || this.#disk.has(digest)) return
    if (!this.#diskOpen || this.#outage.cause !== undefined) {
      this.#metrics.skipped.inc({ reason: 'outage' })
      return
    }
    const outcome = this.#disk.write(digest, bytes, options)
    if (outcome === 'busy') this.#metrics.skipped.inc({ reason: 'queue' })
    else if (outcome !== 'queued') this.#metrics.skipped.inc({ reason: outcome })
  }

  /** The object if it is in RAM. */
  peek(digest: Digest): Buffer | undefined {
    const bytes = this.#memory.get(digest)
    if (bytes === undefined) return digest === EMPTY_DIGEST ? EMPTY : undefined
    this.#observer?.(digest)
    return bytes
  }

  /** The object from RAM, disk or a source, verified; undefined when none has it. */
  async read(
    digest: Digest,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Buffer | undefined> {
    const inMemory = this.peek(digest)
    if (inMemory !== undefined) return inMemory
    this.#observer?.(digest)
    if (options.signal?.aborted === true) throw abortReason(options.signal)
    const disk = this.#disk?.has(digest) === true ? this.#disk : undefined
    const source = this.#sources.find((one) => one.has(digest))
    if (disk === undefined && source === undefined) {
      this.#metrics.read('none', this.#classes.of(digest))
      return undefined
    }
    return await this.#reads.run(digest, options.signal, () => this.#readSlow(digest, disk, source))
  }

  /**
   * The bytes of an object from `start` to before `end`, cut to what it has; undefined when it is nowhere here. The whole is verified
   * before the first slice is served, and is in RAM for those that follow.
   */
  async readRange(
    digest: Digest,
    start: number,
    end: number,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Buffer | undefined> {
    return (await this.read(digest, options))?.subarray(start, end)
  }

  /** True when the object is in RAM, on disk, or in a source. */
  has(digest: Digest): boolean {
    return (
      this.#memory.has(digest) ||
      this.#disk?.has(digest) === true ||
      digest === EMPTY_DIGEST ||
      this.#sources.some((source) => source.has(digest))
    )
  }

  /** Length of an object in RAM or on disk; undefined where it is in neither. */
  sizeOf(digest: Digest): number | undefined {
    return (this.#memory.standingOf(digest) ?? this.#disk?.standingOf(digest))?.bytes
  }

  /** True when a live window has the object, whether or not it is here. */
  isLive(digest: Digest): boolean {
    return this.#classes.inWindow(digest) === 'live'
  }

  /** Adds objects that live elsewhere; for the wiring. */
  addSource(source: ObjectSource): void {
    this.#sources.push(source)
  }

  /** Tells `observer`, and none before it, of every object that is asked for; it must be quick. */
  observeReads(observer: ReadObserver): void {
    this.#observer = observer
  }

  /** Forgets an object in both tiers, kept or not. */
  delete(digest: Digest): void {
    this.#memory.delete(digest)
    this.#disk?.delete(digest)
  }

  /** Keeps an object of a live window before others; each pin needs one {@link ContentStore.unpin}. */
  pin(digest: Digest): void {
    this.#classes.pin(digest)
    this.#reclass(digest)
  }

  /** Takes one pin back. */
  unpin(digest: Digest): void {
    this.#classes.unpin(digest)
    this.#reclass(digest)
  }

  /**
   * Keeps an object that the store has until this keeper releases it, over restarts where there is a disk; what others keep is theirs.
   * An object that turns out damaged later is thrown away like others, and is kept again once it is put again.
   * @throws KairoError `ERR_NOT_FOUND` when it is nowhere here, `ERR_STORAGE` when there is no room for more kept objects or the disk
   * does not take it.
   */
  async keep(digest: Digest, keeper: Keeper): Promise<void> {
    const bytes = this.#memory.look(digest) ?? (await this.read(digest))
    if (bytes === undefined) {
      throw new KairoError('ERR_NOT_FOUND', 'an object that is not here cannot be kept')
    }
    if (digest === EMPTY_DIGEST) return
    if (this.#disk === undefined) return this.#keepInMemory(digest, keeper, bytes)
    if (!this.#diskOpen || this.#outage.cause !== undefined) {
      throw new KairoError('ERR_STORAGE', 'the disk cache cannot write')
    }
    const outcome = this.#disk.write(digest, bytes)
    if (outcome !== 'queued' && outcome !== 'known') {
      throw new KairoError('ERR_STORAGE', `the disk cache does not take the object (${outcome})`)
    }
    await this.#disk.keep(digest, keeper)
  }

  /**
   * Takes a keeper's word back; where nobody else keeps the object it goes like others again.
   * @throws KairoError `ERR_STORAGE` when it cannot be written down.
   */
  async release(digest: Digest, keeper: Keeper): Promise<void> {
    if (this.#disk !== undefined) return await this.#disk.release(digest, keeper)
    this.#classes.release(digest, keeper)
    this.#reclass(digest)
  }

  /** Sets a tenant's own bound on disk in place of the common one: bytes, 0 for none, undefined for the common one again. */
  async setTenantMax(tenant: string, bytesMax: number | undefined): Promise<void> {
    await this.#disk?.setTenantMax(tenant, bytesMax)
  }

  #createDisk(init: ContentStoreInit): DiskTier | undefined {
    if (init.directory === undefined || init.diskBytesMax === 0) return undefined
    return new DiskTier({
      directory: init.directory,
      bytesMax: init.diskBytesMax,
      filesMax: init.diskFilesMax ?? storeLimits.diskFilesMax,
      streamBytesMax: init.streamBytesMax ?? 0,
      tenantBytesMax: init.tenantBytesMax ?? 0,
      clock: this.#clock,
      classes: this.#classes,
      isWanted: (digest) => this.#memory.isUsed(digest),
      events: {
        failed: (error) => this.#outage.failed(error),
        short: (error) => this.#metrics.diskErrors.inc({ code: error.code ?? 'UNKNOWN' }),
        corrupt: (digest, cause) => this.#diskCorrupt(digest, cause),
        evicted: (objectClass, reason) => this.#diskEvicted(objectClass, reason),
        rewritten: () => this.#metrics.catalogRewrites.inc(),
      },
    })
  }

  #remember(digest: Digest, bytes: Buffer, isLive = false): void {
    if (this.#memory.has(digest)) return
    const objectClass = this.#memoryClassOf(digest)
    const admittedAs = objectClass === 'loose' && isLive ? 'live' : objectClass
    this.#memory.put(digest, bytes, bytes.byteLength, objectClass, admittedAs)
  }

  async #readSlow(
    digest: Digest,
    disk: DiskTier | undefined,
    source: ObjectSource | undefined,
  ): Promise<Buffer | undefined> {
    const cached = await disk?.read(digest)
    const bytes = cached ?? (await source?.read(digest))
    const tier = cached === undefined ? 'archive' : 'disk'
    this.#metrics.read(bytes === undefined ? 'none' : tier, this.#classes.of(digest))
    if (bytes !== undefined) this.#remember(digest, bytes)
    return bytes
  }

  #memoryClassOf(digest: Digest): ObjectClass {
    return this.#disk === undefined ? this.#classes.of(digest) : this.#classes.inWindow(digest)
  }

  #reclass(digest: Digest): void {
    this.#memory.setClass(digest, this.#memoryClassOf(digest))
    this.#disk?.reclass(digest)
  }

  #keepInMemory(digest: Digest, keeper: Keeper, bytes: Buffer): void {
    const bytesMax = this.#memoryBytesMax * storeLimits.keptShareMax
    this.#remember(digest, bytes)
    const isNew = !this.#classes.kept.has(digest)
    const isOver = isNew && this.#memory.bytesOf('kept') + bytes.byteLength > bytesMax
    if (isOver || !this.#memory.has(digest)) {
      throw new KairoError('ERR_STORAGE', 'kept objects leave no room for another')
    }
    this.#classes.keep(digest, keeper)
    this.#reclass(digest)
  }

  async #probeDisk(): Promise<void> {
    if (this.#disk === undefined) return
    await this.#disk.probe()
    if (this.#diskOpen) return
    await this.#disk.open()
    this.#diskOpen = true
  }

  #diskEvicted(objectClass: ObjectClass, reason: EvictionReason): void {
    this.#metrics.evicted('disk', objectClass, reason)
    if (objectClass !== 'kept' || this.#keptEvicted) return
    this.#keptEvicted = true
    this.#logger.error(
      { code: 'ERR_STORAGE' },
      'kept objects exceed the bounds of the disk cache; some were removed',
    )
  }

  #diskCorrupt(digest: Digest, cause: unknown): void {
    this.#metrics.corrupt.inc()
    this.#logger.warn({ digest, err: cause }, 'deleted a damaged file from the disk cache')
  }
}
