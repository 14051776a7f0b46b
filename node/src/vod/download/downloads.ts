/**
 * Videos as ordinary MP4 files, which are never stored: the head is made once and kept on disk, the media come segment by
 * segment from the library, or from other peers, and any byte of the file can be read without the ones before it.
 */
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import { Counter, Histogram } from 'prom-client'
import { z } from 'zod'
import type { Clock } from '../../clock.ts'
import type { PlayableSource, Presentation } from '../../content/archive/presentation.ts'
import type { Digest } from '../../content/digest.ts'
import type { ObjectSource } from '../../content/store/store.ts'
import { abortReason, deadline, unlessAborted } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { parseJson } from '../../json.ts'
import { downloadLimits } from '../../limits/upload.ts'
import type { Logger } from '../../logger.ts'
import { buildIndex } from './download-index.ts'
import { type DownloadChoice, type DownloadPlan, planDownload } from './download-plan.ts'
import { samplePayload } from './segment-samples.ts'

/** What downloads work with. */
export interface DownloadsComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly library: {
    get(id: string): Presentation | undefined
    /** An object in RAM. */
    peek(digest: Digest): Buffer | undefined
    /** Objects on disk, past the cache in RAM: a download reads everything once and would push out what viewers share. */
    readonly objects: Pick<ObjectSource, 'read'>
  }
  /** Videos of other peers. */
  readonly others: Pick<PlayableSource, 'open' | 'read'>
}

/** How downloads are set up. */
export interface DownloadsInit {
  /** Folder of the heads; it may be removed at any time. */
  readonly directory: string
}

/** A file that can be read from anywhere. */
export interface DownloadFile {
  /** Names the content. */
  readonly key: string
  /** Bytes. */
  readonly length: number
  readonly title: string
  /** Name of the video rendition in it; undefined for sound alone. */
  readonly rendition: string | undefined
  /** Bytes `first` to `last`, both included. A segment that cannot be read ends it with a KairoError. */
  read(
    first: number,
    last: number,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<Buffer>
}

const storedSchema = z.object({
  headBytes: z.number().int().positive(),
  pieces: z.array(z.number().int().nonnegative()),
})
type StoredIndex = z.output<typeof storedSchema>

/** The downloads of one peer. */
export class Downloads {
  readonly #components: DownloadsComponents
  readonly #init: DownloadsInit
  readonly #logger: Logger
  readonly #building = new Map<string, Promise<StoredIndex>>()
  readonly #stopping = new AbortController()
  /** The newest of the builds that wait for each other. */
  #queue: Promise<unknown> = Promise.resolve()
  readonly #indexes: Counter<'outcome'>
  readonly #buildSeconds: Histogram
  readonly #cut: Counter

  constructor(components: DownloadsComponents, init: DownloadsInit) {
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:downloads' })
    const registers = [components.registry]
    this.#indexes = new Counter({
      name: 'kairo_vod_download_indexes_total',
      help: 'Heads of downloads by where they came from, or why not.',
      labelNames: ['outcome'],
      registers,
    })
    this.#cut = new Counter({
      name: 'kairo_vod_download_cut_total',
      help: 'Downloads that ended because a segment did not come in time.',
      registers,
    })
    this.#buildSeconds = new Histogram({
      name: 'kairo_vod_download_index_seconds',
      help: 'Time to make the head of a download, which reads all its media once.',
      buckets: [0.05, 0.2, 1, 5, 20, 60, 300],
      registers,
    })
  }

  /** @throws KairoError `ERR_STORAGE` when the folder cannot be used. */
  async start(): Promise<void> {
    try {
      await mkdir(this.#init.directory, { recursive: true, mode: 0o700 })
      for (const name of await readdir(this.#init.directory)) {
        if (name.endsWith('.tmp')) await rm(join(this.#init.directory, name), { force: true })
      }
    } catch (cause) {
      throw new KairoError('ERR_STORAGE', 'the folder for downloads cannot be used', { cause })
    }
  }

  /** Ends heads being made; downloads under way end with their connections. */
  async stop(): Promise<void> {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer stops'))
    await Promise.allSettled(this.#building.values())
  }

  /**
   * A video, or one rendition of it, as a file. Making the head of a long one takes a while the first time, and goes on when the
   * signal fires, so that the client finds it done when it asks again.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_NO_PROVIDER`, `ERR_LOCKED` while it grows, `ERR_LIMIT` when too many wait, `ERR_MEDIA`,
   * `ERR_STORAGE`.
   */
  async open(
    id: string,
    choice: DownloadChoice,
    options: { readonly signal: AbortSignal },
  ): Promise<DownloadFile> {
    const { library, others } = this.#components
    const presentation = library.get(id) ?? (await others.open(id, options))
    const plan = planDownload(presentation, choice)
    const index = (await this.#stored(plan)) ?? (await this.#build(plan, options.signal))
    const length = index.pieces.reduce((sum, bytes) => sum + bytes, index.headBytes)
    const video = plan.tracks.find(({ info }) => info.kind === 'video')
    return {
      key: plan.key,
      length,
      title: presentation.title,
      rendition: video?.info.name,
      read: (first, last, { signal }) => this.#read(plan, index, { first, last, signal }),
    }
  }

  async #stored(plan: DownloadPlan): Promise<StoredIndex | undefined> {
    const path = this.#path(plan, 'json')
    try {
      const parsed = storedSchema.safeParse(parseJson(await readFile(path, 'utf8')))
      const head = await stat(this.#path(plan, 'head'))
      const fits =
        parsed.success &&
        parsed.data.pieces.length === plan.order.length &&
        head.size === parsed.data.headBytes
      if (!fits) return undefined
      const now = new Date(this.#components.clock.now())
      await utimes(path, now, now)
      this.#indexes.inc({ outcome: 'stored' })
      return parsed.data
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw new KairoError('ERR_STORAGE', 'the head of this download cannot be read', {
        cause: error,
      })
    }
  }

  async #build(plan: DownloadPlan, signal: AbortSignal): Promise<StoredIndex> {
    let building = this.#building.get(plan.key)
    if (building === undefined) {
      if (this.#building.size >= downloadLimits.buildQueueMax) {
        this.#indexes.inc({ outcome: 'refused' })
        throw new KairoError('ERR_LIMIT', 'too many downloads are being prepared; try again later')
      }
      // One after the other: each reads as fast as the disk gives.
      building = this.#queue.then(() => this.#make(plan))
      this.#queue = building.catch(() => undefined)
      this.#building.set(plan.key, building)
      void building
        .catch((error: unknown) => {
          this.#indexes.inc({ outcome: 'failed' })
          this.#logger.warn({ err: error, key: plan.key }, 'a download cannot be prepared')
        })
        .finally(() => this.#building.delete(plan.key))
    }
    return await unlessAborted(building, signal)
  }

  async #make(plan: DownloadPlan): Promise<StoredIndex> {
    const { clock } = this.#components
    const { signal } = this.#stopping
    const beganMs = clock.monotonicMs()
    const { head, pieces } = await buildIndex(plan, (digest) => this.#object(plan, digest, signal))
    const index = { headBytes: head.byteLength, pieces: [...pieces] }
    try {
      await this.#keep(this.#path(plan, 'head'), head)
      await this.#keep(this.#path(plan, 'json'), JSON.stringify(index))
      await this.#evict()
    } catch (cause) {
      throw new KairoError('ERR_STORAGE', 'the disk does not take the head of this download', {
        cause,
      })
    }
    this.#indexes.inc({ outcome: 'made' })
    this.#buildSeconds.observe((clock.monotonicMs() - beganMs) / 1000)
    return index
  }

  async *#read(
    plan: DownloadPlan,
    index: StoredIndex,
    { first, last, signal }: { first: number; last: number; signal: AbortSignal },
  ): AsyncGenerator<Buffer> {
    if (first < index.headBytes)
      yield* this.#readHead(plan, first, Math.min(last, index.headBytes - 1))
    let start = index.headBytes
    for (const [position, bytes] of index.pieces.entries()) {
      const end = start + bytes
      if (start > last) return
      if (end > first && bytes > 0) {
        const { segment } = plan.order[position] as DownloadPlan['order'][number]
        const payload = samplePayload(await this.#object(plan, segment.digest, signal))
        yield* clip(payload, bytes, { from: Math.max(0, first - start), to: last + 1 - start })
      }
      start = end
    }
  }

  async *#readHead(plan: DownloadPlan, first: number, last: number): AsyncGenerator<Buffer> {
    const file = await open(this.#path(plan, 'head'), 'r')
    try {
      for (let at = first; at <= last; ) {
        const length = Math.min(downloadLimits.headReadBytes, last + 1 - at)
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, at)
        if (bytesRead === 0)
          throw new KairoError('ERR_STORAGE', 'the head of this download is gone')
        yield buffer.subarray(0, bytesRead)
        at += bytesRead
      }
    } finally {
      await file.close()
    }
  }

  async #object({ id }: DownloadPlan, digest: Digest, signal: AbortSignal): Promise<Buffer> {
    const { library, others, clock } = this.#components
    if (signal.aborted) throw abortReason(signal)
    const inMemory = library.peek(digest)
    if (inMemory !== undefined) return inMemory
    const limit = deadline(clock, downloadLimits.segmentReadMsMax, signal)
    try {
      const isHere = library.get(id) !== undefined
      const bytes = isHere
        ? await unlessAborted(library.objects.read(digest), limit.signal)
        : await others.read(digest, { id, signal: limit.signal })
      if (bytes !== undefined) return bytes
    } catch (error) {
      if (limit.signal.aborted && !signal.aborted) this.#cut.inc()
      throw error
    } finally {
      limit.clear()
    }
    throw new KairoError('ERR_NOT_FOUND', 'a part of this video is gone')
  }

  async #keep(path: string, content: Buffer | string): Promise<void> {
    const temporary = `${path}.tmp`
    await writeFile(temporary, content, { mode: 0o600, flush: true })
    await rename(temporary, path)
  }

  /** Removes the least recently used heads beyond the limits. */
  async #evict(): Promise<void> {
    const { directory } = this.#init
    const names = (await readdir(directory)).filter((name) => name.endsWith('.json'))
    const kept = await Promise.all(
      names.map(async (name) => {
        const head = join(directory, name.replace(/json$/, 'head'))
        const [{ mtimeMs, size }, { size: headBytes }] = await Promise.all([
          stat(join(directory, name)),
          stat(head),
        ])
        return { name, head, mtimeMs, bytes: size + headBytes }
      }),
    )
    kept.sort((a, b) => b.mtimeMs - a.mtimeMs)
    let bytes = 0
    for (const [index, one] of kept.entries()) {
      bytes += one.bytes
      const isOver =
        index >= downloadLimits.indexFilesMax || (index > 0 && bytes > downloadLimits.indexBytesMax)
      if (!isOver) continue
      await rm(join(directory, one.name), { force: true })
      await rm(one.head, { force: true })
      this.#indexes.inc({ outcome: 'evicted' })
    }
  }

  #path(plan: DownloadPlan, extension: 'json' | 'head'): string {
    return join(this.#init.directory, `${plan.key}.${extension}`)
  }
}

/** The bytes `from` to before `to` of views that are `bytes` long together. */
function* clip(
  views: readonly Buffer[],
  bytes: number,
  { from, to }: { readonly from: number; readonly to: number },
): Generator<Buffer> {
  if (views.reduce((sum, view) => sum + view.byteLength, 0) !== bytes) {
    throw new KairoError(
      'ERR_VERIFICATION',
      'a segment does not have the bytes that its index says',
    )
  }
  let start = 0
  for (const view of views) {
    const piece = view.subarray(Math.max(0, from - start), Math.max(0, to - start))
    if (piece.byteLength > 0) yield piece
    start += view.byteLength
  }
}
