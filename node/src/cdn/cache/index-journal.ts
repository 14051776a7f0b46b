/**
 * The index on disk: a journal of its changes, rewritten when most of it is history. Changes are gathered for half a second and
 * written without waiting for the disk; purges are written before they are acknowledged. After a crash of the process at most those last
 * changes are missing. After a crash of the machine nobody knows what the disk still had to take, a purge among it: everything is then
 * asked for anew before it is served.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CancelTimer, Clock } from '../../clock.ts'
import type { Digest } from '../../content/digest.ts'
import { storageError } from '../../files.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { Logger } from '../../logger.ts'
import type { PurgeMode, PurgeSelector } from '../purge-selector.ts'
import type { CacheIndex, IndexObserver } from './cache-index.ts'
import type { CacheMetrics } from './cache-metrics.ts'
import { type CacheEntry, variantOf } from './entry.ts'
import {
  deleteLine,
  entryOf,
  type IndexRecord,
  lineOf,
  purgeLine,
  putLine,
  readRecord,
  sliceLine,
} from './index-record.ts'

/** What a journal works with. */
export interface IndexJournalComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: CacheMetrics
  readonly index: CacheIndex
}

/** Where a journal is. */
export interface IndexJournalInit {
  readonly directory: string
}

/** Keeps an index over restarts. */
export class IndexJournal implements IndexObserver {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: CacheMetrics
  readonly #index: CacheIndex
  readonly #directory: string
  readonly #path: string
  #file: number | undefined
  /** Whether the run before had written down all that it did. */
  #endedInOrder = true
  /** Up to which purge of the network's log the cache is known to have caught up. */
  #caughtUpTo = 0
  #pending: string[] = []
  /** Lines since a rewriting began, which the new file needs too. */
  #meanwhile: string[] | undefined
  #bytes = 0
  #rewrittenBytes = 0
  #cancelFlush: CancelTimer | undefined
  #rewriting: Promise<void> | undefined

  constructor(components: IndexJournalComponents, init: IndexJournalInit) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#metrics = components.metrics
    this.#index = components.index
    this.#directory = init.directory
    this.#path = join(init.directory, 'index.journal')
  }

  /**
   * Takes over what an earlier run left, and writes down every change from now on. A journal that cannot be read is begun anew: the
   * cache is then cold, and right.
   */
  async start(): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      await this.#load()
      await this.#rewrite()
    } catch (error) {
      await this.#giveUp(error)
    }
    this.#index.observe(this)
  }

  /** Writes what is left, and that all of it is. */
  async stop(): Promise<void> {
    await this.#rewriting
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    if (this.#file === undefined) return
    this.#pending.push(lineOf({ t: 'close' }))
    this.#flush()
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    fsyncSync(file)
    closeSync(file)
  }

  /** False when the run before was cut off: its last change may be missing. */
  get endedInOrder(): boolean {
    return this.#endedInOrder
  }

  /** The number that {@link IndexJournal.noteCaughtUp} was last told, by this run or one before; 0 for never. */
  get caughtUpTo(): number {
    return this.#caughtUpTo
  }

  /** All purges of the network's log up to this one have been carried out on the index. */
  noteCaughtUp(generation: number): void {
    this.#caughtUpTo = generation
    this.#add(lineOf({ t: 'caught-up', generation }))
    this.#flush()
  }

  changed(entry: CacheEntry): void {
    const line = putLine(entry)
    if (line !== undefined) this.#add(line)
  }

  removed(entry: CacheEntry): void {
    this.#add(deleteLine(entry))
  }

  /** A slice was fetched by itself. */
  sliced(entry: CacheEntry, index: number, digest: Digest): void {
    this.#add(sliceLine(entry, index, digest))
  }

  purged(selector: PurgeSelector, mode: PurgeMode, nowMs: number): void {
    this.#add(purgeLine(selector, mode, nowMs))
    this.#flush()
  }

  #add(line: string): void {
    if (this.#file === undefined || line.length > cdnLimits.journalLineBytesMax) return
    this.#pending.push(line)
    this.#cancelFlush ??= this.#clock.after(cdnLimits.journalFlushMs, () => this.#flush())
  }

  /** Written at once and in order; the system brings it to the disk later. */
  #flush(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    if (this.#file === undefined || this.#pending.length === 0) return
    const lines = this.#pending
    this.#pending = []
    this.#meanwhile?.push(...lines)
    const bytes = Buffer.from(lines.join(''))
    try {
      writeAll(this.#file, bytes)
    } catch (error) {
      void this.#giveUp(error)
      return
    }
    this.#bytes += bytes.byteLength
    this.#metrics.journalBytes.set(this.#bytes)
    const limit = Math.max(
      cdnLimits.journalBytesMin,
      this.#rewrittenBytes * cdnLimits.journalGrowthMax,
    )
    if (this.#bytes > limit) {
      this.#rewriting ??= this.#rewrite()
        .catch((error: unknown) => this.#giveUp(error))
        .finally(() => {
          this.#rewriting = undefined
        })
    }
  }

  /** Without a journal that tells the truth there must be none: an old one would bring back what was purged. */
  async #giveUp(error: unknown): Promise<void> {
    this.#metrics.journalFailures.inc()
    const failure = storageError('the index of the cache cannot be written', error)
    this.#logger.error({ err: failure, code: failure.code }, 'the cache will start empty next time')
    const file = this.#file
    this.#file = undefined
    this.#meanwhile = undefined
    this.#pending = []
    if (file !== undefined) closeSync(file)
    try {
      await rm(this.#path, { force: true })
    } catch (cause) {
      this.#logger.error({ err: cause }, 'remove the journal of the cache by hand')
    }
  }

  async #load(): Promise<void> {
    const size = await stat(this.#path).then(
      (found) => found.size,
      () => 0,
    )
    if (size === 0) return
    const file = await open(this.#path, 'r')
    let boot: string | undefined
    let isClosed = false
    let lines = 0
    try {
      for await (const line of createInterface({ input: file.createReadStream() })) {
        const record = readRecord(line)
        if (record === undefined) {
          this.#metrics.restored.inc({ state: 'damaged' })
          continue
        }
        isClosed = record.t === 'close'
        if (record.t === 'open') boot = record.boot
        else this.#replay(record)
        lines += 1
        if (lines % cdnLimits.journalBatchLines === 0) await nextTurn()
      }
    } finally {
      await file.close()
    }
    this.#endedInOrder = isClosed
    if (!isClosed && boot !== bootId()) {
      this.#index.purge({ by: 'everything' }, 'soft')
      this.#logger.warn({}, 'the machine stopped without order: cached responses are validated')
    }
    this.#metrics.restored.inc({ state: 'whole' }, this.#index.size)
  }

  #replay(record: IndexRecord): void {
    switch (record.t) {
      case 'put':
        if (record.slices.length === Math.ceil(record.length / record.sliceBytes)) {
          this.#index.add(entryOf(record))
        }
        return
      case 'delete': {
        const entry = this.#find(record)
        if (entry !== undefined) this.#index.remove(entry)
        return
      }
      case 'slice': {
        const slices = this.#find(record)?.body?.slices
        if (slices !== undefined && record.index < slices.length) {
          slices[record.index] = record.digest
        }
        return
      }
      case 'purge':
        this.#index.purge(record.selector, record.mode)
        return
      case 'caught-up':
        this.#caughtUpTo = record.generation
        return
      case 'open':
      case 'close':
    }
  }

  #find({
    key,
    variant,
  }: {
    readonly key: string
    readonly variant: string
  }): CacheEntry | undefined {
    return this.#index.get(key).find((entry) => variantOf(entry.head.varyFields) === variant)
  }

  /** Writes what is there now into a new file, a batch a turn, and then what changed meanwhile. */
  async #rewrite(): Promise<void> {
    const temporary = `${this.#path}.tmp`
    const meanwhile: string[] = []
    this.#meanwhile = meanwhile
    const file = openSync(temporary, 'w', 0o600)
    let bytes = 0
    const write = (text: string): void => {
      const buffer = Buffer.from(text)
      writeAll(file, buffer)
      bytes += buffer.byteLength
    }
    try {
      write(lineOf({ t: 'open', boot: bootId() }))
      write(lineOf({ t: 'caught-up', generation: this.#caughtUpTo }))
      let batch: string[] = []
      for (const entry of [...this.#index.entries()]) {
        const line = entry.alive ? putLine(entry) : undefined
        if (line !== undefined && line.length <= cdnLimits.journalLineBytesMax) batch.push(line)
        if (batch.length < cdnLimits.journalBatchLines) continue
        write(batch.join(''))
        batch = []
        await nextTurn()
      }
      write(batch.join('') + meanwhile.join('') + this.#pending.join(''))
      this.#pending = []
      renameSync(temporary, this.#path)
    } catch (error) {
      closeSync(file)
      await rm(temporary, { force: true })
      throw error
    } finally {
      this.#meanwhile = undefined
    }
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = file
    this.#bytes = bytes
    this.#rewrittenBytes = bytes
    this.#metrics.journalBytes.set(bytes)
  }
}

function writeAll(file: number, bytes: Buffer): void {
  let written = 0
  while (written < bytes.byteLength) written += writeSync(file, bytes, written)
}

/** Names the present start of the machine, on Linux; elsewhere every start of the process counts as one. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    // Another system: an unknown id matches no other, so that a stop without order leads to validation.
    return `process ${process.pid} ${performance.timeOrigin}`
  }
}
