/**
 * The folder of the library: which videos lie there, and which of them has an object. What a crash left is cleared away when it is
 * opened; a video that is damaged stays, and is shown as failed.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Registry } from 'prom-client'
import { type AssetManifest, readManifest } from '../content/archive/asset-manifest.ts'
import type { Digest } from '../content/digest.ts'
import type { ObjectSource } from '../content/store/store.ts'
import { isKairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import type { Logger } from '../logger.ts'
import { Asset } from './asset.ts'
import { isAssetId } from './asset-id.ts'
import type { VodMetrics } from './vod-metrics.ts'

const REMOVED = '.removed'

/** What the folder works with. */
export interface AssetShelfComponents {
  readonly logger: Logger
  readonly registry: Registry
  readonly metrics: Pick<VodMetrics, 'reads'>
}

/** All videos on disk, as a source of their objects. */
export class AssetShelf implements ObjectSource {
  /** Where the videos lie, each in a folder with its id for a name. */
  readonly directory: string
  readonly #components: AssetShelfComponents
  readonly #assets = new Map<string, Asset>()
  readonly #owners = new Map<Digest, Asset>()

  constructor(components: AssetShelfComponents, directory: string) {
    this.#components = components
    this.directory = directory
  }

  /**
   * Finds what lies there; videos that were being made wait again.
   * @throws KairoError `ERR_STORAGE` when the folder cannot be used.
   */
  async start(): Promise<void> {
    const { directory } = this
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
    await Promise.all(this.all().map((asset) => asset.close()))
  }

  /** How many videos there are. */
  get size(): number {
    return this.#assets.size
  }

  /** Every video, whatever its state. */
  all(): Asset[] {
    return [...this.#assets.values()]
  }

  /** One of them. */
  get(id: string): Asset | undefined {
    return this.#assets.get(id)
  }

  /** Takes note of a folder that has just been filled. */
  add(manifest: AssetManifest): Asset {
    const asset = new Asset(this.#components, join(this.directory, manifest.id), manifest)
    this.#assets.set(manifest.id, asset)
    return asset
  }

  /** Serves the objects of a video that is ready; one whose media cannot be opened has failed. */
  async open(asset: Asset): Promise<void> {
    this.#disown(asset)
    try {
      await asset.open()
      for (const digest of asset.digests()) this.#owners.set(digest, asset)
    } catch (error) {
      const { id } = asset.manifest
      const known = storageError('the media of this video cannot be opened', error)
      this.#components.logger.error({ err: known, vod: id }, 'a video of the library is damaged')
      asset.force({ state: 'failed', error: { code: known.code, message: known.message } })
    }
    await asset.measure()
  }

  /**
   * Takes a video off the disk; whoever makes it stops.
   * @throws the file system's error; the video is gone from here all the same.
   */
  async remove(asset: Asset): Promise<void> {
    this.#assets.delete(asset.manifest.id)
    this.#disown(asset)
    asset.removal.abort()
    await asset.close()
    // Renamed first, so that a crash on the way leaves nothing that looks like a video.
    await rename(asset.directory, asset.directory + REMOVED)
    await rm(asset.directory + REMOVED, { recursive: true, force: true })
  }

  has(digest: Digest): boolean {
    return this.#owners.has(digest)
  }

  async read(digest: Digest): Promise<Buffer | undefined> {
    const { reads } = this.#components.metrics
    try {
      const bytes = await this.#owners.get(digest)?.read(digest)
      reads.inc({ outcome: bytes === undefined ? 'missing' : 'ok' })
      return bytes
    } catch (error) {
      const code = isKairoError(error) ? error.code : 'UNKNOWN'
      reads.inc({ outcome: code })
      // Removed while it was asked for.
      if (code === 'ERR_NOT_FOUND') return undefined
      throw error
    }
  }

  async #load(directory: string): Promise<void> {
    const { logger } = this.#components
    let manifest: AssetManifest | undefined
    try {
      manifest = await readManifest(directory)
    } catch (error) {
      const text = 'a video of the library cannot be read; left as it is'
      logger.error({ err: error, directory }, text)
      return
    }
    if (manifest === undefined) {
      logger.info({ directory }, 'removed what an interrupted upload left')
      await rm(directory, { recursive: true, force: true })
      return
    }
    const asset = this.add(manifest)
    const { state } = manifest
    if (state === 'probing' || state === 'transcoding') await asset.save({ state: 'queued' })
    if (state === 'ready') await this.open(asset)
    else await asset.measure()
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
}
