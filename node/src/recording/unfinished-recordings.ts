/**
 * Recordings that are no videos yet: those under way, those that are being made videos, and those that a disk refused or a crash
 * left. None is given up while its media may still be whole.
 */
import type { EventEmitter } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import type {
  Presentation,
  PresentationSource,
  Storyboard,
} from '../content/archive/presentation.ts'
import type { Digest } from '../content/digest.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { recordingLimits as limits } from '../limits/recording.ts'
import type { Logger } from '../logger.ts'
import { folderTimeMs, tidyRecording } from './finish.ts'
import { makeStoryboard } from './recorded-storyboard.ts'
import {
  type Recording,
  type RecordingAbout,
  readNote,
  removeNote,
  writeNote,
} from './recording.ts'
import type { RecordingMetrics } from './recording-metrics.ts'
import type { StopReason } from './stream-archive.ts'

/** Where finished recordings go: the library. */
export interface RecordingLibrary extends PresentationSource {
  /** A new name for a video. */
  newId(): string
  /** Name of the file of a storyboard's sprite. */
  readonly spriteFile: (index: number) => string
  /** Bytes that may still be written. */
  bytesFree(): number
  /** Makes a folder of segment logs a video; see the library. */
  adopt(recording: {
    readonly id: string
    readonly directory: string
    readonly title: string
    readonly createdAtMs: number
    readonly storyboard: Storyboard | undefined
  }): Promise<unknown>
}

/** Notices of archives, in which those of recordings are told too. */
export interface StreamArchivesEvents {
  'recording:started': [notice: { readonly stream: string; readonly id: string }]
  /** It is a video of the library now. */
  'recording:finished': [
    notice: { readonly stream: string; readonly id: string; readonly reason: StopReason | 'crash' },
  ]
  /** It ended before its time, or could not be made a video. */
  'recording:failed': [
    notice: { readonly stream: string; readonly id: string; readonly error: KairoError },
  ]
  'dvr:failed': [notice: { readonly stream: string; readonly error: KairoError }]
  'dvr:resumed': [notice: { readonly stream: string }]
}

/** What they work with. */
export interface UnfinishedRecordingsComponents {
  readonly logger: Logger
  readonly registry: Registry
  readonly metrics: RecordingMetrics
  readonly library: RecordingLibrary
  /** Hears what becomes of each. */
  readonly events: EventEmitter<StreamArchivesEvents>
}

/** A folder of a recording, and what it is about. */
type Folder = RecordingAbout & { readonly directory: string }

/** All recordings of a peer that the library does not have yet. */
export class UnfinishedRecordings {
  readonly #components: UnfinishedRecordingsComponents
  /** Those that can be watched, by id. */
  readonly #running = new Map<string, Recording>()
  /** Folders that could not be made videos, by id. */
  readonly #refused = new Map<string, Folder>()
  #work: Promise<void> = Promise.resolve()

  constructor(components: UnfinishedRecordingsComponents) {
    this.#components = components
  }

  /** Those that can be watched. */
  running(): readonly Recording[] {
    return [...this.#running.values()]
  }

  /** How many can be watched. */
  get size(): number {
    return this.#running.size
  }

  /** How one plays now. */
  get(id: string): Presentation | undefined {
    return this.#running.get(id)?.presentation
  }

  /** Disk that those use that can be watched. */
  get bytes(): number {
    return this.running().reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** The one that has an object. */
  holderOf(digest: Digest): Recording | undefined {
    for (const one of this.#running.values()) if (one.has(digest)) return one
    return undefined
  }

  /** One begins. */
  began(recording: Recording): void {
    const { id, stream } = recording
    this.#running.set(id, recording)
    this.#components.events.emit('recording:started', { stream, id })
  }

  /** One takes no more segments: it becomes a video as soon as those before it are. */
  ended(recording: Recording, reason: StopReason): void {
    if (reason === 'storage') {
      const { id, stream } = recording
      const error = new KairoError('ERR_STORAGE', 'the disk refused to record more')
      this.#components.events.emit('recording:failed', { stream, id, error })
    }
    this.#work = this.#work.then(() => this.#finish(recording.id, recording, reason))
  }

  /**
   * Makes the recordings in a folder videos that an earlier run has left there.
   * @throws the file system's error when the folder cannot be read.
   */
  async recover(folder: string): Promise<void> {
    const found = await readdir(folder)
    const names = found.slice(0, limits.recoveredMax)
    const { metrics } = this.#components
    metrics.postponed.inc({ reason: 'recovered' }, found.length - names.length)
    for (const id of names) {
      const directory = join(folder, id)
      const note = (await readNote(directory)) ?? {
        ...{ stream: '', title: '', createdAtMs: await folderTimeMs(directory) },
      }
      await this.#finish(id, { ...note, directory }, 'crash')
    }
  }

  /** Tries again what a disk refused. */
  async retry(): Promise<void> {
    this.#work = this.#work.then(async () => {
      for (const [id, about] of [...this.#refused]) await this.#finish(id, about, 'storage')
    })
    await this.#work
  }

  /** Resolves when nothing that was told so far waits for the disk. */
  async idle(): Promise<void> {
    await this.#work
  }

  /** Makes a folder a video; never rejects: what does not work now is tried again. */
  async #finish(id: string, about: Folder, reason: StopReason | 'crash'): Promise<void> {
    const { directory, stream, title, createdAtMs } = about
    const { library, metrics, logger, events } = this.#components
    try {
      await removeNote(directory)
      const { segments, leftOut } = await tidyRecording(this.#components, directory)
      if (leftOut.length > 0) {
        metrics.leftOut.inc(leftOut.length)
        logger.warn({ recording: id, leftOut }, 'renditions were not there all the time')
      }
      const storyboard = await makeStoryboard(directory, segments, library.spriteFile)
      await library.adopt({ id, directory, title, createdAtMs, storyboard })
      this.#refused.delete(id)
      metrics.finished.inc({ reason })
      logger.info({ stream, recording: id, reason }, 'a recording is a video now')
      this.#running.delete(id)
      events.emit('recording:finished', { stream, id, reason })
    } catch (cause) {
      await this.#notFinished(id, about, cause)
    }
  }

  async #notFinished(id: string, about: Folder, cause: unknown): Promise<void> {
    const { stream, directory } = about
    const { metrics, logger, events } = this.#components
    const error = isKairoError(cause)
      ? cause
      : new KairoError('ERR_STORAGE', 'the recording cannot be finished', { cause })
    const isEmpty = error.code === 'ERR_MEDIA'
    const isKnown = this.#refused.has(id)
    if (isEmpty) {
      this.#refused.delete(id)
      this.#running.delete(id)
      await rm(directory, { recursive: true, force: true }).catch((failed: unknown) => {
        logger.warn({ err: failed, directory }, 'an empty recording cannot be deleted')
      })
    } else await this.#keepForLater(id, about)
    if (isKnown && !isEmpty) return
    metrics.failures.inc({ what: 'finish', code: error.code })
    logger.error({ err: error, code: error.code, recording: id }, 'a recording is no video')
    events.emit('recording:failed', { stream, id, error })
  }

  /** What does not fit here is found again at the next start. */
  async #keepForLater(id: string, about: Folder): Promise<void> {
    const { metrics, logger } = this.#components
    if (this.#refused.size < limits.unfinishedMax) this.#refused.set(id, about)
    else {
      this.#running.delete(id)
      metrics.postponed.inc({ reason: 'unfinished' })
    }
    try {
      await writeNote(about.directory, about)
    } catch (error) {
      logger.warn({ err: error, recording: id }, 'the title of a recording may be lost')
    }
  }
}
