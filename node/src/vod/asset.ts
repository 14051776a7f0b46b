/**
 * One video of the library: its folder, its manifest, and its objects once it is ready. The pages that tell other peers of its
 * segments are objects too; they are made of the segment logs whenever they are asked for.
 */
import { strict as assert } from 'node:assert'
import { lstat, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type AssetManifest,
  MANIFEST_FILE,
  writeManifest,
} from '../content/archive/asset-manifest.ts'
import type {
  ArchivedRendition,
  ArchivedSegment,
  Presentation,
} from '../content/archive/presentation.ts'
import { SegmentLog, type SegmentLogComponents } from '../content/archive/segment-log.ts'
import { type Digest, digestOf } from '../content/digest.ts'
import { encodeSegmentPage, segmentPageCount } from '../content/videos/segment-pages.ts'
import type { VideoRecord } from '../content/videos/video-record.ts'
import { KairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import type { VodProgress } from './vod-status.ts'

/** A page of segments of one rendition. */
interface PagePlace {
  readonly rendition: number
  readonly page: number
}

/** A video and where it lies. */
export class Asset {
  readonly directory: string
  /** Fires when the video is taken out of the library; whoever works on it stops. */
  readonly removal = new AbortController()
  /** What whoever makes it says of its progress. */
  progress: VodProgress = { share: 0, speed: undefined, etaMs: undefined }
  readonly #components: SegmentLogComponents
  #manifest: AssetManifest
  #logs: readonly SegmentLog[] = []
  /** Paths of objects that are files of their own: captions, sprites. */
  readonly #files = new Map<Digest, string>()
  readonly #pages = new Map<Digest, PagePlace>()
  #presentation: Presentation | undefined
  #bytes = 0
  /** What was last told, and the manifest that it is of. */
  #record: { readonly of: AssetManifest; readonly record: VideoRecord | undefined } | undefined

  constructor(components: SegmentLogComponents, directory: string, manifest: AssetManifest) {
    this.#components = components
    this.directory = directory
    this.#manifest = manifest
  }

  /** Everything that is known of it. */
  get manifest(): AssetManifest {
    return this.#manifest
  }

  /** What players need; undefined until it is ready. */
  get presentation(): Presentation | undefined {
    return this.#presentation
  }

  /** What other peers are told of it; undefined until it is ready. One whose media are damaged here may have copies there. */
  get record(): VideoRecord | undefined {
    if (this.#record?.of !== this.#manifest) {
      this.#record = { of: this.#manifest, record: this.#describe() }
    }
    return this.#record.record
  }

  #describe(): VideoRecord | undefined {
    const { id, title, createdAtMs, durationUs, origin, captions, storyboard, pages } =
      this.#manifest
    if (pages === undefined) return undefined
    const renditions = this.#manifest.renditions.map((rendition, index) => ({
      ...{ ...rendition, pages: pages.digests[index] ?? [] },
    }))
    return {
      ...{ id, title, createdAtMs, durationUs, origin, bytes: pages.mediaBytes },
      ...{ renditions, captions, storyboard },
    }
  }

  /** Bytes of its folder when it was last measured. */
  get bytes(): number {
    return this.#bytes
  }

  /** Path of a file in its folder. */
  path(name: string): string {
    assert(!name.includes('/') && name !== '..', 'a name in the folder')
    return join(this.directory, name)
  }

  /**
   * Changes the manifest on disk and here.
   * @throws KairoError `ERR_STORAGE`; then nothing has changed.
   */
  async save(change: Partial<AssetManifest>): Promise<void> {
    const manifest = { ...this.#manifest, ...change }
    try {
      await writeManifest(this.directory, manifest)
    } catch (cause) {
      throw storageError('cannot write to the library', cause)
    }
    this.#manifest = manifest
  }

  /** Notes a state that the disk did not take: a video that cannot be kept is at least shown as failed. */
  force(change: Partial<AssetManifest>): void {
    this.#manifest = { ...this.#manifest, ...change }
  }

  /**
   * Opens the media of a ready video.
   * @throws KairoError `ERR_STORAGE` when a segment log is not what the manifest says.
   */
  async open(): Promise<void> {
    const { manifest } = this
    assert(manifest.state === 'ready', 'only a finished video has media')
    await this.close()
    const renditions: ArchivedRendition[] = []
    const logs: SegmentLog[] = []
    for (const { info, targetDurationS, segments } of manifest.renditions) {
      const log = await SegmentLog.open(this.#components, {
        ...{ directory: this.directory, name: info.name, writable: false },
      })
      if (log.segments.length < segments) {
        throw new KairoError('ERR_STORAGE', `segments of ${info.name} are missing on disk`)
      }
      logs.push(log)
      renditions.push({ info, targetDurationS, segments: log.segments })
    }
    await this.#namePages(renditions)
    this.#logs = logs
    this.#files.clear()
    for (const { name, digest } of manifest.captions)
      this.#files.set(digest, this.path(`${name}.vtt`))
    for (const [index, digest] of (manifest.storyboard?.sprites ?? []).entries()) {
      this.#files.set(digest, this.path(spriteFile(index)))
    }
    const { id, title, createdAtMs, durationUs, captions, storyboard } = manifest
    this.#presentation = {
      ...{ id, title, createdAtMs, durationUs, complete: true, renditions, captions, storyboard },
    }
  }

  /** Lets go of the media. */
  async close(): Promise<void> {
    this.#presentation = undefined
    this.#files.clear()
    this.#pages.clear()
    const logs = this.#logs
    this.#logs = []
    await Promise.all(logs.map((log) => log.close()))
  }

  /** Digests of all its objects. */
  *digests(): Iterable<Digest> {
    for (const log of this.#logs) yield* log.digests()
    yield* this.#files.keys()
    yield* this.#pages.keys()
  }

  /**
   * The bytes of one of its objects, verified.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_VERIFICATION`, `ERR_STORAGE`.
   */
  async read(digest: Digest): Promise<Buffer> {
    const log = this.#logs.find((one) => one.has(digest))
    if (log !== undefined) return await log.read(digest)
    const page = this.#pages.get(digest)
    if (page !== undefined) return this.#page(page, digest)
    const path = this.#files.get(digest)
    if (path === undefined) throw new KairoError('ERR_NOT_FOUND', 'this video has no such object')
    let bytes: Buffer
    try {
      bytes = await readFile(path)
    } catch (cause) {
      throw new KairoError('ERR_STORAGE', 'a file of this video cannot be read', { cause })
    }
    if (digestOf(bytes) === digest) return bytes
    throw new KairoError('ERR_VERIFICATION', 'a file of this video is damaged on disk')
  }

  #page({ rendition, page }: PagePlace, digest: Digest): Buffer {
    const segments = this.#presentation?.renditions[rendition]?.segments
    const bytes = segments && encodeSegmentPage(segments, page)
    if (bytes !== undefined && digestOf(bytes) === digest) return bytes
    throw new KairoError('ERR_VERIFICATION', 'the segments of this video are not what they were')
  }

  /** Names the pages of segments, once for good: a finished video does not change. */
  async #namePages(renditions: readonly ArchivedRendition[]): Promise<void> {
    if (this.#manifest.pages === undefined) {
      const isTold = renditions.every(
        ({ segments }, index) =>
          segments.length === this.#manifest.renditions[index]?.segments && arePageable(segments),
      )
      if (!isTold) return
      const digests = renditions.map(({ segments }) =>
        Array.from({ length: segmentPageCount(segments.length) }, (_, page) =>
          digestOf(encodeSegmentPage(segments, page)),
        ),
      )
      const all = renditions.flatMap(({ segments }) => segments)
      const mediaBytes = all.reduce((sum, { bytes }) => sum + bytes, 0)
      const pages = { digests, mediaBytes }
      // A full disk is no reason not to serve it: the pages are named again at the next start.
      await this.save({ pages }).catch(() => this.force({ pages }))
    }
    for (const [rendition, digests] of (this.#manifest.pages?.digests ?? []).entries()) {
      for (const [page, digest] of digests.entries()) this.#pages.set(digest, { rendition, page })
    }
  }

  /** Deletes everything in its folder but the manifest; for one that cannot be made, however often it is tried. */
  async clear(): Promise<void> {
    // Whoever removes the video meanwhile has taken the folder away.
    for (const file of await readdir(this.directory).catch(() => [])) {
      if (file !== MANIFEST_FILE) await rm(join(this.directory, file), { force: true })
    }
  }

  /** Adds up what its folder takes on disk. */
  async measure(): Promise<number> {
    this.#bytes = await folderBytes(this.directory)
    return this.#bytes
  }
}

/** Name of a storyboard's sprite in its video's folder. */
export function spriteFile(index: number): string {
  return `storyboard-${index}.jpg`
}

/** Recordings of early versions may have holes, which pages do not know. */
function arePageable(segments: readonly ArchivedSegment[]): boolean {
  const first = segments[0]
  return first !== undefined && segments.every(({ msn }, index) => msn === first.msn + index)
}

/** Bytes of all files in a folder; files that vanish meanwhile count nothing. */
async function folderBytes(directory: string): Promise<number> {
  let bytes = 0
  try {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      bytes += entry.isDirectory() ? await folderBytes(path) : (await lstat(path)).size
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return bytes
}
