/**
 * Files for new segments. Their blocks are written before they are needed, so that a sync of the log has no file
 * system metadata to wait for; and a released segment is used again instead of being deleted, for the same reason.
 */
import type { CommitFile, Folder } from './folder.ts'
import { WalError } from './wal-error.ts'
import { walLimits } from './wal-limits.ts'

/** Zeros are written and synced in pieces of this size, so that a sync of the log does not wait behind many. */
const FILL_BYTES = 1024 * 1024
const SPARE = /^spare-(\d+)\.wal$/
/** A file in the making, which a crash may leave behind. */
const UNFINISHED = /^spare-\d+\.tmp$/
const zeros = new Uint8Array(FILL_BYTES)

/** Makes, keeps and hands out segment files. */
export class SegmentSupply {
  readonly #folder: Folder
  readonly #segmentBytes: number
  readonly #spares: string[] = []
  #made = 0
  /** The making of a spare, while it goes on; it never rejects. */
  #making: Promise<void> | undefined
  #stopped = false

  constructor(folder: Folder, init: { segmentBytes: number }) {
    this.#folder = folder
    this.#segmentBytes = init.segmentBytes
  }

  /** Takes over what an earlier run left: whole spares of the right size; the rest is removed. */
  async start(): Promise<void> {
    for (const name of await this.#folder.list()) {
      const number = SPARE.exec(name)?.[1]
      if (number === undefined) {
        if (UNFINISHED.test(name)) await this.#folder.remove(name)
        continue
      }
      this.#made = Math.max(this.#made, Number(number))
      const fits = (await this.#sizeOf(name)) === this.#segmentBytes
      if (fits && this.#spares.length < walLimits.sparesMax) this.#spares.push(name)
      else await this.#folder.remove(name)
    }
  }

  /** Begins to make a spare in the background unless one is there. A full disk is met again, and told, by `take`. */
  prepare(): void {
    if (this.#stopped || this.#making !== undefined || this.#spares.length > 0) return
    this.#making = this.#makeSpare().then(
      () => {
        this.#making = undefined
      },
      () => {
        // Whoever needs the file makes it himself and gets the error.
        this.#making = undefined
      },
    )
  }

  /**
   * A file under the name that a segment shall have, durable as such.
   * @param quick take a small new file rather than wait for a large one
   * @throws the file system's error, when a file cannot be made; nothing is left of it then
   */
  async take(name: string, quick = false): Promise<{ file: CommitFile; bytes: number }> {
    if (!quick) await this.#making
    let spare = this.#spares.pop()
    let bytes = this.#segmentBytes
    if (spare === undefined) {
      if (quick) bytes = Math.min(bytes, walLimits.firstSegmentBytes)
      spare = await this.#make(bytes)
    }
    try {
      await this.#folder.rename(spare, name)
    } catch (error) {
      await this.#folder.remove(spare)
      throw error
    }
    await this.#folder.sync()
    return { file: await this.#folder.openToCommit(name), bytes }
  }

  /** Takes a segment out of the log, durably: kept as a spare where one is wanted, else removed. */
  async release(name: string): Promise<void> {
    const wanted = !this.#stopped && this.#making === undefined
    if (
      wanted &&
      this.#spares.length < walLimits.sparesMax &&
      (await this.#sizeOf(name)) === this.#segmentBytes
    ) {
      const spare = this.#nextName()
      await this.#folder.rename(name, spare)
      this.#spares.push(spare)
    } else {
      await this.#folder.remove(name)
    }
    await this.#folder.sync()
  }

  /** Waits for what goes on in the background, and begins no more. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#making
  }

  #nextName(): string {
    this.#made += 1
    return `spare-${this.#made}.wal`
  }

  async #makeSpare(): Promise<void> {
    const unfinished = await this.#make(this.#segmentBytes)
    const spare = this.#nextName()
    await this.#folder.rename(unfinished, spare)
    this.#spares.push(spare)
  }

  /** Makes a file of zeros; when that fails, none. */
  async #make(bytes: number): Promise<string> {
    this.#made += 1
    const name = `spare-${this.#made}.tmp`
    const file = await this.#folder.create(name)
    try {
      for (let at = 0; at < bytes; at += FILL_BYTES) {
        if (this.#stopped) throw new WalError('ERR_WAL_CLOSED', 'a spare is not finished')
        await file.write(zeros.subarray(0, Math.min(FILL_BYTES, bytes - at)), at)
        await file.sync()
      }
    } catch (error) {
      await file.close()
      await this.#folder.remove(name)
      throw error
    }
    await file.close()
    return name
  }

  async #sizeOf(name: string): Promise<number> {
    const file = await this.#folder.open(name)
    try {
      return await file.size()
    } finally {
      await file.close()
    }
  }
}
