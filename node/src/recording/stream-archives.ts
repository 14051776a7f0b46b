/**
 * DVR windows and recordings of all streams of this peer. Listens to publications for whole segments, hands out what viewers may go
 * back to, and makes finished recordings videos of the library.
 */
import { EventEmitter } from 'node:events'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import type {
  ArchivedSegment,
  Presentation,
  PresentationSource,
} from '../content/archive/presentation.ts'
import type { Digest } from '../content/digest.ts'
import type { Publication } from '../content/publication/publication.ts'
import type { ContentStore, ObjectSource } from '../content/store/store.ts'
import type { StreamId } from '../content/stream.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import { recordingLimits as limits } from '../limits/recording.ts'
import type { Logger } from '../logger.ts'
import type { PublishedSession, SessionObserver } from '../media/published-session.ts'
import { RecordingMetrics } from './recording-metrics.ts'
import { type KeepOptions, StreamArchive } from './stream-archive.ts'
import {
  type RecordingLibrary,
  type StreamArchivesEvents,
  UnfinishedRecordings,
} from './unfinished-recordings.ts'

/** A stream that this peer publishes. */
export interface ArchivedStream {
  readonly id: StreamId
  readonly name: string
  readonly title: string
}

/** What archives work with. */
export interface StreamArchivesComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly store: Pick<ContentStore, 'addSource' | 'read' | 'peek'>
  readonly library: RecordingLibrary
  /** The streams of this peer. */
  readonly streams: () => readonly ArchivedStream[]
  /** The publication of one of them. */
  readonly publicationOf: (stream: ArchivedStream) => Pick<Publication, 'onSegment' | 'onEnded'>
  /** What is to be kept of a stream. */
  readonly optionsOf: (streamName: string) => KeepOptions
}

/** How archives are set up. */
export interface StreamArchivesInit {
  /** Folder of DVR windows and of recordings under way. */
  readonly directory: string
}

/** A recording under way, for pages. */
export interface RecordingStatus {
  readonly id: string
  readonly stream: string
  readonly title: string
  readonly createdAtMs: number
  readonly durationUs: number
  readonly bytes: number
}

interface Kept {
  readonly archive: StreamArchive
  readonly unlisten: () => void
}

const RECORDINGS = 'recordings'

/** All archives of a peer. */
export class StreamArchives implements SessionObserver, PresentationSource {
  readonly events = new EventEmitter<StreamArchivesEvents>()
  readonly #components: StreamArchivesComponents
  readonly #logger: Logger
  readonly #directory: string
  readonly #metrics: RecordingMetrics
  /** By stream id. */
  readonly #streams = new Map<StreamId, Kept>()
  readonly #recordings: UnfinishedRecordings
  #work: Promise<void> = Promise.resolve()
  #shortening = false
  #cancelSweep: CancelTimer | undefined
  #stopped = false

  constructor(components: StreamArchivesComponents, init: StreamArchivesInit) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:recording' })
    this.#directory = init.directory
    this.#metrics = new RecordingMetrics(components.registry, () => this.#usage())
    const { registry, library } = components
    this.#recordings = new UnfinishedRecordings({
      ...{ registry, library, events: this.events, logger: this.#logger, metrics: this.#metrics },
    })
    components.store.addSource(this.objects)
  }

  /** The objects of all windows and recordings under way, for the content store. */
  readonly objects: ObjectSource = {
    has: (digest) => this.#holderOf(digest) !== undefined,
    read: async (digest) => await this.#read(digest),
  }

  /**
   * Takes over the windows that an earlier run has left, and makes its recordings videos.
   * @throws KairoError `ERR_STORAGE` when the folder cannot be used.
   */
  async start(): Promise<void> {
    try {
      const recordings = join(this.#directory, RECORDINGS)
      await mkdir(recordings, { recursive: true, mode: 0o700 })
      await this.#recordings.recover(recordings)
      for (const entry of await readdir(this.#directory)) {
        if (entry === RECORDINGS) continue
        const stream = this.#components.streams().find(({ id }) => id === entry)
        if (stream === undefined) await rm(join(this.#directory, entry), { recursive: true })
        else await this.#reopen(stream)
      }
    } catch (cause) {
      throw storageError('cannot open the DVR folder', cause)
    }
    this.#sweepLater()
  }

  /** Makes recordings under way videos, and lets go of all files. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelSweep?.()
    // The last segments of publishers that were just ended are told a turn later.
    await new Promise((resolve) => setImmediate(resolve))
    for (const { unlisten } of this.#streams.values()) unlisten()
    await this.idle()
    await Promise.all([...this.#streams.values()].map(({ archive }) => archive.close()))
    await this.#recordings.idle()
  }

  /** Resolves when nothing that was told so far waits for the disk. */
  async idle(): Promise<void> {
    await Promise.all([...this.#streams.values()].map(({ archive }) => archive.idle()))
    await this.#work
    await this.#recordings.idle()
  }

  sessionStarted(session: PublishedSession): void {
    const stream = this.#components.streams().find(({ id }) => id === session.streamId)
    if (stream !== undefined && !this.#stopped) this.#keep(stream).began()
  }

  /** A small picture of a live stream was made; its recording keeps it. */
  picture(stream: StreamId, picture: { readonly msn: number; readonly jpeg: Buffer }): void {
    this.#streams.get(stream)?.archive.picture(picture.msn, picture.jpeg)
  }

  /** Follows a change of a stream's options. */
  optionsChanged(streamName: string): void {
    this.#archiveOf(streamName)?.followOptions()
  }

  /** Forgets a stream whose key was removed; its recordings stay. */
  async forget(id: StreamId): Promise<void> {
    const kept = this.#streams.get(id)
    if (kept === undefined) return
    this.#streams.delete(id)
    kept.unlisten()
    kept.archive.stopRecording('ended')
    await kept.archive.clear()
    await kept.archive.close()
    await rm(join(this.#directory, id), { recursive: true, force: true })
  }

  /** What viewers may go back to; see `LiveArchive` of delivery. */
  segments(stream: StreamId, rendition: string): readonly ArchivedSegment[] {
    return this.#streams.get(stream)?.archive.segments(rendition) ?? []
  }

  /**
   * Starts or stops recording a live stream, whatever its options say.
   * @throws KairoError `ERR_NOT_FOUND` when it is not live.
   */
  want(streamName: string, record: boolean): void {
    const archive = this.#archiveOf(streamName)
    if (archive?.isLive !== true) {
      throw new KairoError('ERR_NOT_FOUND', `${streamName} is not live`)
    }
    archive.want(record)
  }

  /** Recordings under way. */
  recordings(): readonly RecordingStatus[] {
    return this.#recordings.running().map((one) => ({
      ...{ id: one.id, stream: one.stream, title: one.title, createdAtMs: one.createdAtMs },
      ...{ durationUs: one.durationUs, bytes: one.bytes },
    }))
  }

  /** Bytes that windows and recordings under way use, for whoever shares the disk with them. */
  usedBytes(): number {
    const { dvrBytes, recordingBytes } = this.#usage()
    return dvrBytes + recordingBytes
  }

  /** Videos of the library, and recordings that are none yet. */
  get(id: string): Presentation | undefined {
    return this.#components.library.get(id) ?? this.#recordings.get(id)
  }

  list(): readonly Presentation[] {
    const running = this.#recordings.running().map(({ presentation }) => presentation)
    return [...running, ...this.#components.library.list()]
  }

  async read(digest: Digest, options: { readonly signal: AbortSignal }): Promise<Buffer> {
    const bytes = await this.#components.store.read(digest, options)
    if (bytes === undefined) throw new KairoError('ERR_NOT_FOUND', 'no video has this object')
    return bytes
  }

  peek(digest: Digest): Buffer | undefined {
    const { library, store } = this.#components
    return library.peek(digest) ?? (this.#recordings.size > 0 ? store.peek(digest) : undefined)
  }

  #keep(stream: ArchivedStream): StreamArchive {
    const known = this.#streams.get(stream.id)
    if (known !== undefined) return known.archive
    const { clock, registry, library, optionsOf, publicationOf } = this.#components
    const archive = new StreamArchive(
      { clock, registry, logger: this.#logger, metrics: this.#metrics },
      {
        name: stream.name,
        title: () => this.#titleOf(stream),
        directory: join(this.#directory, stream.id),
        recordingsDirectory: join(this.#directory, RECORDINGS),
        options: () => optionsOf(stream.name),
        newId: () => library.newId(),
        hasRoom: (bytes) => this.#hasRoom(bytes),
        onStarted: (recording) => this.#recordings.began(recording),
        onStopped: (recording, reason) => this.#recordings.ended(recording, reason),
        onDvr: (state, error) => this.#onDvr(stream.name, state, error),
      },
    )
    const publication = publicationOf(stream)
    const listeners = [
      publication.onSegment((notice) => archive.segment(notice)),
      publication.onEnded(() => archive.ended()),
    ]
    const unlisten = (): void => {
      for (const remove of listeners) remove()
    }
    this.#streams.set(stream.id, { archive, unlisten })
    return archive
  }

  async #reopen(stream: ArchivedStream): Promise<void> {
    const archive = this.#keep(stream)
    try {
      await archive.reopen()
    } catch (error) {
      this.#logger.warn({ err: error, stream: stream.name }, 'the DVR window is lost')
      this.#metrics.failures.inc({ what: 'dvr', code: 'ERR_STORAGE' })
      await this.#discard(stream)
    }
  }

  /** Begins a stream's window anew, on an empty folder. */
  async #discard(stream: ArchivedStream): Promise<void> {
    const kept = this.#streams.get(stream.id)
    kept?.unlisten()
    await kept?.archive.close()
    this.#streams.delete(stream.id)
    await rm(join(this.#directory, stream.id), { recursive: true, force: true })
  }

  #titleOf({ name, title }: ArchivedStream): string {
    const day = new Date(this.#components.clock.now()).toISOString().slice(0, 16).replace('T', ' ')
    return `${title === '' ? name : title}, ${day}`
  }

  #archiveOf(streamName: string): StreamArchive | undefined {
    for (const { archive } of this.#streams.values()) {
      if (archive.name === streamName) return archive
    }
    return undefined
  }

  #onDvr(stream: string, state: 'failed' | 'resumed', error: KairoError | undefined): void {
    if (state === 'resumed') this.events.emit('dvr:resumed', { stream })
    else if (error !== undefined) this.events.emit('dvr:failed', { stream, error })
  }

  /** Room for one more segment; when there is little, windows become shorter before anything is refused. */
  #hasRoom(bytes: number): boolean {
    const free = this.#components.library.bytesFree()
    if (free < bytes * limits.roomSegments) this.#shorten()
    return free >= bytes
  }

  #shorten(): void {
    if (this.#shortening) return
    this.#shortening = true
    const longest = [...this.#streams.values()].sort(
      (a, b) => b.archive.ownBytes - a.archive.ownBytes,
    )[0]?.archive
    const done = longest?.shorten() ?? Promise.resolve(false)
    void done
      .then((isShorter) => {
        if (!isShorter) return
        this.#metrics.shortened.inc()
        this.#logger.warn({ stream: longest?.name }, 'no room: the DVR window is made shorter')
      })
      .catch((error: unknown) => this.#logger.error({ err: error }, 'cannot make room'))
      .finally(() => {
        this.#shortening = false
      })
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#components.clock.after(limits.sweepMs, () => {
      this.#work = this.#work
        .then(() => this.#sweep())
        .catch((error: unknown) => this.#logger.error({ err: error }, 'cannot tidy DVR windows'))
      this.#sweepLater()
    })
  }

  async #sweep(): Promise<void> {
    for (const { archive } of this.#streams.values()) await archive.sweep()
    await this.#recordings.retry()
  }

  #holderOf(digest: Digest): { read(digest: Digest): Promise<Buffer> } | undefined {
    for (const { archive } of this.#streams.values()) {
      const holder = archive.holderOf(digest)
      if (holder !== undefined) return holder
    }
    return this.#recordings.holderOf(digest)
  }

  async #read(digest: Digest): Promise<Buffer | undefined> {
    try {
      return await this.#holderOf(digest)?.read(digest)
    } catch (error) {
      // Dropped while it was asked for; a recording may still have it.
      if (!isKairoError(error, 'ERR_NOT_FOUND')) throw error
      return await this.#recordings.holderOf(digest)?.read(digest)
    }
  }

  #usage(): { dvrBytes: number; recordingBytes: number; recordings: number } {
    let dvrBytes = 0
    for (const { archive } of this.#streams.values()) dvrBytes += archive.ownBytes
    const { bytes: recordingBytes, size: recordings } = this.#recordings
    return { dvrBytes, recordingBytes, recordings }
  }
}
