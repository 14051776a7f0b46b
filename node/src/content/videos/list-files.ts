/**
 * Lists of other peers over a restart: one file an owner, so that their videos can be found, and played from copies, while the owner is
 * away. What is damaged is asked for again.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isKairoError } from '../../errors.ts'
import { replaceFileLater, storageError } from '../../files.ts'
import { videoLimits as limits } from '../../limits/videos.ts'
import type { Logger } from '../../logger.ts'
import { encodeCheckedRecord, readCheckedRecord } from '../archive/checked-record.ts'
import { digestOf } from '../digest.ts'
import { decodeSignedList } from './signed-list.ts'
import { decodeVideoPage } from './video-pages.ts'
import type { KnownList, KnownPage } from './video-table.ts'

/** The folder of lists. */
export class ListFiles {
  readonly #directory: string
  readonly #logger: Logger
  /** Owners to be written, or removed, with the newest that is known. */
  readonly #queue = new Map<string, KnownList | undefined>()
  #writing: Promise<void> | undefined
  /** What the files of owners say until when. */
  readonly #written = new Map<string, { readonly pages: string; readonly expiresAtMs: number }>()

  constructor(components: { readonly logger: Logger }, directory: string) {
    this.#logger = components.logger
    this.#directory = directory
  }

  /**
   * Every list that an earlier run kept.
   * @throws KairoError `ERR_STORAGE` when the folder cannot be used.
   */
  async load(): Promise<KnownList[]> {
    const lists: KnownList[] = []
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      for (const name of (await readdir(this.#directory)).slice(0, limits.ownersMax)) {
        const list = await this.#read(name)
        if (list === undefined) await rm(join(this.#directory, name), { force: true })
        else lists.push(list)
      }
    } catch (cause) {
      throw storageError('cannot open the folder of lists of videos', cause)
    }
    return lists
  }

  /** Writes a list, soon. One whose pages are the same is written when much of its life is over. */
  save(list: KnownList): void {
    const { owner, pages, expiresAtMs } = list.head
    const written = this.#written.get(owner)
    const isSame = written?.pages === pages.join()
    if (isSame && expiresAtMs - written.expiresAtMs < limits.listTtlMs / 2) return
    this.#written.set(owner, { pages: pages.join(), expiresAtMs })
    this.#put(owner, list)
  }

  /** Removes a list, soon. */
  remove(owner: string): void {
    this.#written.delete(owner)
    this.#put(owner, undefined)
  }

  /** Waits for what is queued. */
  async stop(): Promise<void> {
    await this.#writing
  }

  #put(owner: string, list: KnownList | undefined): void {
    this.#queue.set(owner, list)
    this.#writing ??= this.#work()
  }

  async #work(): Promise<void> {
    for (;;) {
      // Not in the same turn, so that the promise of this work is known when it ends.
      await Promise.resolve()
      const [next] = this.#queue
      if (next === undefined) {
        this.#writing = undefined
        return
      }
      const [owner, list] = next
      this.#queue.delete(owner)
      const path = join(this.#directory, owner)
      try {
        if (list === undefined) await rm(path, { force: true })
        else await replaceFileLater(path, encodeList(list))
      } catch (error) {
        this.#written.delete(owner)
        this.#logger.warn({ err: error, owner }, 'cannot keep the list of videos of a peer')
      }
    }
  }

  async #read(owner: string): Promise<KnownList | undefined> {
    try {
      const list = decodeList(await readFile(join(this.#directory, owner)))
      if (list === undefined || list.head.owner !== owner) return undefined
      const { pages, expiresAtMs } = list.head
      this.#written.set(owner, { pages: pages.join(), expiresAtMs })
      return list
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#logger.warn({ err: error, owner }, 'a list of videos is damaged; it is asked for again')
      return undefined
    }
  }
}

/** The signed head, then the pages in order. */
function encodeList({ head, signed, pages }: KnownList): Buffer {
  const bodies = head.pages.flatMap((digest) => pages.get(digest)?.bytes ?? [])
  return Buffer.concat([signed, ...bodies].map(encodeCheckedRecord))
}

/** Undefined when something is missing; throws when something is not what it should be. */
function decodeList(file: Buffer): KnownList | undefined {
  const first = readCheckedRecord(file, 0, limits.listBytesMax)
  if (first === undefined) return undefined
  const unchecked = decodeSignedList(first.body)
  unchecked.verify()
  const { head } = unchecked
  const pages = new Map<string, KnownPage>()
  let { end } = first
  for (const digest of head.pages) {
    const page = readCheckedRecord(file, end, limits.pageBytesMax)
    if (page === undefined || digestOf(page.body) !== digest) return undefined
    pages.set(digest, { bytes: page.body, videos: decodeVideoPage(head.owner, page.body) })
    end = page.end
  }
  return { head, signed: first.body, pages }
}
