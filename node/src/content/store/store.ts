/**
 * The content store: immutable objects named by their SHA-256, in RAM at once and on disk a moment later. Both tiers are
 * bounded by bytes. A disk that refuses to write costs its tier and nothing else: the peer goes on from RAM, says that it is
 * degraded, and comes back by itself.
 */
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../../clock.ts'
import { abortReason, deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import type { Digest } from '../digest.ts'
import { SingleFlight } from '../single-flight.ts'
import { DiskTier } from './disk-tier.ts'
import { MemoryTier } from './memory-tier.ts'
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

/** Objects in RAM and on disk. */
export class ContentStore {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: StoreMetrics
  readonly #memory: MemoryTier
  readonly #disk: DiskTier | undefined
  readonly #reads = new SingleFlight<Buffer | undefined>()
  readonly #sources: ObjectSource[] = []
  #diskOpen = false
  /** The failure that began the present outage of the disk. */
  #outage: NodeJS.ErrnoException | undefined
  #cancelRetry: CancelTimer | undefined
  /** Grows while outages follow each other closely, so that a disk on the brink is not tried, and logged, all the time. */
  #retryMs: number = contentLimits.diskRetryMs
  #recoveredMs = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(components: ContentStoreComponents, init: ContentStoreInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:store' })
    this.#metrics = new StoreMetrics(components.registry, () => ({
      memoryBytes: this.#memory.bytes,
      diskBytes: this.#disk?.bytes ?? 0,
    }))
    this.#memory = new MemoryTier({
      bytesMax: init.memoryBytesMax,
      onEvict: () => this.#metrics.evictedMemory.inc(),
    })
    if (init.directory !== undefined && init.diskBytesMax > 0) {
      this.#disk = new DiskTier({
        directory: init.directory,
        bytesMax: init.diskBytesMax,
        events: {
          failed: (error) => this.#diskFailed(error),
          corrupt: (digest, cause) => this.#diskCorrupt(digest, cause),
          evicted: () => this.#metrics.evictedDisk.inc(),
        },
      })
    }
  }

  /** Opens the disk tier, taking over what an earlier run left. A disk that cannot be used leaves the store degraded. */
  async start(): Promise<void> {
    await this.#openDisk()
  }

  /** Writes what is queued, for a bounded time, and lets go of the disk. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelRetry?.()
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

  /** Whether the store does all it should, and what is wrong when not. */
  health(): StoreHealth {
    if (this.#outage === undefined) return { status: 'ok', reason: '' }
    return {
      status: 'degraded',
      reason: `the disk cache cannot write (${this.#outage.code ?? this.#outage.message}); serving from memory`,
    }
  }

  /**
   * Takes an object whose digest the caller has verified. It can be read at once; the disk follows. The bytes must not
   * change afterwards.
   */
  put(digest: Digest, bytes: Buffer): void {
    this.#memory.put(digest, bytes)
    if (this.#disk === undefined || this.#stopped || this.#disk.has(digest)) return
    if (!this.#diskOpen || this.#outage !== undefined) this.#metrics.skippedOutage.inc()
    else if (!this.#disk.write(digest, bytes)) this.#metrics.skippedQueue.inc()
  }

  /** The object if it is in RAM. */
  peek(digest: Digest): Buffer | undefined {
    const bytes = this.#memory.get(digest)
    if (bytes !== undefined) this.#metrics.readMemory.inc()
    return bytes
  }

  /** The object from RAM, disk or a source, verified; undefined when none has it. */
  async read(
    digest: Digest,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Buffer | undefined> {
    const inMemory = this.peek(digest)
    if (inMemory !== undefined) return inMemory
    if (options.signal?.aborted === true) throw abortReason(options.signal)
    const disk = this.#disk?.has(digest) === true ? this.#disk : undefined
    const source = this.#sources.find((one) => one.has(digest))
    if (disk === undefined && source === undefined) {
      this.#metrics.readMiss.inc()
      return undefined
    }
    return await this.#reads.run(digest, options.signal, () => this.#readSlow(digest, disk, source))
  }

  /** True when the object is in RAM, on disk, or in a source. */
  has(digest: Digest): boolean {
    return (
      this.#memory.has(digest) ||
      this.#disk?.has(digest) === true ||
      this.#sources.some((source) => source.has(digest))
    )
  }

  /** Adds objects that live elsewhere; for the wiring. */
  addSource(source: ObjectSource): void {
    this.#sources.push(source)
  }

  /** Forgets an object in both tiers. */
  delete(digest: Digest): void {
    this.#memory.delete(digest)
    this.#disk?.delete(digest)
  }

  /** Keeps an object of a live window in RAM before others; each pin needs one {@link ContentStore.unpin}. */
  pin(digest: Digest): void {
    this.#memory.pin(digest)
  }

  /** Takes one pin back. */
  unpin(digest: Digest): void {
    this.#memory.unpin(digest)
  }

  async #readSlow(
    digest: Digest,
    disk: DiskTier | undefined,
    source: ObjectSource | undefined,
  ): Promise<Buffer | undefined> {
    const cached = await disk?.read(digest)
    const bytes = cached ?? (await source?.read(digest))
    if (bytes === undefined) {
      this.#metrics.readMiss.inc()
      return undefined
    }
    if (cached === undefined) this.#metrics.readSource.inc()
    else this.#metrics.readDisk.inc()
    this.#memory.put(digest, bytes)
    return bytes
  }

  async #openDisk(): Promise<void> {
    if (this.#disk === undefined) return
    try {
      await this.#disk.open()
      this.#diskOpen = true
    } catch (error) {
      this.#diskFailed(error as NodeJS.ErrnoException)
    }
  }

  #diskFailed(error: NodeJS.ErrnoException): void {
    this.#metrics.diskErrors.inc({ code: error.code ?? 'UNKNOWN' })
    if (this.#outage !== undefined) return
    this.#outage = error
    const sinceMs = this.#clock.monotonicMs() - this.#recoveredMs
    const isRecurring = sinceMs < contentLimits.diskRetryMsMax
    this.#retryMs = isRecurring
      ? Math.min(this.#retryMs * 2, contentLimits.diskRetryMsMax)
      : contentLimits.diskRetryMs
    this.#metrics.degraded.set(1)
    const cause = new KairoError('ERR_STORAGE', 'the disk cache cannot write', { cause: error })
    this.#logger.error(
      { err: cause, code: cause.code, systemCode: error.code },
      'the disk cache cannot write; serving from memory until it can',
    )
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#stopped) return
    this.#cancelRetry = this.#clock.after(this.#retryMs, () => {
      this.#retry().catch((error: NodeJS.ErrnoException) => {
        this.#diskFailed(error)
        this.#retryLater()
      })
    })
  }

  async #retry(): Promise<void> {
    if (this.#stopped || this.#disk === undefined) return
    if (!this.#diskOpen) {
      await this.#disk.open()
      this.#diskOpen = true
    }
    await this.#disk.probe()
    this.#diskWorked()
  }

  /** Only a probe ends an outage: of many writes under way some may still work on a disk that is full for the others. */
  #diskWorked(): void {
    this.#outage = undefined
    this.#recoveredMs = this.#clock.monotonicMs()
    this.#metrics.degraded.set(0)
    this.#logger.info({}, 'the disk cache can write again')
  }

  #diskCorrupt(digest: Digest, cause: unknown): void {
    this.#metrics.corrupt.inc()
    this.#logger.warn({ digest, err: cause }, 'deleted a damaged file from the disk cache')
  }
}
