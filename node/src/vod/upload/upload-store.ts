/**
 * Unfinished uploads on disk: `<id>` holds the bytes, `<id>.json` what is known of them. A write is over only when its file is
 * closed, so the length of the file is always what the client may go on from, after a crash too.
 */
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { FileStore } from '@tus/file-store'
import type { KvStore, Upload } from '@tus/server'
import { z } from 'zod'
import { KairoError } from '../../errors.ts'
import { replaceFile } from '../../files.ts'
import { parseJson } from '../../json.ts'

/** Form of an upload's id: 128 random bits. Nothing else comes near a path. */
export const uploadId = /^[0-9a-f]{32}$/

const recordSchema = z.object({
  id: z.string().regex(uploadId),
  size: z.number().int().nonnegative(),
  metadata: z.record(z.string(), z.string().nullable()).optional(),
  creation_date: z.string().optional(),
  finished: z.object({ video: z.string(), atMs: z.number() }).optional(),
})

/** What is kept of an upload beside its bytes. */
export type UploadRecord = z.output<typeof recordSchema>

/** One upload as it lies on disk. */
export interface StoredUpload {
  readonly record: UploadRecord
  /** Bytes received; undefined when the file is gone. */
  readonly offset: number | undefined
  /** Wall milliseconds of the last byte. */
  readonly touchedMs: number
}

/** The disk side of the tus server. */
export class UploadStore extends FileStore {
  constructor(directory: string) {
    super({ directory, configstore: new UploadRecords(directory) })
    // A size that is told later could not be held against the quota.
    this.extensions = ['creation', 'creation-with-upload', 'termination', 'expiration']
  }

  /** @throws KairoError `ERR_STORAGE`. */
  override async create(upload: Upload): Promise<Upload> {
    try {
      return await super.create(upload)
    } catch (error) {
      await this.discard(upload.id)
      throw storageError(error)
    }
  }

  /**
   * Writes from `offset` on; what arrived before a failure stays.
   * @throws KairoError `ERR_STORAGE`, or whatever the source fails with.
   */
  override async write(source: Readable, id: string, offset: number): Promise<number> {
    const file = await open(this.path(id), 'r+')
    let position = offset
    try {
      for await (const chunk of source) position = await writeAll(file, chunk as Buffer, position)
      return position
    } finally {
      await file.close()
    }
  }

  /** Where an upload's bytes lie. */
  path(id: string): string {
    return join(this.directory, id)
  }

  /** Makes an upload's bytes durable. */
  async sync(id: string): Promise<void> {
    const file = await open(this.path(id), 'r+')
    try {
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** How much of an upload there is; undefined when its file is gone. */
  async state(id: string): Promise<{ readonly offset: number } | undefined> {
    try {
      return { offset: (await stat(this.path(id))).size }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw storageError(error)
    }
  }

  /** Notes that an upload has become a video, and lets go of its bytes where they still are. */
  async finish(record: UploadRecord): Promise<void> {
    replaceFile(`${this.path(record.id)}.json`, JSON.stringify(record))
    await rm(this.path(record.id), { force: true })
  }

  /** Removes whatever there is of an upload. */
  async discard(id: string): Promise<void> {
    await Promise.all([
      rm(this.path(id), { force: true }),
      rm(`${this.path(id)}.json`, { force: true }),
    ])
  }

  /** Every upload with a readable record; removes what belongs to none. */
  async load(): Promise<StoredUpload[]> {
    const names = new Set(await readdir(this.directory))
    const uploads: StoredUpload[] = []
    for (const name of names) {
      const id = name.replace(/\.json$/, '')
      const record = uploadId.test(id) ? await readRecord(this.directory, id) : undefined
      if (record === undefined) {
        await rm(join(this.directory, name), { force: true, recursive: true })
      } else if (name.endsWith('.json')) {
        uploads.push({ record, ...(await this.#fileState(name, names.has(id))) })
      }
    }
    return uploads
  }

  async #fileState(name: string, hasBytes: boolean): Promise<Omit<StoredUpload, 'record'>> {
    const path = join(this.directory, hasBytes ? name.slice(0, -'.json'.length) : name)
    const { size, mtimeMs } = await stat(path)
    return { offset: hasBytes ? size : undefined, touchedMs: mtimeMs }
  }
}

/** The records, each replaced whole, so that a crash leaves none half-written. */
class UploadRecords implements KvStore {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async get(id: string): Promise<Upload | undefined> {
    const record = await readRecord(this.#directory, id)
    return record?.finished === undefined ? (record as Upload | undefined) : undefined
  }

  async set(id: string, { size, metadata, creation_date }: Upload): Promise<void> {
    const record = { id, size, metadata, creation_date }
    replaceFile(join(this.#directory, `${id}.json`), JSON.stringify(record))
  }

  async delete(id: string): Promise<void> {
    await rm(join(this.#directory, `${id}.json`), { force: true })
  }
}

async function readRecord(directory: string, id: string): Promise<UploadRecord | undefined> {
  if (!uploadId.test(id)) return undefined
  let text: string
  try {
    text = await readFile(join(directory, `${id}.json`), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw storageError(error)
  }
  const parsed = recordSchema.safeParse(parseJson(text))
  return parsed.success ? parsed.data : undefined
}

async function writeAll(file: FileHandle, chunk: Buffer, position: number): Promise<number> {
  let written = 0
  try {
    while (written < chunk.byteLength) {
      const { bytesWritten } = await file.write(
        chunk,
        written,
        chunk.byteLength - written,
        position + written,
      )
      written += bytesWritten
    }
  } catch (error) {
    throw storageError(error)
  }
  return position + written
}

/** A refusal of the disk in words for whoever uploads. */
export function storageError(cause: unknown): KairoError {
  const { code, message } = cause as NodeJS.ErrnoException
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  return new KairoError(
    'ERR_STORAGE',
    full
      ? "the peer's disk is full; free some space, then go on with the upload"
      : `the peer cannot write the upload (${code ?? message})`,
    { cause },
  )
}
