/**
 * What the disk tier remembers over a restart beside the files themselves: whose they are, how they stand, which are kept. A journal
 * that is appended to once a second and written anew when it has grown too long. It is never needed to find an object: a file that it
 * does not name is adopted, an entry without a file is dropped.
 */
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CancelTimer, Clock } from '../../clock.ts'
import { storeLimits } from '../../limits/store.ts'
import type { Digest } from '../digest.ts'
import {
  BATCH_HEAD_BYTES,
  CATALOG_MAGIC,
  CatalogEncoder,
  CatalogImage,
  type CatalogObject,
  isWhole,
  readBatchHead,
} from './catalog-codec.ts'
import type { KeeperBits } from './keepers.ts'

/** Where the catalog finds what is true now, when it writes itself anew. */
export interface CatalogSource {
  readonly size: number
  digests(): Digest[]
  object(digest: Digest): CatalogObject | undefined
  readonly kept: ReadonlyMap<Digest, KeeperBits>
}

/** How a catalog is set up. */
export interface CatalogInit {
  readonly directory: string
  readonly clock: Clock
  readonly source: CatalogSource
  /** A write failed; `error` is the system's. It is tried again with the next change. */
  readonly onFailure: (error: NodeJS.ErrnoException) => void
  /** The file was written anew. */
  readonly onRewrite: () => void
}

/** The journal of the disk tier. */
export class Catalog {
  readonly #init: CatalogInit
  readonly #path: string
  #pending = new CatalogEncoder()
  /** One write after the other. */
  #work: Promise<void> = Promise.resolve()
  #cancelFlush: CancelTimer | undefined
  /** Records in the file. */
  #records = 0
  /** True when the file does not end as it should: nothing is appended, it is written anew. */
  #isBroken = true
  #closed = false

  constructor(init: CatalogInit) {
    this.#init = init
    this.#path = join(init.directory, 'catalog')
  }

  /**
   * What an earlier run wrote, as far as it is whole.
   * @throws the system's error when there is a file and it cannot be read: it must not be overwritten then.
   */
  async load(): Promise<CatalogImage> {
    const image = new CatalogImage()
    this.#isBroken = true
    let file: Buffer
    try {
      file = await readFile(this.#path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return image
    }
    if (!file.subarray(0, CATALOG_MAGIC.byteLength).equals(CATALOG_MAGIC)) return image
    let offset = CATALOG_MAGIC.byteLength
    while (offset < file.byteLength) {
      const start = offset + BATCH_HEAD_BYTES
      const head = readBatchHead(file.subarray(offset, start))
      const records = head === undefined ? undefined : file.subarray(start, start + head.bytes)
      if (head === undefined || records?.byteLength !== head.bytes) return image
      if (!isWhole(records, head.checksum) || !image.apply(records)) return image
      offset = start + head.bytes
      await nextTurn()
    }
    this.#isBroken = false
    this.#records = image.records
    return image
  }

  /** The file says something else than what is true: the next write makes it anew. */
  distrust(): void {
    this.#isBroken = true
  }

  /** An object's file is there. */
  added(object: CatalogObject): void {
    this.#pending.object(object)
    this.#noticed(1)
  }

  /** An object's file is there no more. */
  removed(digest: Digest): void {
    this.#pending.gone(digest)
    this.#noticed(1)
  }

  /**
   * Writes down who keeps an object, 0 for nobody any more; on disk when the promise resolves.
   * @throws the system's error.
   */
  async setKept(digest: Digest, keepers: KeeperBits): Promise<void> {
    this.#pending.kept(digest, keepers)
    this.#noticed(1)
    const failure = await this.flush()
    if (failure !== undefined) throw failure
  }

  /** Writes what is pending; resolves with the system's error, already reported, when it could not. */
  async flush(): Promise<Error | undefined> {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    let failure: Error | undefined
    this.#work = this.#work.then(async () => {
      try {
        await this.#write()
      } catch (error) {
        failure = error as Error
        this.#isBroken = true
        this.#init.onFailure(error as NodeJS.ErrnoException)
      }
    })
    await this.#work
    return failure
  }

  /** Writes the whole anew, with how everything stands. */
  async rewrite(): Promise<void> {
    this.#isBroken = true
    await this.flush()
  }

  /** Writes what is pending; nothing is written afterwards. */
  async close(): Promise<void> {
    await this.rewrite()
    this.#closed = true
  }

  #noticed(records: number): void {
    this.#records += records
    if (this.#closed) return
    if (this.#pending.bytes > storeLimits.catalogPendingBytesMax) {
      // The next write takes everything from the source.
      this.#pending = new CatalogEncoder()
      this.#isBroken = true
    }
    this.#cancelFlush ??= this.#init.clock.after(storeLimits.catalogFlushMs, () => {
      this.flush().catch(this.#init.onFailure)
    })
  }

  async #write(): Promise<void> {
    const { source } = this.#init
    const isLong = this.#records > 2 * source.size + storeLimits.catalogSlackRecords
    if (this.#isBroken || isLong) return await this.#writeAnew()
    const batches = this.#pending.take()
    if (batches.length === 0) return
    const file = await open(this.#path, 'a')
    try {
      await file.writeFile(Buffer.concat(batches))
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  async #writeAnew(): Promise<void> {
    const { source, onRewrite } = this.#init
    // What changes from here on is pending, and is appended after what is written now.
    this.#pending = new CatalogEncoder()
    const encoder = new CatalogEncoder()
    const digests = source.digests()
    const kept = [...source.kept]
    this.#records = digests.length + kept.length
    const chunks: Buffer[] = [CATALOG_MAGIC]
    for (const [index, digest] of digests.entries()) {
      const object = source.object(digest)
      if (object !== undefined) encoder.object(object)
      if (index % storeLimits.restoreSliceObjects === 0) await nextTurn()
    }
    for (const [digest, keepers] of kept) encoder.kept(digest, keepers)
    chunks.push(...encoder.take())
    const aside = `${this.#path}.new`
    try {
      await writeFile(aside, Buffer.concat(chunks), { mode: 0o600, flush: true })
      await rename(aside, this.#path)
      await syncFolder(this.#init.directory)
    } catch (error) {
      await rm(aside, { force: true })
      throw error
    }
    this.#isBroken = false
    onRewrite()
  }
}

/** A rename outlives a power cut only once its folder is on disk. */
async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
