/** Where the log of purges is kept: one file that is appended to and now and then replaced, synced before a write counts. */
import { strict as assert } from 'node:assert'
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFileLater } from '../../files.ts'

/** Bytes that outlive the process. Calls do not overlap. */
export interface PurgeStorage {
  /** All that was written; undefined when there is nothing. */
  read(): Promise<Buffer | undefined>
  /** Replaces everything; afterwards there is the old content or the new one, whole. */
  replace(bytes: Uint8Array): Promise<void>
  /** Adds to the end; only after a {@link PurgeStorage.replace}. After a failure the end is in doubt. */
  append(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

const FILE_NAME = 'purges.log'

/** A file of a folder. */
export class DiskPurgeStorage implements PurgeStorage {
  readonly #directory: string
  readonly #path: string
  #handle: FileHandle | undefined

  constructor(directory: string) {
    this.#directory = directory
    this.#path = join(directory, FILE_NAME)
  }

  async read(): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  async replace(bytes: Uint8Array): Promise<void> {
    await this.close()
    await mkdir(this.#directory, { recursive: true })
    await replaceFileLater(this.#path, bytes)
    this.#handle = await open(this.#path, 'a')
  }

  async append(bytes: Uint8Array): Promise<void> {
    assert(this.#handle !== undefined, 'a log that is appended to was written before')
    await this.#handle.appendFile(bytes)
    await this.#handle.datasync()
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }
}
