/**
 * One rendition on disk: its segments in one file or in a row of files, `<name>.mp4`, `<name>.1.mp4`, ... with an index beside each.
 * Recordings and videos on demand keep everything; a DVR window drops old segments by deleting whole files, so nothing is ever
 * written again. Each file is a fragmented MP4 that plays by itself.
 *
 * What survives: after a crash of the process, every segment whose `append` has settled. After a loss of power the same with
 * `durable`, else those that the system had written by then; a segment is never half there (see segment-file.ts).
 */
import { strict as assert } from 'node:assert'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import { KairoError } from '../../errors.ts'
import { storageError } from '../../files.ts'
import { archiveLimits } from '../../limits/vod.ts'
import { type Digest, digestOf } from '../digest.ts'
import type { RenditionInfo } from '../stream.ts'
import { ArchiveMetrics } from './archive-metrics.ts'
import type { ArchivedSegment } from './presentation.ts'
import { SegmentFile, type SegmentWrite } from './segment-file.ts'
import type { Place } from './segment-index.ts'

const NAME = /^[a-z0-9-]{1,32}$/

/** What a segment log works with. */
export interface SegmentLogComponents {
  readonly registry: Registry
}

/** How a segment log is opened. */
export interface SegmentLogInit {
  /** Folder of the files; made where it is missing and `writable`. */
  readonly directory: string
  /** The rendition's name. */
  readonly name: string
  /** False (the default is true) reads what is there and changes nothing. */
  readonly writable?: boolean
  /** True waits for the disk with every segment. Default false. */
  readonly durable?: boolean
  /** Segments of one file before the next begins; 0, the default, keeps everything in one. */
  readonly segmentsPerFileMax?: number
}

/** The segments of one rendition on disk. */
export class SegmentLog {
  readonly #init: Required<SegmentLogInit>
  readonly #metrics: ArchiveMetrics
  /** By number, ascending; the last one is written to. */
  #files: { readonly number: number; readonly file: SegmentFile }[] = []
  #segments: ArchivedSegment[] = []
  readonly #places = new Map<Digest, { readonly file: SegmentFile; readonly place: Place }>()
  /** Never used twice, since a second name may still be in use. */
  #nextNumber = 0
  #queue: Promise<void> = Promise.resolve()
  #queuedBytes = 0
  #lastMsn = -1
  #info: RenditionInfo | undefined
  /** Where files that begin get a second name. */
  #mirror: string | undefined
  /** True when the next segment begins a file. */
  #rolls = false
  #status: 'open' | 'closed' = 'open'

  private constructor(components: SegmentLogComponents, init: Required<SegmentLogInit>) {
    this.#metrics = new ArchiveMetrics(components.registry)
    this.#init = init
  }

  /**
   * Opens a log with what an earlier run has left, cut back to its last whole segment.
   * @throws KairoError `ERR_STORAGE` when the folder or a file cannot be used.
   */
  static async open(components: SegmentLogComponents, init: SegmentLogInit): Promise<SegmentLog> {
    assert(NAME.test(init.name), 'a rendition name')
    const log = new SegmentLog(components, {
      ...{ writable: true, durable: false, segmentsPerFileMax: 0 },
      ...init,
    })
    try {
      await log.#open()
    } catch (cause) {
      await log.close()
      throw storageError(`cannot open the segments of ${init.name}`, cause)
    }
    return log
  }

  /** Name of the rendition. */
  get name(): string {
    return this.#init.name
  }

  /** In order. Treat as read-only; it grows, and is replaced when old segments go. */
  get segments(): readonly ArchivedSegment[] {
    return this.#segments
  }

  /** The rendition as it was last described here. */
  get info(): RenditionInfo | undefined {
    return this.#info
  }

  /** Bytes on disk, indexes included. */
  get bytes(): number {
    return this.#files.reduce((sum, { file }) => sum + file.bytes, 0)
  }

  /** Bytes of files that have no name elsewhere: what deleting them would give back. */
  get ownBytes(): number {
    return this.#files.reduce((sum, { file }) => sum + (file.isLinked ? 0 : file.bytes), 0)
  }

  /** Folder in which files get a second name, see {@link SegmentLog.mirror}. */
  get mirrored(): string | undefined {
    return this.#mirror
  }

  /** Numbers of its files, ascending. */
  get numbers(): readonly number[] {
    return this.#files.map(({ number }) => number)
  }

  /** Bytes of segments that wait for the disk. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /**
   * Writes a segment; its number is higher than that of every one before. Calls may overlap and are worked off in order. A failed write
   * leaves the log as it was before, and the next one may succeed.
   * @throws KairoError `ERR_STORAGE` when the disk refuses, `ERR_LIMIT` when more than `archiveLimits.queueBytesMax` wait,
   * `ERR_STOPPED` after {@link SegmentLog.close}.
   */
  async append(write: SegmentWrite): Promise<void> {
    assert(this.#init.writable, 'the log is open for writing')
    const { segment, parts } = write
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0)
    assert.equal(bytes, segment.bytes, 'the parts are the segment')
    assert(segment.msn > this.#lastMsn, 'segment numbers grow')
    this.#expectOpen()
    if (this.#queuedBytes + bytes > archiveLimits.queueBytesMax && this.#queuedBytes > 0) {
      this.#metrics.queueFull.inc()
      throw new KairoError('ERR_LIMIT', `the disk is too slow to keep ${this.name}`)
    }
    this.#lastMsn = segment.msn
    this.#queuedBytes += bytes
    try {
      await this.#inOrder(() => this.#append(write))
    } catch (error) {
      // The same segment may be tried again.
      if (this.#lastMsn === segment.msn) this.#lastMsn = this.#segments.at(-1)?.msn ?? -1
      throw error
    } finally {
      this.#queuedBytes -= bytes
    }
  }

  /**
   * Notes what players must know of the rendition; written when it differs from what is known.
   * @throws KairoError `ERR_STORAGE`, `ERR_STOPPED`.
   */
  async describe(info: RenditionInfo): Promise<void> {
    assert(this.#init.writable, 'the log is open for writing')
    this.#expectOpen()
    await this.#inOrder(async () => {
      if (JSON.stringify(info) === JSON.stringify(this.#info)) return
      await this.#refusable(async () => (await this.#writable()).describe(info))
      this.#info = info
    })
  }

  /** True for a segment or init segment of this log. */
  has(digest: Digest): boolean {
    return this.#places.has(digest)
  }

  /** Digests of all objects in the log: segments and init segments. */
  digests(): Iterable<Digest> {
    return this.#places.keys()
  }

  /**
   * The bytes of a segment or init segment, verified.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_VERIFICATION` when the disk has something else, `ERR_STORAGE` when it cannot be read.
   */
  async read(digest: Digest): Promise<Buffer> {
    const at = this.#places.get(digest)
    if (at === undefined) throw new KairoError('ERR_NOT_FOUND', `${this.name} has no such object`)
    let bytes: Buffer
    try {
      bytes = await at.file.read(at.place)
    } catch (cause) {
      // Dropped while the read was on its way.
      if (!this.#places.has(digest)) {
        throw new KairoError('ERR_NOT_FOUND', `${this.name} has this object no longer`, { cause })
      }
      throw storageError(`cannot read ${this.name}`, cause)
    }
    if (digestOf(bytes) === digest) return bytes
    this.#metrics.corrupt.inc()
    throw new KairoError('ERR_VERIFICATION', `${this.name} is damaged on disk`)
  }

  /** Where an object of this log lies: number of its file, and the place in it. */
  locate(digest: Digest): { readonly number: number; readonly place: Place } | undefined {
    const at = this.#places.get(digest)
    const number = this.#files.find(({ file }) => file === at?.file)?.number
    return at === undefined || number === undefined ? undefined : { number, place: at.place }
  }

  /**
   * From the next segment on, which begins a file, gives every file a second name in a folder, where they make a log of their own;
   * `undefined` ends that, with the next file again. The folder's files stay when this log drops its own.
   */
  async mirror(directory: string | undefined): Promise<void> {
    await this.#inOrder(async () => {
      if (directory === this.#mirror) return
      this.#mirror = directory
      this.#rolls = true
    })
  }

  /**
   * Deletes every file, after which the log begins anew with any number.
   * @throws KairoError `ERR_STORAGE`.
   */
  async clear(): Promise<void> {
    await this.#inOrder(() =>
      this.#refusable(async () => {
        for (const { file } of [...this.#files]) {
          this.#forget(file)
          await file.remove()
        }
      }),
    )
    if (this.#queuedBytes === 0) this.#lastMsn = -1
  }

  /**
   * Deletes files all of whose segments are older than `msn`. What is newest stays, so a log may keep up to one file's segments more.
   * @throws KairoError `ERR_STORAGE`.
   */
  async dropBefore(msn: number): Promise<void> {
    await this.#inOrder(() =>
      this.#refusable(async () => {
        while (this.#files.length > 1) {
          const oldest = this.#files[0]?.file
          if (oldest === undefined || (oldest.segments.at(-1)?.segment.msn ?? -1) >= msn) return
          this.#forget(oldest)
          await oldest.remove()
        }
      }),
    )
  }

  /**
   * Deletes the oldest file; where there is only one, the next segment begins another, so that it can go the next time.
   * @throws KairoError `ERR_STORAGE`.
   */
  async dropOldest(): Promise<void> {
    await this.#inOrder(() =>
      this.#refusable(async () => {
        const [oldest, next] = this.#files
        if (next === undefined) this.#rolls = true
        else if (oldest !== undefined) {
          this.#forget(oldest.file)
          await oldest.file.remove()
        }
      }),
    )
  }

  /** Waits for what is queued and lets go of the files. What is there can still be read. */
  async close(): Promise<void> {
    this.#status = 'closed'
    await this.#queue
    await Promise.all(this.#files.map(({ file }) => file.close()))
  }

  async #open(): Promise<void> {
    const { directory, writable } = this.#init
    if (writable) await mkdir(directory, { recursive: true, mode: 0o700 })
    const numbers = await fileNumbers(directory, this.name)
    if (numbers.length > archiveLimits.filesMax) {
      throw new KairoError('ERR_STORAGE', `more than ${archiveLimits.filesMax} files`)
    }
    for (const number of numbers) {
      const file = await this.#openFile(number, number === numbers.at(-1))
      const first = file.segments[0]?.segment.msn
      if (first !== undefined && first <= this.#lastMsn) {
        await file.close()
        throw new KairoError('ERR_STORAGE', `file ${number} does not follow the one before it`)
      }
      this.#adopt(number, file)
    }
    // A file that a recording keeps is written to by nobody else.
    this.#rolls = this.#files.at(-1)?.file.isLinked === true
  }

  /** Only the last one is written to; an earlier one was finished when the next began. */
  #openFile(number: number, isLast: boolean): Promise<SegmentFile> {
    const { writable, durable, directory } = this.#init
    return SegmentFile.open({
      path: segmentFilePath(directory, this.name, number),
      writable: writable && isLast,
      durable,
    })
  }

  #adopt(number: number, file: SegmentFile): void {
    this.#files.push({ number, file })
    this.#nextNumber = number + 1
    for (const { segment, offset } of file.segments) {
      this.#segments.push(segment)
      this.#places.set(segment.digest, { file, place: { offset, bytes: segment.bytes } })
      this.#lastMsn = segment.msn
    }
    for (const [digest, place] of file.inits) this.#places.set(digest, { file, place })
    this.#info = file.info ?? this.#info
  }

  async #append(write: SegmentWrite): Promise<void> {
    const { segment } = write
    await this.#refusable(async () => {
      const file = await this.#writable()
      await file.append(write)
      const stored = file.segments.at(-1)
      const init = file.inits.get(segment.initDigest)
      assert(stored !== undefined && init !== undefined, 'what was written is known')
      const place = { offset: stored.offset, bytes: segment.bytes }
      this.#places.set(segment.digest, { file, place })
      this.#places.set(segment.initDigest, { file, place: init })
      this.#segments.push(segment)
      this.#metrics.written.inc(segment.bytes)
    })
  }

  /** The file that the next segment goes to. */
  async #writable(): Promise<SegmentFile> {
    const { segmentsPerFileMax } = this.#init
    const last = this.#files.at(-1)
    const isFull = (file: SegmentFile): boolean =>
      file.isFull || (segmentsPerFileMax > 0 && file.segments.length >= segmentsPerFileMax)
    if (last !== undefined && !this.#rolls && !isFull(last.file)) return last.file
    if (this.#files.length >= archiveLimits.filesMax) {
      throw new KairoError(
        'ERR_STORAGE',
        `${this.name} has ${archiveLimits.filesMax} files already`,
      )
    }
    const number = this.#nextNumber
    const file = await this.#openFile(number, true)
    try {
      if (this.#mirror !== undefined) {
        await file.linkTo(segmentFilePath(this.#mirror, this.name, number))
      }
      // Each file says by itself what it holds, since the first ones of a window are deleted.
      if (this.#info !== undefined) await file.describe(this.#info)
    } catch (error) {
      await file.remove()
      throw error
    }
    this.#rolls = false
    this.#nextNumber = number + 1
    this.#files.push({ number, file })
    await last?.file.close()
    return file
  }

  #forget(file: SegmentFile): void {
    this.#files = this.#files.filter((one) => one.file !== file)
    this.#segments = this.#segments.slice(file.segments.length)
    const gone = [...file.segments.map(({ segment }) => segment.digest), ...file.inits.keys()]
    for (const digest of gone) {
      // An init segment lies in each file that needs it, and its newest place is the one that is known.
      if (this.#places.get(digest)?.file === file) this.#places.delete(digest)
    }
  }

  /** Runs work after all that was asked for before; a failure is its caller's only. */
  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work)
    this.#queue = done.then(
      () => {},
      () => {},
    )
    return done
  }

  async #refusable(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (cause) {
      this.#metrics.failures.inc({ code: (cause as NodeJS.ErrnoException).code ?? 'UNKNOWN' })
      throw storageError(`cannot write ${this.name}`, cause)
    }
  }

  #expectOpen(): void {
    if (this.#status === 'closed') throw new KairoError('ERR_STOPPED', `${this.name} is closed`)
  }
}

/** Names of the renditions that have a log in a folder. */
export async function segmentLogNames(directory: string): Promise<readonly string[]> {
  const names = new Set<string>()
  for (const file of await readdir(directory)) {
    const [name = '', ...rest] = file.split('.')
    if (rest.at(-1) === 'index' && NAME.test(name)) names.add(name)
  }
  return [...names].sort()
}

/** Numbers of a log's files, ascending. */
async function fileNumbers(directory: string, name: string): Promise<readonly number[]> {
  const numbers: number[] = []
  for (const file of await readdir(directory)) {
    if (file === `${name}.index`) numbers.push(0)
    const match = /^\.([1-9]\d{0,8})\.index$/.exec(
      file.startsWith(`${name}.`) ? file.slice(name.length) : '',
    )
    if (match !== null) numbers.push(Number(match[1]))
  }
  return numbers.sort((a, b) => a - b)
}

/** Path of a log's file, as {@link SegmentFile} takes it: for those who write the files of one log side by side. */
export function segmentFilePath(directory: string, name: string, number: number): string {
  return join(directory, number === 0 ? name : `${name}.${number}`)
}
