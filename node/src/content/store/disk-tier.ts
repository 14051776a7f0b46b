/**
 * The disk half of the content store: one file an object, named by its CID, written aside and renamed, so that a crash
 * at any instant loses at most what was being written. Names are never trusted: every read is verified.
 */
import { mkdir, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import { cidOf, type Digest, digestOf, digestOfCid } from '../digest.ts'

/** Room for some parts: a disk that takes less is as good as full. */
const PROBE_BYTES = 256 * 1024
const SHARD_PATTERN = /^[0-9a-f]{2}$/

/** What happens on disk, for metrics and health. */
export interface DiskEvents {
  /** A write or removal failed; `error` is the system's. */
  failed(error: NodeJS.ErrnoException): void
  /** A file did not hold what its name says, or could not be read; it is deleted. */
  corrupt(digest: Digest, cause: unknown): void
  /** An object was removed to make room. */
  evicted(digest: Digest): void
}

/** Files of objects under one folder, bounded by bytes; the least recently used go first. */
export class DiskTier {
  readonly #objects: string
  readonly #temporary: string
  readonly #bytesMax: number
  readonly #events: DiskEvents
  /** Sizes in order of last use, oldest first; holds what is on disk or about to be. */
  readonly #sizes = new Map<Digest, number>()
  /** Work on one digest is always in the same lane, so that a removal never overtakes a write. */
  readonly #lanes: Promise<void>[] = Array.from({ length: contentLimits.diskLanes }, () =>
    Promise.resolve(),
  )
  #bytes = 0
  #writesQueued = 0
  #temporaryCount = 0
  #closed = false

  constructor(init: {
    readonly directory: string
    readonly bytesMax: number
    readonly events: DiskEvents
  }) {
    this.#objects = join(init.directory, 'objects')
    this.#temporary = join(init.directory, 'temporary')
    this.#bytesMax = init.bytesMax
    this.#events = init.events
  }

  /** Bytes on disk or about to be. */
  get bytes(): number {
    return this.#bytes
  }

  /** Objects on disk or about to be. */
  get size(): number {
    return this.#sizes.size
  }

  /** Writes that wait or run. */
  get writesQueued(): number {
    return this.#writesQueued
  }

  /**
   * Makes the folders and takes stock of what is there: leftovers of a crash and what is over the limit go, and so does any
   * file whose name this tier would not have given it.
   * @throws the system's error when the folder cannot be used.
   */
  async open(): Promise<void> {
    await rm(this.#temporary, { recursive: true, force: true })
    await mkdir(this.#temporary, { recursive: true, mode: 0o700 })
    await mkdir(this.#objects, { recursive: true, mode: 0o700 })
    const found: { digest: Digest; bytes: number; usedMs: number }[] = []
    for (const shard of await readdir(this.#objects, { withFileTypes: true })) {
      if (!shard.isDirectory() || !SHARD_PATTERN.test(shard.name)) continue
      await this.#scanShard(shard.name, found)
    }
    found.sort((a, b) => a.usedMs - b.usedMs)
    for (const { digest, bytes } of found) {
      if (this.#sizes.has(digest)) continue
      this.#sizes.set(digest, bytes)
      this.#bytes += bytes
    }
    this.#makeRoom(0)
  }

  /** True when the object is on disk or about to be. */
  has(digest: Digest): boolean {
    return this.#sizes.has(digest)
  }

  /** Queues a write. False when the queue is full, the object cannot fit, or the tier is closed. */
  write(digest: Digest, bytes: Buffer): boolean {
    if (this.#sizes.has(digest)) return true
    if (this.#closed || bytes.byteLength > this.#bytesMax) return false
    if (this.#writesQueued >= contentLimits.diskWritesMax) return false
    this.#makeRoom(bytes.byteLength)
    this.#sizes.set(digest, bytes.byteLength)
    this.#bytes += bytes.byteLength
    this.#writesQueued += 1
    this.#inLane(digest, async () => {
      try {
        await this.#writeFile(digest, bytes)
      } catch (error) {
        this.#forget(digest)
        this.#events.failed(error as NodeJS.ErrnoException)
      } finally {
        this.#writesQueued -= 1
      }
    })
    return true
  }

  /** The object's bytes, verified, or undefined when it is not here or turned out corrupt. */
  async read(digest: Digest): Promise<Buffer | undefined> {
    const size = this.#sizes.get(digest)
    if (size === undefined) return undefined
    this.#sizes.delete(digest)
    this.#sizes.set(digest, size)
    // A write of the same object that is still queued comes first.
    await this.#lanes[laneOf(digest)]
    if (!this.#sizes.has(digest)) return undefined
    let bytes: Buffer
    try {
      bytes = await readFile(this.#pathOf(digest))
    } catch (cause) {
      this.#discard(digest, cause)
      return undefined
    }
    if (digestOf(bytes) === digest) return bytes
    this.#discard(digest, new KairoError('ERR_VERIFICATION', 'the file is not what its name says'))
    return undefined
  }

  /** Removes an object. */
  delete(digest: Digest): void {
    if (!this.#sizes.has(digest)) return
    this.#forget(digest)
    this.#inLane(digest, async () => {
      // Written again in the meantime: the newer write follows in this lane and needs no removal.
      if (this.#sizes.has(digest)) return
      try {
        await unlink(this.#pathOf(digest))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          this.#events.failed(error as NodeJS.ErrnoException)
        }
      }
    })
  }

  /** Writes and removes a file, to learn whether the disk takes writes again. */
  async probe(): Promise<void> {
    const path = join(this.#temporary, 'probe')
    await mkdir(this.#temporary, { recursive: true, mode: 0o700 })
    try {
      await writeFile(path, Buffer.alloc(PROBE_BYTES))
    } finally {
      await rm(path, { force: true })
    }
  }

  /** Takes no more writes and resolves when those queued are done. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#lanes)
  }

  async #scanShard(
    shard: string,
    found: { digest: Digest; bytes: number; usedMs: number }[],
  ): Promise<void> {
    for (const file of await readdir(join(this.#objects, shard), { withFileTypes: true })) {
      const path = join(this.#objects, shard, file.name)
      const digest = digestOfCid(file.name)
      if (!file.isFile() || digest?.startsWith(shard) !== true) {
        await rm(path, { recursive: true, force: true })
        continue
      }
      const { size, mtimeMs } = await stat(path)
      if (size > 0 && size <= contentLimits.objectBytesMax) {
        found.push({ digest, bytes: size, usedMs: mtimeMs })
      } else {
        await unlink(path)
      }
    }
  }

  async #writeFile(digest: Digest, bytes: Buffer): Promise<void> {
    // Evicted or deleted while it waited.
    if (!this.#sizes.has(digest)) return
    this.#temporaryCount += 1
    const temporary = join(this.#temporary, `${process.pid}-${this.#temporaryCount}`)
    try {
      await writeFile(temporary, bytes, { flag: 'wx', mode: 0o600 })
      await this.#renameIntoShard(temporary, digest)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  async #renameIntoShard(temporary: string, digest: Digest): Promise<void> {
    const path = this.#pathOf(digest)
    try {
      await rename(temporary, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      await mkdir(join(this.#objects, digest.slice(0, 2)), { recursive: true, mode: 0o700 })
      await rename(temporary, path)
    }
  }

  #makeRoom(bytes: number): void {
    for (const digest of this.#sizes.keys()) {
      if (this.#bytes + bytes <= this.#bytesMax) return
      this.delete(digest)
      this.#events.evicted(digest)
    }
  }

  #discard(digest: Digest, cause: unknown): void {
    if (!this.#sizes.has(digest)) return
    this.#events.corrupt(digest, cause)
    this.delete(digest)
  }

  #forget(digest: Digest): void {
    this.#bytes -= this.#sizes.get(digest) ?? 0
    this.#sizes.delete(digest)
  }

  #inLane(digest: Digest, work: () => Promise<void>): void {
    const lane = laneOf(digest)
    this.#lanes[lane] = (this.#lanes[lane] ?? Promise.resolve()).then(work)
  }

  #pathOf(digest: Digest): string {
    return join(this.#objects, digest.slice(0, 2), cidOf(digest))
  }
}

function laneOf(digest: Digest): number {
  return Number.parseInt(digest.slice(0, 2), 16) % contentLimits.diskLanes
}
