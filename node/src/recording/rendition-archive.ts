/**
 * One rendition of a live stream on disk: its DVR window, and the files that a recording keeps of it. Both are the same bytes, written
 * once: while a recording runs, every file of the log has a second name in the recording's folder, and stays there when the window
 * moves on.
 */

import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import { SegmentLog, type SegmentLogInit } from '../content/archive/segment-log.ts'
import type { Digest } from '../content/digest.ts'
import type { SegmentNotice } from '../content/publication/open-segment.ts'
import { KairoError } from '../errors.ts'
import { recordingLimits as limits } from '../limits/recording.ts'
import { DvrWindow } from './dvr-window.ts'
import { fileSegments } from './file-segments.ts'
import type { Recording } from './recording.ts'
import type { RecordingMetrics } from './recording-metrics.ts'
import { segmentOf } from './segment-of.ts'

/** What an archive of a rendition works with. */
export interface RenditionArchiveComponents {
  readonly clock: Clock
  readonly registry: Registry
  readonly metrics: RecordingMetrics
}

/** How one is set up. */
export interface RenditionArchiveInit {
  /** Folder of the stream's logs. */
  readonly directory: string
  readonly name: string
  /** Length of the DVR window now, microseconds; 0 for none. */
  readonly windowUs: () => number
  /** A segment is kept. */
  readonly onStored: () => void
  /** A segment is lost; `recording` is the one that it was for. */
  readonly onFailed: (error: unknown, recording: Recording | undefined) => void
}

/** The archive of one rendition. */
export class RenditionArchive {
  readonly #components: RenditionArchiveComponents
  readonly #init: RenditionArchiveInit
  readonly #window = new DvrWindow()
  #log: SegmentLog | undefined
  /** Everything that touches the log, in order. */
  #work: Promise<void> = Promise.resolve()
  #pending = 0
  #usedMs: number

  constructor(components: RenditionArchiveComponents, init: RenditionArchiveInit) {
    this.#components = components
    this.#init = init
    this.#usedMs = components.clock.monotonicMs()
  }

  /** Name of the rendition. */
  get name(): string {
    return this.#init.name
  }

  /** The DVR window, in order and without gaps. */
  get segments(): readonly ArchivedSegment[] {
    return this.#init.windowUs() > 0 ? this.#window.segments : []
  }

  /** Time since its newest segment came, or since it was opened. */
  get idleMs(): number {
    return this.#components.clock.monotonicMs() - this.#usedMs
  }

  /** True when nothing is kept and nothing waits to be. */
  get isEmpty(): boolean {
    return this.#pending === 0 && this.#window.segments.length === 0
  }

  /** Disk that deleting the window would give back. */
  get ownBytes(): number {
    return this.#log?.ownBytes ?? 0
  }

  /** True for an object of the window. */
  has(digest: Digest): boolean {
    return this.#log?.has(digest) === true
  }

  /**
   * The bytes of an object.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_VERIFICATION`, `ERR_STORAGE`.
   */
  async read(digest: Digest): Promise<Buffer> {
    if (this.#log === undefined) throw new KairoError('ERR_NOT_FOUND', 'nothing is kept')
    return await this.#log.read(digest)
  }

  /**
   * Takes over what an earlier run has left.
   * @throws KairoError `ERR_STORAGE`.
   */
  async reopen(): Promise<void> {
    const log = await this.#opened(limits.fileSegmentsMax)
    for (const segment of log.segments) this.#window.add(segment, Number.POSITIVE_INFINITY)
    const first = this.#window.segments[0]
    if (first !== undefined) await log.dropBefore(first.msn)
  }

  /** Keeps a segment, for a recording too when there is one. Returns at once. */
  add(notice: SegmentNotice, recording: Recording | undefined): void {
    if (this.#pending >= limits.pendingSegmentsMax) {
      this.#components.metrics.skipped.inc({ reason: 'disk too slow' })
      const slow = new KairoError(
        'ERR_LIMIT',
        `segments of ${this.name} come faster than the disk of this busy machine takes them`,
      )
      this.#init.onFailed(slow, recording)
      return
    }
    this.#pending += 1
    this.#usedMs = this.#components.clock.monotonicMs()
    void this.#queue(async () => {
      try {
        await this.#store(notice, recording)
        this.#init.onStored()
      } catch (error) {
        this.#components.metrics.skipped.inc({ reason: 'storage' })
        await this.#giveUp()
        this.#init.onFailed(error, recording)
      } finally {
        this.#pending -= 1
      }
    })
  }

  /** Resolves when a recording's files of this rendition are whole and written to no more. */
  async release(recording: Recording): Promise<void> {
    await this.#queue(async () => {
      if (this.#log?.mirrored === recording.directory) await this.#log.mirror(undefined)
    })
  }

  /** Drops the oldest file; false when that gives no disk back. */
  async shorten(): Promise<boolean> {
    let isShorter = false
    await this.#queue(async () => {
      const before = this.ownBytes
      await this.#log?.dropOldest()
      this.#alignWindow()
      isShorter = this.ownBytes < before
    })
    return isShorter
  }

  /** Forgets the window and deletes it; what a recording keeps stays. */
  async clear(): Promise<void> {
    await this.#queue(() => this.#giveUp())
  }

  /** Resolves when nothing waits for the disk. */
  async idle(): Promise<void> {
    await this.#work
  }

  /** Waits for what is queued and lets go of the files. */
  async close(): Promise<void> {
    await this.#queue(async () => {
      await this.#log?.close()
    })
  }

  async #store(notice: SegmentNotice, recording: Recording | undefined): Promise<void> {
    const segment = segmentOf(notice)
    const windowUs = this.#init.windowUs()
    const log = await this.#opened(fileSegments(windowUs, segment.durationUs))
    if (!this.#window.joins(segment.msn)) {
      // Nobody can get to what lies before a gap.
      this.#components.metrics.restarts.inc()
      this.#window.clear()
      await log.clear()
    }
    await recording?.ready
    await log.mirror(recording?.directory)
    await log.describe(notice.info)
    await log.append({ segment, init: notice.initBytes, parts: notice.parts })
    recording?.stored(notice, segment, (digest) => log.locate(digest))
    await this.#drop(this.#window.add(segment, windowUs))
  }

  async #drop(msn: number): Promise<void> {
    await this.#log?.dropBefore(msn)
    this.#alignWindow()
  }

  /** The window is what the log still has. */
  #alignWindow(): void {
    const first = this.#log?.segments[0]
    if (first !== undefined) this.#window.dropBefore(first.msn)
  }

  /** After a failure the window cannot go on; deleting it gives the disk back to others. */
  async #giveUp(): Promise<void> {
    this.#window.clear()
    try {
      await this.#log?.clear()
    } catch (error) {
      this.#init.onFailed(error, undefined)
    }
  }

  async #opened(segmentsPerFileMax: number): Promise<SegmentLog> {
    const { directory, name } = this.#init
    const init: SegmentLogInit = { directory, name, segmentsPerFileMax }
    this.#log ??= await SegmentLog.open(this.#components, init)
    return this.#log
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work)
    this.#work = done.catch(() => {})
    return done
  }
}
