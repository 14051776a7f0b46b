/**
 * Makes small pictures of keyframes, of all streams in one media child: a child a stream would idle most of the time, and take the
 * place of one that transcodes. Without a child there are no pictures, and nothing else is the worse for it.
 */
import { Counter, type Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { isKairoError } from '../errors.ts'
import { liveStoryboardLimits as limits } from '../limits/live-storyboard.ts'
import type { Logger } from '../logger.ts'
import type { AccessUnit, VideoConfig } from '../media/access-unit.ts'
import type { Json } from '../media/child/job.ts'
import type { MediaJobs, MediaRun } from '../media/child/media-run.ts'

/** What a thumbnailer works with. */
export interface ThumbnailerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly media: MediaJobs
}

/** Keyframes in, JPEGs out. */
export class Thumbnailer {
  readonly #components: ThumbnailerComponents
  readonly #outcomes: Counter<'outcome'>
  /** By the number that the child is told for a time. */
  readonly #pending = new Map<number, (jpeg: Buffer) => void>()
  #run: MediaRun | undefined
  #config: VideoConfig | undefined
  #next = 0
  #retryAtMs = 0
  #cancelIdle: CancelTimer | undefined

  constructor(components: ThumbnailerComponents) {
    this.#components = components
    this.#outcomes = new Counter({
      name: 'kairo_recording_thumbnails_total',
      help: 'Keyframes of live streams that were to become small pictures, by what became of them',
      labelNames: ['outcome'],
      registers: [components.registry],
    })
  }

  /** Calls `done` with the picture when there is one; it may never be called. */
  make(config: VideoConfig, unit: AccessUnit, done: (jpeg: Buffer) => void): void {
    const run = this.#running()
    if (run === undefined || this.#pending.size >= limits.pendingMax) {
      this.#outcomes.inc({ outcome: run === undefined ? 'no child' : 'child too slow' })
      return
    }
    if (config !== this.#config) run.configure(0, config)
    this.#config = config
    const number = this.#next
    this.#next += 1
    this.#pending.set(number, done)
    // The child passes times on as they are, and streams share it: a number says whose picture it is. Few are on the way,
    // so that the pipe never needs waiting for.
    void run.write(0, { ...unit, pts: number, dts: number })
    this.#cancelIdle?.()
    this.#cancelIdle = this.#components.clock.after(limits.idleMs, () => this.#giveBack())
  }

  /** Ends the child. */
  stop(): void {
    this.#cancelIdle?.()
    this.#retryAtMs = Number.POSITIVE_INFINITY
    this.#run?.cancel()
    this.#forget()
  }

  #running(): MediaRun | undefined {
    const { clock, logger, media } = this.#components
    if (this.#run !== undefined) return this.#run
    if (clock.monotonicMs() < this.#retryAtMs) return undefined
    try {
      const { width, height } = limits
      const run = media.run(
        { type: 'thumbnail', width, height },
        { onBlob: (about, bytes) => this.#made(about, bytes) },
      )
      run.done.catch((error: unknown) => this.#failed(run, error))
      this.#run = run
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#retryAtMs = clock.monotonicMs() + limits.retryMs
      logger.debug({ err: error }, 'no child for small pictures now')
    }
    return this.#run
  }

  #made(about: Json, bytes: Buffer): void {
    const number = typeof about === 'object' && about !== null && 'time' in about ? about.time : -1
    const done = this.#pending.get(Number(number))
    // Those before it could not be decoded: pictures come in order.
    for (const earlier of this.#pending.keys()) {
      if (earlier > Number(number)) break
      if (earlier < Number(number)) this.#outcomes.inc({ outcome: 'damaged' })
      this.#pending.delete(earlier)
    }
    if (done === undefined || bytes.byteLength > limits.pictureBytesMax) {
      this.#outcomes.inc({ outcome: 'unusable' })
      return
    }
    this.#outcomes.inc({ outcome: 'made' })
    done(bytes)
  }

  #failed(run: MediaRun, error: unknown): void {
    if (run !== this.#run) return
    this.#outcomes.inc({ outcome: 'child failed' }, this.#pending.size)
    this.#forget()
    this.#retryAtMs = this.#components.clock.monotonicMs() + limits.retryMs
    this.#components.logger.warn({ err: error }, 'the child for small pictures failed')
  }

  #giveBack(): void {
    this.#run?.finish()
    this.#forget()
  }

  #forget(): void {
    this.#run = undefined
    this.#config = undefined
    this.#pending.clear()
  }
}
