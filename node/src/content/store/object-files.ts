/**
 * Files of objects under one folder: one an object, named by its CID, written aside and renamed, so that a crash at any instant
 * loses at most what was being written. Names are never trusted: every read is verified.
 */
import { subtle } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { KairoError } from '../../errors.ts'
import { storeLimits } from '../../limits/store.ts'
import { contentLimits } from '../../limits.ts'
import { cidOf, type Digest, digestOf, digestOfCid } from '../digest.ts'

/** Room for some parts: a disk that takes less is as good as full. */
const PROBE_BYTES = 256 * 1024
const SHARD_PATTERN = /^[0-9a-f]{2}$/

/** A file that was found at the start and that nobody knew. */
export interface FoundFile {
  readonly digest: Digest
  readonly bytes: number
  /** Unix milliseconds. */
  readonly writtenMs: number
}

/** Reads, writes and removes objects' files; keeps no account of them. */
export class ObjectFiles {
  readonly #objects: string
  readonly #temporary: string
  #temporaryCount = 0

  /** @param directory folder of the cache. */
  constructor(directory: string) {
    this.#objects = join(directory, 'objects')
    this.#temporary = join(directory, 'temporary')
  }

  /**
   * Makes the folders, and removes what a crash left half-written.
   * @throws the system's error when the folder cannot be written.
   */
  async prepare(): Promise<void> {
    await rm(this.#temporary, { recursive: true, force: true })
    await mkdir(this.#temporary, { recursive: true, mode: 0o700 })
    await mkdir(this.#objects, { recursive: true, mode: 0o700 })
  }

  /**
   * Looks at every object's file, some folders at a time: `isKnown` is asked for its name, and those it does not know are returned.
   * Files whose name this class would not have given them are removed.
   * @throws the system's error when a folder cannot be read.
   */
  async scan(isKnown: (digest: Digest) => boolean): Promise<FoundFile[]> {
    const shards: string[] = []
    for (const entry of await readdir(this.#objects, { withFileTypes: true })) {
      if (entry.isDirectory() && SHARD_PATTERN.test(entry.name)) shards.push(entry.name)
    }
    const unknown: FoundFile[] = []
    const readers = Array.from({ length: storeLimits.scanFoldersMax }, async () => {
      for (let shard = shards.pop(); shard !== undefined; shard = shards.pop()) {
        await this.#scanShard(shard, isKnown, unknown)
      }
    })
    await Promise.all(readers)
    return unknown
  }

  /**
   * Writes an object, whole or not at all.
   * @throws the system's error.
   */
  async write(digest: Digest, bytes: Buffer): Promise<void> {
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

  /**
   * The object's bytes.
   * @throws KairoError `ERR_VERIFICATION` when the file is not what its name says; the system's error when it cannot be read.
   */
  async read(digest: Digest): Promise<Buffer> {
    const bytes = await readFile(this.#pathOf(digest))
    if ((await digestOfLarge(bytes)) === digest) return bytes
    throw new KairoError('ERR_VERIFICATION', 'the file is not what its name says')
  }

  /**
   * Removes an object's file; none is as good.
   * @throws the system's error.
   */
  async remove(digest: Digest): Promise<void> {
    try {
      await unlink(this.#pathOf(digest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }

  /**
   * Writes and removes a file, to learn whether the disk takes writes again.
   * @throws the system's error when not.
   */
  async probe(): Promise<void> {
    const path = join(this.#temporary, 'probe')
    await mkdir(this.#temporary, { recursive: true, mode: 0o700 })
    await mkdir(this.#objects, { recursive: true, mode: 0o700 })
    try {
      await writeFile(path, Buffer.alloc(PROBE_BYTES))
    } finally {
      await rm(path, { force: true })
    }
  }

  async #scanShard(
    shard: string,
    isKnown: (digest: Digest) => boolean,
    unknown: FoundFile[],
  ): Promise<void> {
    const files = await readdir(join(this.#objects, shard), { withFileTypes: true })
    for (const [index, file] of files.entries()) {
      if (index % storeLimits.restoreSliceObjects === 0) await nextTurn()
      const digest = file.isFile() ? digestOfCid(file.name) : undefined
      if (digest?.startsWith(shard) === true && isKnown(digest)) continue
      const path = join(this.#objects, shard, file.name)
      if (digest?.startsWith(shard) !== true) {
        await rm(path, { recursive: true, force: true })
        continue
      }
      const { size, mtimeMs } = await stat(path)
      if (size > 0 && size <= contentLimits.objectBytesMax) {
        unknown.push({ digest, bytes: size, writtenMs: mtimeMs })
      } else await unlink(path)
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

  #pathOf(digest: Digest): string {
    return join(this.#objects, digest.slice(0, 2), cidOf(digest))
  }
}

/** Large objects are hashed in another thread, so that players do not wait for it. */
async function digestOfLarge(bytes: Buffer): Promise<Digest> {
  if (bytes.byteLength <= storeLimits.hashInlineBytesMax) return digestOf(bytes)
  return Buffer.from(await subtle.digest('SHA-256', bytes)).toString('hex')
}
