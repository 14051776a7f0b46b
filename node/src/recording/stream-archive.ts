/**
 * What is kept of one live stream: the DVR windows of its renditions, and the recording that runs beside them. A disk that refuses
 * costs the window, and ends the recording with what it has; the stream goes on, and the window begins anew by itself.
 */
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import { segmentLogNames } from '../content/archive/segment-log.ts'
import type { Digest } from '../content/digest.ts'
import type { SegmentNotice } from '../content/publication/open-segment.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { recordingLimits as limits } from '../limits/recording.ts'
import { contentLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import { Recording } from './recording.ts'
import type { RecordingMetrics } from './recording-metrics.ts'
import { RenditionArchive } from './rendition-archive.ts'

/** What the owner of a stream wants kept. */
export interface KeepOptions {
  /** True records it. */
  readonly record: boolean
  /** Length of the DVR window, seconds; 0 for none. */
  readonly dvrWindowS: number
}

/** What an archive of a stream works with. */
export interface StreamArchiveComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly metrics: RecordingMetrics
}

/** How one is set up. */
export interface StreamArchiveInit {
  /** Name of the stream. */
  readonly name: string
  readonly title: () => string
  /** Folder of its logs. */
  readonly directory: string
  /** Folder of the recordings of all streams. */
  readonly recordingsDirectory: string
  readonly options: () => KeepOptions
  /** A new name for a video. */
  readonly newId: () => string
  /** Called before a segment is kept; makes room where there is none, and says whether there is. */
  readonly hasRoom: (bytes: number) => boolean
  readonly onStarted: (recording: Recording) => void
  /** A recording takes no more segments and its files are whole. */
  readonly onStopped: (recording: Recording, reason: StopReason) => void
  readonly onDvr: (state: 'failed' | 'resumed', error: KairoError | undefined) => void
}

/** Why a recording ended. */
export type StopReason = 'ended' | 'stopped' | 'split' | 'storage' | 'peer stopped'

/** The archive of one stream. */
export class StreamArchive {
  readonly #components: StreamArchiveComponents
  readonly #logger: Logger
  readonly #init: StreamArchiveInit
  readonly #renditions = new Map<string, RenditionArchive>()
  #recording: Recording | undefined
  /** Work on recordings that take no more segments. */
  readonly #finishing = new Set<Promise<void>>()
  /** What the operator said of this session; undefined follows the options. */
  #wanted: boolean | undefined
  /** Newest segment of any rendition in this session. */
  #newestMsn: number | undefined
  #failed = false
  /** Small pictures on their way to the disk. */
  #pictures: Promise<void> = Promise.resolve()
  #live = false

  constructor(components: StreamArchiveComponents, init: StreamArchiveInit) {
    this.#components = components
    this.#logger = components.logger
    this.#init = init
  }

  /** Name of the stream. */
  get name(): string {
    return this.#init.name
  }

  /** The recording that runs. */
  get recording(): Recording | undefined {
    return this.#recording
  }

  /** Disk that deleting the windows would give back. */
  get ownBytes(): number {
    return [...this.#renditions.values()].reduce((sum, { ownBytes }) => sum + ownBytes, 0)
  }

  /** True while a publisher's session goes on. */
  get isLive(): boolean {
    return this.#live
  }

  /** The DVR window of a rendition. */
  segments(rendition: string): readonly ArchivedSegment[] {
    return this.#renditions.get(rendition)?.segments ?? []
  }

  /** The rendition that has an object. */
  holderOf(digest: Digest): RenditionArchive | undefined {
    for (const one of this.#renditions.values()) if (one.has(digest)) return one
    return undefined
  }

  /**
   * Takes over what an earlier run has left of the windows.
   * @throws KairoError `ERR_STORAGE`, the file system's error.
   */
  async reopen(): Promise<void> {
    for (const name of await segmentLogNames(this.#init.directory)) {
      await this.#rendition(name)?.reopen()
    }
  }

  /** A publisher has come. */
  began(): void {
    this.#live = true
  }

  /** A segment of a rendition is whole. */
  segment(notice: SegmentNotice): void {
    this.#direct(notice)
    this.#newestMsn = Math.max(this.#newestMsn ?? 0, notice.msn)
    const recording = this.#recording
    const target =
      recording !== undefined && notice.msn >= recording.firstMsn ? recording : undefined
    if (target === undefined && this.#init.options().dvrWindowS === 0) return
    const bytes = notice.parts.reduce((sum, part) => sum + part.byteLength, 0)
    if (!this.#init.hasRoom(bytes)) {
      this.#components.metrics.skipped.inc({ reason: 'no room' })
      this.#onFailed(new KairoError('ERR_STORAGE', 'vodBytesMax is used up'), target)
      // What comes next does not join what is there.
      void this.clear()
      return
    }
    const rendition = this.#rendition(notice.info.name)
    if (rendition !== undefined) rendition.add(notice, target)
    else this.#components.metrics.skipped.inc({ reason: 'too many renditions' })
  }

  /** A small picture of a segment was made; it goes where the recording is. */
  picture(msn: number, jpeg: Buffer): void {
    const recording = this.#recording
    if (recording === undefined || msn < recording.firstMsn) return
    this.#pictures = Promise.all([this.#pictures, recording.picture(msn, jpeg)]).then(
      () => {},
      (error: unknown) => {
        this.#components.metrics.skipped.inc({ reason: 'picture' })
        this.#logger.warn({ err: error, recording: recording.id }, 'a small picture is lost')
      },
    )
  }

  /** Starts or stops recording whatever the options say, until the stream ends. */
  want(record: boolean): void {
    this.#wanted = record
    this.followOptions()
  }

  /** Does what the options say now. */
  followOptions(): void {
    const { record, dvrWindowS } = this.#init.options()
    const wanted = this.#wanted ?? record
    if (!wanted) this.stopRecording('stopped')
    else if (this.#newestMsn !== undefined) this.#record(this.#newestMsn + 1)
    if (dvrWindowS === 0 && this.#recording === undefined) void this.clear()
  }

  /** The stream has ended: its recording is finished, its window stays for a while. */
  ended(): void {
    this.stopRecording('ended')
    this.#wanted = undefined
    this.#newestMsn = undefined
    this.#live = false
  }

  /** Ends the recording that runs; what it has becomes a video. */
  stopRecording(reason: StopReason): void {
    const recording = this.#recording
    if (recording === undefined) return
    this.#recording = undefined
    const released = [...this.#renditions.values()].map((one) => one.release(recording))
    const work = Promise.all([...released, this.#pictures]).then(
      () => this.#init.onStopped(recording, reason),
      (error: unknown) => this.#logger.error({ err: error }, 'a recording could not be ended'),
    )
    this.#finishing.add(work)
    void work.finally(() => this.#finishing.delete(work))
  }

  /** Deletes the windows of renditions that have been over for longer than their windows are. */
  async sweep(): Promise<void> {
    const { dvrWindowS } = this.#init.options()
    for (const [name, one] of [...this.#renditions]) {
      if (one.idleMs < Math.max(dvrWindowS * 1_000, limits.sweepMs)) continue
      await one.clear()
      if (!one.isEmpty) continue
      this.#renditions.delete(name)
      await one.close()
    }
  }

  /** Drops the oldest file of every window; false when that gives no disk back. */
  async shorten(): Promise<boolean> {
    const done = await Promise.all([...this.#renditions.values()].map((one) => one.shorten()))
    return done.includes(true)
  }

  /** Deletes the windows. */
  async clear(): Promise<void> {
    await Promise.all([...this.#renditions.values()].map((one) => one.clear()))
  }

  /** Resolves when nothing waits for the disk. */
  async idle(): Promise<void> {
    await Promise.all([...this.#renditions.values()].map((one) => one.idle()))
    await Promise.all(this.#finishing)
  }

  /** Ends the recording, waits for the disk, and lets go of the files; windows stay for the next start. */
  async close(): Promise<void> {
    this.stopRecording('peer stopped')
    await Promise.all(this.#finishing)
    await Promise.all([...this.#renditions.values()].map((one) => one.close()))
  }

  /** Begins, splits or leaves the recording as it is, by what comes. */
  #direct({ msn }: SegmentNotice): void {
    const newest = this.#newestMsn
    // All renditions number alike, so that whoever comes first with a number shows a gap.
    const isOver =
      newest !== undefined && msn > newest && (msn > newest + 1 || this.#recording?.isFull === true)
    if (isOver) this.stopRecording('split')
    if (this.#wanted ?? this.#init.options().record) this.#record(msn)
  }

  #record(firstMsn: number): void {
    if (this.#recording !== undefined) return
    const { recordingsDirectory, newId, name, title } = this.#init
    const id = newId()
    this.#recording = new Recording({
      ...{ id, stream: name, title: title(), firstMsn, createdAtMs: this.#components.clock.now() },
      directory: join(recordingsDirectory, id),
    })
    this.#logger.info({ stream: name, recording: id }, 'recording')
    this.#init.onStarted(this.#recording)
  }

  #rendition(name: string): RenditionArchive | undefined {
    const known = this.#renditions.get(name)
    if (known !== undefined) return known
    if (this.#renditions.size >= contentLimits.renditionsMax) return undefined
    const made = new RenditionArchive(this.#components, {
      ...{ directory: this.#init.directory, name },
      windowUs: () => this.#init.options().dvrWindowS * 1_000_000,
      onStored: () => this.#onStored(),
      onFailed: (error, recording) => this.#onFailed(error, recording),
    })
    this.#renditions.set(name, made)
    return made
  }

  #onStored(): void {
    if (!this.#failed) return
    this.#failed = false
    this.#logger.info({ stream: this.name }, 'segments are kept again')
    this.#init.onDvr('resumed', undefined)
  }

  #onFailed(cause: unknown, recording: Recording | undefined): void {
    const error = isKairoError(cause)
      ? cause
      : new KairoError('ERR_STORAGE', 'segments cannot be kept', { cause })
    const { code } = error
    if (recording !== undefined && recording === this.#recording) {
      this.#components.metrics.failures.inc({ what: 'recording', code })
      this.#logger.error(
        { err: error, code, stream: this.name, recording: recording.id },
        'the recording ends with what it has; the stream goes on',
      )
      // Wanted no more: another one would begin, and fail, with the next segment.
      this.#wanted = false
      this.stopRecording('storage')
    }
    if (this.#failed) return
    this.#failed = true
    this.#components.metrics.failures.inc({ what: 'dvr', code })
    this.#logger.error(
      { err: error, code, stream: this.name },
      'segments cannot be kept; viewers cannot go back until they can',
    )
    this.#init.onDvr('failed', error)
  }
}
