/**
 * One media file of a segment log and the index beside it. The media file alone is a fragmented MP4 that any player takes: an init
 * segment, its segments, and another init segment where the configuration changed.
 *
 * Media are written before the index says that they are there, at positions, never by appending: whatever an interrupted or
 * refused write has left behind the last good record is written over by the next one, and cut off when the file is opened.
 */
import { strict as assert } from 'node:assert'
import { constants } from 'node:fs'
import { type FileHandle, link, open, rm } from 'node:fs/promises'
import { KairoError } from '../../errors.ts'
import { archiveLimits } from '../../limits/vod.ts'
import { type Digest, digestOf } from '../digest.ts'
import type { RenditionInfo } from '../stream.ts'
import type { ArchivedSegment } from './presentation.ts'
import {
  headerRecord,
  type IndexContent,
  initRecord,
  type Place,
  readIndex,
  renditionRecord,
  segmentRecord,
} from './segment-index.ts'

/** A segment to be kept. The buffers must not change until the write is done. */
export interface SegmentWrite {
  readonly segment: ArchivedSegment
  /** The init segment whose digest the segment names. */
  readonly init: Buffer
  /** The segment's bytes, in order. */
  readonly parts: readonly Buffer[]
}

/** How a file is opened. */
export interface SegmentFileOptions {
  /** Path without `.mp4` and `.index`. */
  readonly path: string
  /** False leaves both files as they are and holds none of them open. */
  readonly writable: boolean
  /** True waits for the disk after each write: what is written survives a loss of power, not only a crash of the process. */
  readonly durable: boolean
}

/** Segments in one media file. Writes must not overlap; reads may come at any time. */
export class SegmentFile {
  readonly #options: SegmentFileOptions
  readonly #content: IndexContent
  #media: FileHandle | undefined
  #index: FileHandle | undefined
  #linked = false

  private constructor(
    options: SegmentFileOptions,
    content: IndexContent,
    handles: { readonly media: FileHandle; readonly index: FileHandle } | undefined,
  ) {
    this.#options = options
    this.#content = content
    this.#media = handles?.media
    this.#index = handles?.index
  }

  /**
   * Opens a file, and makes it where it is missing and `writable`.
   * @throws KairoError `ERR_STORAGE`; the file system's error for what cannot be opened.
   */
  static async open(options: SegmentFileOptions): Promise<SegmentFile> {
    const flags = options.writable ? constants.O_RDWR | constants.O_CREAT : constants.O_RDONLY
    const media = await open(`${options.path}.mp4`, flags, 0o600)
    let index: FileHandle | undefined
    try {
      index = await open(`${options.path}.index`, flags, 0o600)
      const content = await recover(media, index, options.writable)
      const handles = options.writable ? { media, index } : undefined
      const file = new SegmentFile(options, content, handles)
      file.#linked = (await index.stat()).nlink > 1
      if (options.writable) {
        await index.truncate(content.indexBytes)
        await media.truncate(content.mediaBytes)
        return file
      }
      await media.close()
      await index.close()
      return file
    } catch (error) {
      await media.close()
      await index?.close()
      throw error
    }
  }

  /** True when the files have a name elsewhere too: see {@link SegmentFile.linkTo}. */
  get isLinked(): boolean {
    return this.#linked
  }

  /** Segments in order, and where they are. Treat as read-only. */
  get segments(): IndexContent['segments'] {
    return this.#content.segments
  }

  /** Where its init segments are. */
  get inits(): ReadonlyMap<Digest, Place> {
    return this.#content.inits
  }

  /** The newest description of the rendition in this file. */
  get info(): RenditionInfo | undefined {
    return this.#content.info
  }

  /** Bytes of media and index. */
  get bytes(): number {
    return this.#content.mediaBytes + this.#content.indexBytes
  }

  /** True when another segment would go beyond a limit of one file. */
  get isFull(): boolean {
    const { indexBytes, inits } = this.#content
    return (
      indexBytes + 3 * archiveLimits.recordBytesMax > archiveLimits.indexBytesMax ||
      inits.size >= archiveLimits.initsMax
    )
  }

  /**
   * Writes a segment behind the others. When it fails, the file is as it was.
   * @throws the file system's error.
   */
  async append(write: SegmentWrite): Promise<void> {
    const content = this.#content
    const { segment, init, parts } = write
    const media: Buffer[] = []
    const index = content.indexBytes === 0 ? [headerRecord()] : []
    const initPlace = { offset: content.mediaBytes, bytes: init.byteLength }
    const isNewInit = segment.initDigest !== content.init
    if (isNewInit) {
      media.push(init)
      index.push(initRecord(segment.initDigest, initPlace))
    }
    const offset = content.mediaBytes + (isNewInit ? init.byteLength : 0)
    media.push(...parts)
    index.push(segmentRecord(segment, offset))
    await this.#writeBoth(media, Buffer.concat(index))
    if (isNewInit) {
      content.init = segment.initDigest
      content.inits.set(segment.initDigest, initPlace)
    }
    content.segments.push({ segment, offset })
  }

  /**
   * Gives both files a second name, under which they grow and stay whatever becomes of this one; `path` as in
   * {@link SegmentFileOptions}.
   * @throws the file system's error, `EPERM` where it knows no hard links.
   */
  async linkTo(path: string): Promise<void> {
    // What an attempt that failed has left.
    await rm(`${path}.mp4`, { force: true })
    await rm(`${path}.index`, { force: true })
    await link(`${this.#options.path}.mp4`, `${path}.mp4`)
    this.#linked = true
    await link(`${this.#options.path}.index`, `${path}.index`)
  }

  /** Writes the rendition's description. */
  async describe(info: RenditionInfo): Promise<void> {
    const header = this.#content.indexBytes === 0 ? headerRecord() : Buffer.alloc(0)
    await this.#writeBoth([], Buffer.concat([header, renditionRecord(info)]))
    this.#content.info = info
  }

  /** The bytes at a place; fewer than asked for when the file is shorter. */
  async read(place: Place): Promise<Buffer> {
    // A handle of its own: the writing one is closed when the file is full, and a finished one has none.
    const handle = await open(`${this.#options.path}.mp4`, 'r')
    try {
      const buffer = Buffer.allocUnsafeSlow(place.bytes)
      const { bytesRead } = await handle.read(buffer, 0, place.bytes, place.offset)
      return buffer.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  }

  /** Lets go of the files; what they hold can still be read. */
  async close(): Promise<void> {
    const handles = [this.#media, this.#index]
    this.#media = undefined
    this.#index = undefined
    await Promise.all(handles.map((handle) => handle?.close()))
  }

  /** Closes and deletes both files, the index first: media without an index are nothing to anyone. */
  async remove(): Promise<void> {
    await this.close()
    await rm(`${this.#options.path}.index`, { force: true })
    await rm(`${this.#options.path}.mp4`, { force: true })
  }

  async #writeBoth(mediaBuffers: Buffer[], indexBytes: Buffer): Promise<void> {
    assert(this.#media !== undefined && this.#index !== undefined, 'the file is open for writing')
    const content = this.#content
    const mediaBytes = mediaBuffers.reduce((sum, part) => sum + part.byteLength, 0)
    if (mediaBytes > 0) {
      await writeAll(this.#media, mediaBuffers, content.mediaBytes)
      if (this.#options.durable) await this.#media.datasync()
    }
    await writeAll(this.#index, [indexBytes], content.indexBytes)
    if (this.#options.durable) await this.#index.datasync()
    content.mediaBytes += mediaBytes
    content.indexBytes += indexBytes.byteLength
  }
}

/** Writes everything at a position; a disk that fills up may take the first half of it. */
async function writeAll(file: FileHandle, buffers: Buffer[], position: number): Promise<void> {
  let rest = buffers
  let at = position
  while (rest.length > 0) {
    let { bytesWritten } = await file.writev(rest, at)
    if (bytesWritten === 0) throw new KairoError('ERR_STORAGE', 'the disk takes no more bytes')
    at += bytesWritten
    const left: Buffer[] = []
    for (const buffer of rest) {
      if (bytesWritten < buffer.byteLength) left.push(buffer.subarray(bytesWritten))
      bytesWritten = Math.max(0, bytesWritten - buffer.byteLength)
    }
    rest = left
  }
}

/**
 * Reads the index and, before it is written on, takes back segments at its end whose bytes never reached the disk. A finished file
 * is not looked through: a library of them opens at once, and each read is verified.
 */
async function recover(
  media: FileHandle,
  index: FileHandle,
  writable: boolean,
): Promise<IndexContent> {
  const { size: mediaSize } = await media.stat()
  const { size: indexSize } = await index.stat()
  if (indexSize > archiveLimits.indexBytesMax) {
    throw new KairoError('ERR_STORAGE', 'the index of a segment log is larger than any it writes')
  }
  const bytes = Buffer.allocUnsafeSlow(indexSize)
  if (indexSize > 0) await index.read(bytes, 0, indexSize, 0)
  const content = readIndex(bytes, mediaSize)
  const tail = writable ? content.segments.slice(-archiveLimits.tailSegmentsChecked) : []
  for (const { segment, offset } of tail) {
    const data = Buffer.allocUnsafeSlow(segment.bytes)
    await media.read(data, 0, data.byteLength, offset)
    // Everything behind a bad segment is younger than it: the log ends before.
    if (digestOf(data) !== segment.digest) return readIndex(bytes, offset)
  }
  return content
}
