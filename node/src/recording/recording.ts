/**
 * One recording under way: a folder of files that it shares with the DVR window, what it is called, and how it plays while it grows.
 */
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { ArchivedSegment, Presentation } from '../content/archive/presentation.ts'
import { segmentFilePath } from '../content/archive/segment-log.ts'
import { type Digest, digestOf } from '../content/digest.ts'
import type { SegmentNotice } from '../content/publication/open-segment.ts'
import type { RenditionInfo } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import { parseJson } from '../json.ts'
import { recordingLimits as limits } from '../limits/recording.ts'
import { contentLimits } from '../limits.ts'
import { pictureFile } from './recorded-storyboard.ts'

const NOTE = 'recording.json'
const RESERVE = 'reserve'

/** What is noted of a recording, for the peer's next start. */
const noteSchema = z.object({
  version: z.literal(1),
  stream: z.string(),
  title: z.string(),
  createdAtMs: z.number(),
})

/** What a recording is about. */
export interface RecordingAbout {
  /** Name of the stream. */
  readonly stream: string
  readonly title: string
  /** Wall milliseconds. */
  readonly createdAtMs: number
}

/** How a recording is set up. */
export interface RecordingInit extends RecordingAbout {
  /** Name of the video that it becomes, and of its folder. */
  readonly id: string
  readonly directory: string
  /** Segments before are no part of it. */
  readonly firstMsn: number
}

interface Track {
  info: RenditionInfo
  durationUs: number
  readonly segments: ArchivedSegment[]
  targetDurationS: number
}

interface Place {
  readonly path: string
  readonly offset: number
  readonly bytes: number
}

/** One recording. */
export class Recording implements RecordingAbout {
  readonly id: string
  readonly stream: string
  readonly title: string
  readonly createdAtMs: number
  readonly directory: string
  readonly firstMsn: number
  /** Settles when the folder is there; rejects with `ERR_STORAGE`. */
  readonly ready: Promise<void>
  readonly #tracks = new Map<string, Track>()
  readonly #places = new Map<Digest, Place>()
  #bytes = 0

  constructor(init: RecordingInit) {
    this.id = init.id
    this.stream = init.stream
    this.title = init.title
    this.createdAtMs = init.createdAtMs
    this.directory = init.directory
    this.firstMsn = init.firstMsn
    this.ready = this.#prepare()
    // Whoever stores a segment hears of it.
    this.ready.catch(() => {})
  }

  /** Bytes of its media. */
  get bytes(): number {
    return this.#bytes
  }

  /** Length of its longest rendition, microseconds. */
  get durationUs(): number {
    return Math.max(0, ...[...this.#tracks.values()].map(({ durationUs }) => durationUs))
  }

  /** True when a segment would go beyond what one recording may be. */
  get isFull(): boolean {
    return this.#bytes >= limits.bytesMax || this.durationUs >= limits.durationUsMax
  }

  /** True for an object of it. */
  has(digest: Digest): boolean {
    return this.#places.has(digest)
  }

  /** How it plays now. */
  get presentation(): Presentation {
    return {
      ...{ id: this.id, title: this.title, createdAtMs: this.createdAtMs, complete: false },
      durationUs: this.durationUs,
      renditions: [...this.#tracks.values()],
      ...{ captions: [], storyboard: undefined },
    }
  }

  /** Notes a segment that lies in the folder; one after a gap is in the file, but cannot be played. */
  stored(
    notice: SegmentNotice,
    segment: ArchivedSegment,
    locate: (
      digest: Digest,
    ) => { number: number; place: { offset: number; bytes: number } } | undefined,
  ): void {
    const { info, targetDurationS } = notice
    for (const digest of [segment.digest, segment.initDigest]) {
      const at = locate(digest)
      if (at === undefined || this.#places.has(digest)) continue
      const path = `${segmentFilePath(this.directory, info.name, at.number)}.mp4`
      this.#places.set(digest, { path, offset: at.place.offset, bytes: at.place.bytes })
    }
    this.#bytes += segment.bytes
    const known = this.#tracks.get(info.name)
    if (known === undefined) {
      if (this.#tracks.size >= contentLimits.renditionsMax) return
      const { durationUs } = segment
      this.#tracks.set(info.name, { info, segments: [segment], durationUs, targetDurationS })
      return
    }
    known.info = info
    known.targetDurationS = Math.max(known.targetDurationS, targetDurationS)
    if (known.segments.at(-1)?.msn !== segment.msn - 1) return
    known.segments.push(segment)
    known.durationUs += segment.durationUs
  }

  /**
   * Keeps a small picture of a segment for scrubbing.
   * @throws KairoError `ERR_STORAGE`, the file system's error.
   */
  async picture(msn: number, jpeg: Buffer): Promise<void> {
    await this.ready
    await writeFile(join(this.directory, pictureFile(msn)), jpeg, { mode: 0o600 })
  }

  /**
   * The bytes of one of its objects.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_VERIFICATION`, `ERR_STORAGE`.
   */
  async read(digest: Digest): Promise<Buffer> {
    const at = this.#places.get(digest)
    if (at === undefined) throw new KairoError('ERR_NOT_FOUND', 'the recording has no such object')
    const bytes = Buffer.allocUnsafeSlow(at.bytes)
    try {
      const file = await open(at.path, 'r')
      try {
        await file.read(bytes, 0, at.bytes, at.offset)
      } finally {
        await file.close()
      }
    } catch (cause) {
      throw new KairoError('ERR_STORAGE', 'the recording cannot be read', { cause })
    }
    if (digestOf(bytes) === digest) return bytes
    throw new KairoError('ERR_VERIFICATION', 'the recording is damaged on disk')
  }

  async #prepare(): Promise<void> {
    try {
      await mkdir(this.directory, { recursive: true, mode: 0o700 })
      await writeNote(this.directory, this)
      await writeFile(join(this.directory, RESERVE), Buffer.alloc(limits.reserveBytes))
    } catch (cause) {
      throw storageError('cannot begin to record', cause)
    }
  }
}

/**
 * Notes what a folder's recording is about, for the peer's next start.
 * @throws the file system's error.
 */
export async function writeNote(directory: string, about: RecordingAbout): Promise<void> {
  const { stream, title, createdAtMs } = about
  const note: z.input<typeof noteSchema> = { version: 1, stream, title, createdAtMs }
  await writeFile(join(directory, NOTE), JSON.stringify(note), { mode: 0o600 })
}

/** What is noted in a recording's folder; undefined when nothing readable is. */
export async function readNote(directory: string): Promise<RecordingAbout | undefined> {
  let text: string
  try {
    text = await readFile(join(directory, NOTE), 'utf8')
  } catch {
    // The crash came before it was written, or while the recording was being finished.
    return undefined
  }
  if (text.length > limits.noteBytesMax) return undefined
  const parsed = noteSchema.safeParse(parseJson(text))
  return parsed.success ? parsed.data : undefined
}

/** Takes away what only a recording under way needs: its media and nothing else stay. */
export async function removeNote(directory: string): Promise<void> {
  await rm(join(directory, RESERVE), { force: true })
  await rm(join(directory, NOTE), { force: true })
}
