/**
 * The library: videos on demand, each a folder of its own under `<home>/vod`. A file that is added waits here until the pipeline has
 * made renditions of it; a recording is adopted as it is. Players see a video when it is ready and not before.
 */
import { EventEmitter } from 'node:events'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { type AssetManifest, writeManifest } from '../content/archive/asset-manifest.ts'
import type {
  Presentation,
  PresentationSource,
  Storyboard,
} from '../content/archive/presentation.ts'
import type { Digest } from '../content/digest.ts'
import type { ContentStore, ObjectSource } from '../content/store/store.ts'
import type { VideoRecord } from '../content/videos/video-record.ts'
import { KairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import { vodLimits } from '../limits/vod.ts'
import type { Logger } from '../logger.ts'
import type { Asset } from './asset.ts'
import { AssetShelf } from './asset-shelf.ts'
import { addCaptionFile } from './captions.ts'
import { cloneFile, moveFile } from './files.ts'
import { recordedManifest } from './recorded-manifest.ts'
import { cleanTitle } from './title.ts'
import { VodMetrics } from './vod-metrics.ts'
import type { VodStatus } from './vod-status.ts'

/** What the library works with. */
export interface VodLibraryComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** Keeps in RAM what is read; the library adds itself as a source. */
  readonly store: Pick<ContentStore, 'peek' | 'read' | 'addSource'>
}

/** How the library is set up. */
export interface VodLibraryInit {
  /** Folder of the videos. */
  readonly directory: string
  /** A new name for a video. */
  readonly newId: () => string
  /** Disk for everything that shares the setting `vodBytesMax`, bytes. */
  readonly bytesMax: number
  /** What others use of it: recordings under way, DVR windows, uploads. Default: nothing. */
  readonly bytesElsewhere?: () => number
}

/** A file for the library. */
export interface AddFileOptions {
  readonly path: string
  /** Title; the file's name when it is empty. */
  readonly title: string
  /** `move` takes the file away, `copy` leaves it where it is. */
  readonly mode: 'move' | 'copy'
}

/** A recording that becomes a video. */
export interface AdoptOptions {
  /** Name that it was played under while it ran, as {@link VodLibrary.newId} makes them. Default: a new one. */
  readonly id?: string
  /** Folder of its segment logs, closed; it is moved as it is. */
  readonly directory: string
  readonly title: string
  /** Wall milliseconds when the recording began. */
  readonly createdAtMs: number
  /** Pictures for scrubbing, whose sprites lie in the folder under the names of {@link spriteFile}. Default none. */
  readonly storyboard?: Storyboard | undefined
}

/** Notices of the library. */
export interface VodLibraryEvents {
  /** A video came, went, or is in another state. */
  'vod:changed': [id: string]
}

/** All videos of a peer. */
export class VodLibrary implements PresentationSource {
  readonly events = new EventEmitter<VodLibraryEvents>()
  readonly #components: VodLibraryComponents
  readonly #logger: Logger
  readonly #init: VodLibraryInit
  readonly #metrics: VodMetrics
  readonly #shelf: AssetShelf
  /** The objects of all videos, for the content store. */
  readonly objects: ObjectSource
  #captionWork: Promise<unknown> = Promise.resolve()

  constructor(components: VodLibraryComponents, init: VodLibraryInit) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:vod' })
    this.#init = init
    this.#metrics = new VodMetrics(components.registry, () => ({
      ...{ states: this.#states(), bytes: this.usage().bytes, bytesMax: init.bytesMax },
    }))
    const { registry } = components
    const shared = { logger: this.#logger, metrics: this.#metrics, registry }
    this.#shelf = new AssetShelf(shared, init.directory)
    this.objects = this.#shelf
    components.store.addSource(this.objects)
  }

  /**
   * Opens the folder, clears away what a crash left, and puts videos that were being made back into the queue.
   * @throws KairoError `ERR_STORAGE` when the folder cannot be used.
   */
  async start(): Promise<void> {
    await this.#shelf.start()
  }

  /** Lets go of all files. */
  async stop(): Promise<void> {
    await this.#shelf.stop()
  }

  /** A ready video. */
  get(id: string): Presentation | undefined {
    return this.#shelf.get(id)?.presentation
  }

  /** Every ready video, newest first. */
  list(): readonly Presentation[] {
    return this.#shelf
      .all()
      .flatMap(({ presentation }) => presentation ?? [])
      .sort((a, b) => b.createdAtMs - a.createdAtMs)
  }

  /** What other peers can be told of. */
  records(): readonly VideoRecord[] {
    return this.#shelf.all().flatMap(({ record }) => record ?? [])
  }

  /** A new name for a video. */
  newId(): string {
    return this.#init.newId()
  }

  async read(digest: Digest, options: { readonly signal: AbortSignal }): Promise<Buffer> {
    const bytes = await this.#components.store.read(digest, options)
    if (bytes === undefined) throw new KairoError('ERR_NOT_FOUND', 'no video has this object')
    return bytes
  }

  peek(digest: Digest): Buffer | undefined {
    return this.#shelf.has(digest) ? this.#components.store.peek(digest) : undefined
  }

  /** How a video is doing, whatever its state. */
  status(id: string): VodStatus | undefined {
    const asset = this.#shelf.get(id)
    return asset === undefined ? undefined : statusOf(asset)
  }

  /** How every video is doing, newest first. */
  statuses(): readonly VodStatus[] {
    return this.#shelf
      .all()
      .map(statusOf)
      .sort((a, b) => b.createdAtMs - a.createdAtMs || a.id.localeCompare(b.id))
  }

  /** Disk that is used and that may be used, bytes. */
  usage(): { readonly bytes: number; readonly bytesMax: number; readonly bytesFree: number } {
    const bytes = this.#shelf.all().reduce((sum, asset) => sum + asset.bytes, 0)
    const { bytesMax, bytesElsewhere } = this.#init
    return { bytes, bytesMax, bytesFree: Math.max(0, bytesMax - bytes - (bytesElsewhere?.() ?? 0)) }
  }

  /**
   * Takes a file into the library and puts it in the queue.
   * @throws KairoError `ERR_STORAGE` when there is no room, `ERR_LIMIT` when there are too many videos, `ERR_NOT_FOUND` for a
   * missing file, `ERR_MEDIA` for an empty one or one that is no file.
   */
  async addFile(options: AddFileOptions): Promise<VodStatus> {
    try {
      return statusOf(await this.#addFile(options))
    } catch (cause) {
      const error = storageError('cannot take the file into the library', cause)
      this.#metrics.refused.inc({ code: error.code })
      throw error
    }
  }

  /**
   * Makes a recording a video of the library: its folder is moved, nothing is copied or encoded.
   * @throws KairoError `ERR_MEDIA` when it holds no segments, `ERR_LIMIT`, `ERR_STORAGE`.
   */
  async adopt(options: AdoptOptions): Promise<VodStatus> {
    this.#expectRoomForOne()
    const { directory, createdAtMs, id = this.newId() } = options
    const title = cleanTitle(options.title, 'Recording')
    const recorded = { id, title, createdAtMs, directory }
    const manifest: AssetManifest = {
      ...(await recordedManifest(this.#components, recorded)),
      storyboard: options.storyboard,
    }
    try {
      await writeManifest(directory, manifest)
      await rename(directory, join(this.#init.directory, id))
    } catch (cause) {
      throw storageError('cannot take the recording into the library', cause)
    }
    const asset = this.#shelf.add(manifest)
    await this.#shelf.open(asset)
    return statusOf(asset)
  }

  /**
   * Gives a video another title.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_INVALID_INPUT` for a title of nothing, `ERR_STORAGE`.
   */
  async rename(id: string, title: string): Promise<VodStatus> {
    const asset = this.#expect(id)
    const clean = cleanTitle(title, '')
    if (clean === '') throw new KairoError('ERR_INVALID_INPUT', 'the title is empty')
    await this.update(asset, { title: clean })
    return statusOf(asset)
  }

  /**
   * Takes a video out of the library and off the disk; one that is being made is stopped.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_STORAGE`.
   */
  async remove(id: string): Promise<void> {
    const asset = this.#expect(id)
    try {
      await this.#shelf.remove(asset)
    } catch (cause) {
      throw storageError('cannot delete the video', cause)
    } finally {
      this.events.emit('vod:changed', id)
    }
  }

  /**
   * Puts a failed video in the queue again.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_INVALID_INPUT` when it has not failed or its file is gone, `ERR_STORAGE`.
   */
  async retry(id: string): Promise<VodStatus> {
    const asset = this.#expect(id)
    const { state, sourceFile } = asset.manifest
    if (state !== 'failed' || sourceFile === undefined) {
      throw new KairoError(
        'ERR_INVALID_INPUT',
        'this video cannot be made again: add the file anew',
      )
    }
    await this.update(asset, { state: 'queued', error: undefined })
    return statusOf(asset)
  }

  /**
   * Adds captions to a ready video, in place of those of the same language and label.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_INVALID_INPUT` for text that is no WebVTT, `ERR_LIMIT`, `ERR_STORAGE`.
   */
  addCaptions(id: string, language: string, label: string, vtt: Uint8Array): Promise<VodStatus> {
    // One after the other: each chooses a name that the one before has not taken, and adds to what it has left.
    const added = this.#captionWork.then(() => this.#addCaptions(id, language, label, vtt))
    this.#captionWork = added.catch(() => {})
    return added
  }

  async #addCaptions(
    id: string,
    language: string,
    label: string,
    vtt: Uint8Array,
  ): Promise<VodStatus> {
    const asset = this.#expect(id)
    if (asset.manifest.state !== 'ready') {
      throw new KairoError('ERR_INVALID_INPUT', 'this video is not ready yet')
    }
    const known = asset.manifest.captions
    const captions = await addCaptionFile(asset, known, language, label, vtt)
    await this.update(asset, { captions })
    await this.#shelf.open(asset)
    return statusOf(asset)
  }

  /** Videos that wait to be made, oldest first; for the pipeline, like everything below. */
  queued(): readonly Asset[] {
    return this.#shelf
      .all()
      .filter(({ manifest }) => manifest.state === 'queued')
      .sort((a, b) => a.manifest.createdAtMs - b.manifest.createdAtMs)
  }

  /** Changes a video and says so. */
  async update(asset: Asset, change: Partial<AssetManifest>): Promise<void> {
    await asset.save(change)
    this.events.emit('vod:changed', asset.manifest.id)
  }

  /** A video is made: it is served from now on, and what it was made of goes. */
  async finish(asset: Asset, change: Partial<AssetManifest>): Promise<void> {
    const { sourceFile } = asset.manifest
    await asset.save({ ...change, state: 'ready', error: undefined, sourceFile: undefined })
    if (sourceFile !== undefined) await rm(asset.path(sourceFile), { force: true })
    await this.#shelf.open(asset)
    this.events.emit('vod:changed', asset.manifest.id)
  }

  /** A video cannot be made. Its file, and what was made of it, stay only where trying again may help. */
  async fail(asset: Asset, error: KairoError): Promise<void> {
    const { code, message } = error
    const isFinal = code === 'ERR_MEDIA' || code === 'ERR_UNSUPPORTED_CODEC'
    const change = {
      ...{ state: 'failed' as const, error: { code, message } },
      ...(isFinal ? { sourceFile: undefined } : {}),
    }
    this.#metrics.failures.inc({ code })
    this.#logger.warn({ err: error, code, vod: asset.manifest.id }, 'a video could not be made')
    if (isFinal) await asset.clear()
    try {
      await asset.save(change)
    } catch (cause) {
      asset.force(change)
      this.#logger.error({ err: cause, vod: asset.manifest.id }, 'cannot note that a video failed')
    }
    await asset.measure()
    this.events.emit('vod:changed', asset.manifest.id)
  }

  async #addFile({ path, title, mode }: AddFileOptions): Promise<Asset> {
    this.#expectRoomForOne()
    const file = await stat(path).catch((cause: unknown) => {
      throw new KairoError('ERR_NOT_FOUND', `there is no file ${basename(path)}`, { cause })
    })
    if (!file.isFile()) throw new KairoError('ERR_MEDIA', `${basename(path)} is no file`)
    if (file.size === 0) throw new KairoError('ERR_MEDIA', `${basename(path)} is empty`)
    if (file.size > this.usage().bytesFree) {
      throw new KairoError('ERR_STORAGE', 'the library has no room for this file')
    }
    const id = this.newId()
    const directory = join(this.#init.directory, id)
    const extension = /^\.[a-z0-9]{1,5}$/i.exec(extname(path))?.[0].toLowerCase() ?? ''
    const manifest: AssetManifest = {
      ...{ id, title: cleanTitle(title, cleanTitle(basename(path, extname(path)), 'Video')) },
      ...{ createdAtMs: this.#components.clock.now(), state: 'queued', error: undefined },
      ...{ sourceFile: `original${extension}`, origin: 'upload', durationUs: 0 },
      ...{ renditions: [], captions: [], storyboard: undefined },
    }
    await mkdir(directory, { mode: 0o700 })
    try {
      await (mode === 'move' ? moveFile : cloneFile)(path, join(directory, `original${extension}`))
      await writeManifest(directory, manifest)
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw error
    }
    const asset = this.#shelf.add(manifest)
    await asset.measure()
    this.events.emit('vod:changed', id)
    return asset
  }

  #expect(id: string): Asset {
    const asset = this.#shelf.get(id)
    if (asset === undefined) throw new KairoError('ERR_NOT_FOUND', `there is no video ${id}`)
    return asset
  }

  #expectRoomForOne(): void {
    if (this.#shelf.size < vodLimits.assetsMax) return
    throw new KairoError('ERR_LIMIT', `the library holds ${vodLimits.assetsMax} videos already`)
  }

  #states(): Record<AssetManifest['state'], number> {
    const states = { queued: 0, probing: 0, transcoding: 0, ready: 0, failed: 0 }
    for (const { manifest } of this.#shelf.all()) states[manifest.state] += 1
    return states
  }
}

function statusOf(asset: Asset): VodStatus {
  const { id, title, state, origin, error, createdAtMs, durationUs, renditions } = asset.manifest
  const isDone = state === 'ready'
  return {
    ...{ id, title, state, origin, error, createdAtMs, durationUs, bytes: asset.bytes },
    ...(isDone ? { share: 1, speed: undefined, etaMs: undefined } : asset.progress),
    renditions: renditions.map(({ info }) => info.name),
  }
}
