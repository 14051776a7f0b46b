/**
 * The library: videos on demand, each a folder of its own under `<home>/vod`. A file that is added waits here until the pipeline has
 * made renditions of it; a recording is adopted as it is. Players see a video when it is ready and not before.
 */
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import {
  type AssetManifest,
  readManifest,
  writeManifest,
} from '../content/archive/asset-manifest.ts'
import type {
  Presentation,
  PresentationSource,
  Storyboard,
} from '../content/archive/presentation.ts'
import type { Digest } from '../content/digest.ts'
import type { ContentStore, ObjectSource } from '../content/store/store.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import { vodLimits } from '../limits/vod.ts'
import type { Logger } from '../logger.ts'
import { Asset } from './asset.ts'
import { assetId, isAssetId } from './asset-id.ts'
import { addCaptionFile } from './captions.ts'
import { cloneFile, moveFile } from './files.ts'
import { recordedManifest } from './recorded-manifest.ts'
import { cleanTitle } from './title.ts'
import { VodMetrics } from './vod-metrics.ts'
import type { VodProgress, VodStatus } from './vod-status.ts'

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
  /** Name that it was played under while it ran, as {@link assetId} makes them. Default: a new one. */
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

const REMOVED = '.removed'

/** All videos of a peer. */
export class VodLibrary implements PresentationSource {
  readonly events = new EventEmitter<VodLibraryEvents>()
  readonly #components: VodLibraryComponents
  readonly #logger: Logger
  readonly #init: VodLibraryInit
  readonly #metrics: VodMetrics
  readonly #assets = new Map<string, Asset>()
  readonly #owners = new Map<Digest, Asset>()
  #captionWork: Promise<unknown> = Promise.resolve()

  constructor(components: VodLibraryComponents, init: VodLibraryInit) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:vod' })
    this.#init = init
    this.#metrics = new VodMetrics(components.registry, () => ({
      ...{ states: this.#states(), bytes: this.usage().bytes, bytesMax: init.bytesMax },
    }))
    components.store.addSource(this.objects)
  }

  /** The objects of all videos, for the content store. */
  readonly objects: ObjectSource = {
    has: (digest) => this.#owners.has(digest),
    read: async (digest) => await this.#readFromDisk(digest),
  }

  /**
   * Opens the folder, clears away what a crash left, and puts videos that were being made back into the queue.
   * @throws KairoError `ERR_STORAGE` when the folder cannot be used.
   */
  async start(): Promise<void> {
    const { directory } = this.#init
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue
        const path = join(directory, entry.name)
        const isGone = entry.name.endsWith(REMOVED) && isAssetId(basename(entry.name, REMOVED))
        if (isGone) await rm(path, { recursive: true, force: true })
        else if (isAssetId(entry.name)) await this.#load(path)
      }
    } catch (cause) {
      throw storageError(`cannot open the library ${directory}`, cause)
    }
  }

  /** Lets go of all files. */
  async stop(): Promise<void> {
    await Promise.all([...this.#assets.values()].map((asset) => asset.close()))
  }

  /** A ready video. */
  get(id: string): Presentation | undefined {
    return this.#assets.get(id)?.presentation
  }

  /** Every ready video, newest first. */
  list(): readonly Presentation[] {
    return [...this.#assets.values()]
      .flatMap(({ presentation }) => presentation ?? [])
      .sort((a, b) => b.createdAtMs - a.createdAtMs)
  }

  async read(digest: Digest, options: { readonly signal: AbortSignal }): Promise<Buffer> {
    const bytes = await this.#components.store.read(digest, options)
    if (bytes === undefined) throw new KairoError('ERR_NOT_FOUND', 'no video has this object')
    return bytes
  }

  peek(digest: Digest): Buffer | undefined {
    return this.#owners.has(digest) ? this.#components.store.peek(digest) : undefined
  }

  /** How a video is doing, whatever its state. */
  status(id: string): VodStatus | undefined {
    const asset = this.#assets.get(id)
    return asset === undefined ? undefined : statusOf(asset)
  }

  /** How every video is doing, newest first. */
  statuses(): readonly VodStatus[] {
    return [...this.#assets.values()]
      .map(statusOf)
      .sort((a, b) => b.createdAtMs - a.createdAtMs || a.id.localeCompare(b.id))
  }

  /** Disk that is used and that may be used, bytes. */
  usage(): { readonly bytes: number; readonly bytesMax: number; readonly bytesFree: number } {
    const bytes = [...this.#assets.values()].reduce((sum, asset) => sum + asset.bytes, 0)
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
    const { directory, createdAtMs, id = assetId(randomBytes) } = options
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
    const asset = this.#hold(manifest)
    await this.#openMedia(asset)
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
    this.#assets.delete(id)
    this.#disown(asset)
    asset.removal.abort()
    await asset.close()
    try {
      // Renamed first, so that a crash on the way leaves nothing that looks like a video.
      await rename(asset.directory, asset.directory + REMOVED)
      await rm(asset.directory + REMOVED, { recursive: true, force: true })
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
    await this.#openMedia(asset)
    return statusOf(asset)
  }

  /** Videos that wait to be made, oldest first; for the pipeline, like everything below. */
  queued(): readonly Asset[] {
    return [...this.#assets.values()]
      .filter(({ manifest }) => manifest.state === 'queued')
      .sort((a, b) => a.manifest.createdAtMs - b.manifest.createdAtMs)
  }

  /** Changes a video and says so. */
  async update(asset: Asset, change: Partial<AssetManifest>): Promise<void> {
    await asset.save(change)
    this.events.emit('vod:changed', asset.manifest.id)
  }

  /** Notes how far the making of a video is. */
  report(asset: Asset, progress: VodProgress): void {
    asset.progress = progress
  }

  /** A video is made: it is served from now on, and what it was made of goes. */
  async finish(asset: Asset, change: Partial<AssetManifest>): Promise<void> {
    const { sourceFile } = asset.manifest
    await asset.save({ ...change, state: 'ready', error: undefined, sourceFile: undefined })
    if (sourceFile !== undefined) await rm(asset.path(sourceFile), { force: true })
    await this.#openMedia(asset)
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
    await this.measure(asset)
    this.events.emit('vod:changed', asset.manifest.id)
  }

  /** Adds up what a video takes on disk. */
  async measure(asset: Asset): Promise<void> {
    await asset.measure()
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
    const id = assetId(randomBytes)
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
    const asset = this.#hold(manifest)
    await asset.measure()
    this.events.emit('vod:changed', id)
    return asset
  }

  async #load(directory: string): Promise<void> {
    let manifest: AssetManifest | undefined
    try {
      manifest = await readManifest(directory)
    } catch (error) {
      this.#logger.error(
        { err: error, directory },
        'a video of the library cannot be read; left as it is',
      )
      return
    }
    if (manifest === undefined) {
      this.#logger.info({ directory }, 'removed what an interrupted upload left')
      await rm(directory, { recursive: true, force: true })
      return
    }
    const asset = this.#hold(manifest)
    const { state } = manifest
    if (state === 'probing' || state === 'transcoding') await asset.save({ state: 'queued' })
    if (state === 'ready') await this.#openMedia(asset)
    else await asset.measure()
  }

  async #openMedia(asset: Asset): Promise<void> {
    this.#disown(asset)
    try {
      await asset.open()
      for (const digest of asset.digests()) this.#owners.set(digest, asset)
    } catch (error) {
      const known = storageError('the media of this video cannot be opened', error)
      this.#logger.error(
        { err: known, vod: asset.manifest.id },
        'a video of the library is damaged',
      )
      asset.force({ state: 'failed', error: { code: known.code, message: known.message } })
    }
    await asset.measure()
  }

  #hold(manifest: AssetManifest): Asset {
    const asset = new Asset(this.#components, join(this.#init.directory, manifest.id), manifest)
    this.#assets.set(manifest.id, asset)
    return asset
  }

  /** Takes an asset's objects out of the table; those that another video has too stay, with that one. */
  #disown(asset: Asset): void {
    const gone = new Set<Digest>()
    for (const digest of asset.digests()) {
      if (this.#owners.get(digest) !== asset) continue
      this.#owners.delete(digest)
      gone.add(digest)
    }
    for (const other of gone.size === 0 ? [] : this.#assets.values()) {
      if (other === asset) continue
      for (const digest of other.digests()) if (gone.has(digest)) this.#owners.set(digest, other)
    }
  }

  async #readFromDisk(digest: Digest): Promise<Buffer | undefined> {
    try {
      const bytes = await this.#owners.get(digest)?.read(digest)
      this.#metrics.reads.inc({ outcome: bytes === undefined ? 'missing' : 'ok' })
      return bytes
    } catch (error) {
      const code = isKairoError(error) ? error.code : 'UNKNOWN'
      this.#metrics.reads.inc({ outcome: code })
      // Removed while it was asked for.
      if (code === 'ERR_NOT_FOUND') return undefined
      throw error
    }
  }

  #expect(id: string): Asset {
    const asset = this.#assets.get(id)
    if (asset === undefined) throw new KairoError('ERR_NOT_FOUND', `there is no video ${id}`)
    return asset
  }

  #expectRoomForOne(): void {
    if (this.#assets.size < vodLimits.assetsMax) return
    throw new KairoError('ERR_LIMIT', `the library holds ${vodLimits.assetsMax} videos already`)
  }

  #states(): Record<AssetManifest['state'], number> {
    const states = { queued: 0, probing: 0, transcoding: 0, ready: 0, failed: 0 }
    for (const { manifest } of this.#assets.values()) states[manifest.state] += 1
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
