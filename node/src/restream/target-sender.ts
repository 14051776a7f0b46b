/**
 * Sends one stream to one target: a media child connects and sends, this feeds it, watches over its queue and tries again. A target
 * that is slow, dead or hostile costs its own child and nothing else.
 */
import { backoffMs } from '../backoff.ts'
import type { CancelTimer, Clock } from '../clock.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { restreamLimits as limits } from '../limits/restream.ts'
import type { Logger } from '../logger.ts'
import type { AccessUnit, TrackConfig } from '../media/access-unit.ts'
import type { Json, PushJob } from '../media/child/job.ts'
import type { MediaJobs, MediaRun } from '../media/child/media-run.ts'
import { readPushNote } from '../media/child/remote/notes.ts'
import { hostOf } from '../urls.ts'
import type { RestreamMetrics } from './restream-metrics.ts'
import { misfitOf, type RestreamTarget, refusalOf } from './target.ts'
import { TargetQueue } from './target-queue.ts'
import type { TargetState, TargetStatus } from './target-status.ts'

/** A target has failed; told once for failures in a row. */
export interface RestreamFailure {
  readonly stream: string
  readonly target: string
  /** Scheme, host and port. */
  readonly host: string
  readonly error: string
  /** True when it is not tried again while the stream stays as it is. */
  readonly final: boolean
}

/** What a {@link TargetSender} works with. */
export interface TargetSenderComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly media: MediaJobs
  readonly metrics: RestreamMetrics
  readonly onFailed: (failure: RestreamFailure) => void
}

/** How a {@link TargetSender} is built. */
export interface TargetSenderInit {
  readonly streamName: string
  /** The stream's own key, to see that the target is not the stream itself; a secret. */
  readonly streamKey: string | undefined
  readonly target: RestreamTarget
  /** The tracks that are sent, as they are now. */
  readonly configs: ReadonlyMap<'video' | 'audio', TrackConfig>
}

/** A child at work, and what it has told. */
interface Connection {
  readonly run: MediaRun
  readonly queue: TargetQueue
  position: number | undefined
  bytes: number
  reportedMs: number
  /** Set when the target takes the stream. */
  connectedMs: number | undefined
}

/** One target of a live stream. */
export class TargetSender {
  readonly target: RestreamTarget
  readonly #components: TargetSenderComponents
  readonly #init: TargetSenderInit
  readonly #logger: Logger
  #state: TargetState = 'off'
  #error: string | undefined
  #sinceMs: number | undefined
  #connection: Connection | undefined
  #cancelRetry: CancelTimer | undefined
  #failuresInRow = 0
  #retries = 0
  #dropped = 0
  #bytes = 0
  #bitrateBps = 0

  constructor(components: TargetSenderComponents, init: TargetSenderInit) {
    this.#components = components
    this.#init = init
    this.target = init.target
    const { streamName: stream, target } = init
    this.#logger = components.logger.child({
      stream,
      target: target.name,
      host: hostOf(target.url),
    })
    if (!target.enabled) return
    const refusal = refusalOf(target.url, init.streamKey)
    if (refusal === undefined) this.#become('waiting', undefined)
    else this.#giveUp(refusal)
  }

  /** A track is new or another: what was begun cannot go on with it. */
  configured(): void {
    if (this.#connection !== undefined) this.#finishConnection()
    if (this.#isUsable && this.#state !== 'waiting') this.#become('waiting', undefined)
  }

  /** Takes a unit of a track that is sent; `resumes` says that a stream can begin with it. */
  unit(unit: AccessUnit, resumes: boolean): void {
    if (this.#connection === undefined && resumes && this.#isDue) this.#connect()
    const connection = this.#connection
    if (connection === undefined) return
    const { run, queue, position } = connection
    const { queuedBytes } = run
    const judgement = queue.judge(unit.dts, resumes, { queuedBytes, position })
    if (judgement === 'send') {
      // What waits is bounded by the queue; the promise would only say that something does.
      void run.write(unit.kind === 'video' ? 0 : 1, unit)
      return
    }
    this.#dropped += 1
    this.#components.metrics.droppedUnits.inc()
    if (judgement === 'drop') return
    this.#components.metrics.queueFull.inc({ limit: judgement })
    this.#logger.warn({ limit: judgement }, 'a restream target is too slow: pictures are dropped')
  }

  /** Tries again at the next keyframe, whatever went wrong. */
  retry(): void {
    if (!this.#isUsable || this.#connection !== undefined) return
    this.#clearRetry()
    this.#failuresInRow = 0
    this.#become('waiting', this.#error)
  }

  /** The stream is over, or the target is taken off: what is under way is sent. */
  end(): void {
    this.#clearRetry()
    if (this.#connection !== undefined) this.#finishConnection()
    this.#become('off', undefined)
  }

  /** Ends it at once. */
  stop(): void {
    const run = this.#connection?.run
    this.#connection = undefined
    run?.cancel()
    this.end()
  }

  /** For pages and metrics. */
  status(): TargetStatus {
    const { name, url, enabled } = this.target
    return {
      name,
      host: hostOf(url),
      enabled,
      state: this.#state,
      error: this.#error,
      sinceMs: this.#sinceMs,
      bytes: this.#bytes,
      bitrateBps: this.#state === 'sending' ? Math.round(this.#bitrateBps) : 0,
      dropped: this.#dropped,
      retries: this.#retries,
    }
  }

  get #isUsable(): boolean {
    const { target, streamKey } = this.#init
    return target.enabled && refusalOf(target.url, streamKey) === undefined
  }

  get #isDue(): boolean {
    return this.#state === 'waiting' && this.#cancelRetry === undefined
  }

  #connect(): void {
    const { media, clock } = this.#components
    const { target, configs } = this.#init
    const misfit = misfitOf(target.url, configs.values())
    if (misfit !== undefined) {
      this.#giveUp(misfit)
      return
    }
    const { openTimeoutMs, writeTimeoutMs } = limits
    const job: PushJob = { type: 'push', url: target.url, openTimeoutMs, writeTimeoutMs }
    if (this.#failuresInRow > 0) this.#retries += 1
    try {
      const run = media.run(job, {
        onNote: (note) => this.#onNote(run, note),
        onProgress: ({ position, unitsIn }) => {
          if (this.#connection?.run === run && unitsIn > 0) this.#connection.position = position
        },
      })
      this.#connection = {
        run,
        queue: new TargetQueue(),
        position: undefined,
        bytes: 0,
        reportedMs: clock.monotonicMs(),
        connectedMs: undefined,
      }
      for (const config of configs.values()) run.configure(config.kind === 'video' ? 0 : 1, config)
      this.#become('connecting', this.#error)
      run.done.then(
        () => this.#onEnd(run, new KairoError('ERR_WORKER', 'sending ended by itself')),
        (error: unknown) => this.#onEnd(run, error),
      )
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#fail(error)
    }
  }

  #onNote(run: MediaRun, note: Json): void {
    const connection = this.#connection
    if (connection?.run !== run) return
    const told = readPushNote(note)
    const nowMs = this.#components.clock.monotonicMs()
    if (told.event === 'connected') {
      connection.connectedMs = nowMs
      connection.reportedMs = nowMs
      this.#become('sending', undefined)
      this.#logger.info({}, 'restreaming')
    }
    if (told.event === 'sent') this.#onSent(connection, told.bytes, nowMs)
  }

  #onSent(connection: Connection, bytes: number, nowMs: number): void {
    const more = Math.max(0, bytes - connection.bytes)
    const elapsedMs = nowMs - connection.reportedMs
    this.#bytes += more
    this.#components.metrics.sentBytes.inc(more)
    if (elapsedMs > 0) this.#bitrateBps = (more * 8_000) / elapsedMs
    connection.bytes = bytes
    connection.reportedMs = nowMs
    const sentMs = nowMs - (connection.connectedMs ?? nowMs)
    if (sentMs >= limits.healthyMs) this.#failuresInRow = 0
  }

  #onEnd(run: MediaRun, error: unknown): void {
    if (this.#connection?.run !== run) return
    this.#connection = undefined
    if (isKairoError(error, 'ERR_STOPPED')) {
      this.#become('off', undefined)
      return
    }
    this.#fail(error)
  }

  #fail(error: unknown): void {
    const reason = (error instanceof Error ? error.message : String(error)).slice(
      0,
      limits.reasonCharsMax,
    )
    const code = isKairoError(error) ? error.code : 'ERR_WORKER'
    this.#components.metrics.failures.inc({ code })
    const waitMs = backoffMs(limits, this.#failuresInRow, this.#components.random)
    this.#failuresInRow += 1
    this.#logger.warn({ code, waitMs: Math.round(waitMs) }, `a restream target fails: ${reason}`)
    this.#become('waiting', reason)
    this.#cancelRetry = this.#components.clock.after(waitMs, () => {
      this.#cancelRetry = undefined
    })
    if (this.#failuresInRow === 1) this.#tell(reason, false)
  }

  #giveUp(reason: string): void {
    this.#logger.warn({}, `a restream target cannot be used: ${reason}`)
    this.#become('failed', reason)
    this.#tell(reason, true)
  }

  #tell(error: string, final: boolean): void {
    const { streamName: stream, target } = this.#init
    const host = hostOf(target.url)
    this.#components.onFailed({ stream, target: target.name, host, error, final })
  }

  /** Lets the child send what it has; it is not ours any more, and it has little time. */
  #finishConnection(): void {
    const run = this.#connection?.run
    this.#connection = undefined
    if (run === undefined) return
    run.finish()
    const { clock, metrics } = this.#components
    const cancel = clock.after(limits.finishMsMax, () => {
      metrics.cut.inc()
      run.cancel()
    })
    run.done.then(
      () => cancel(),
      (err: unknown) => {
        cancel()
        this.#logger.debug({ err }, 'a restream target did not take the end of the stream')
      },
    )
  }

  #become(state: TargetState, error: string | undefined): void {
    this.#error = error
    if (state === this.#state) return
    this.#state = state
    this.#sinceMs = this.#components.clock.now()
  }

  #clearRetry(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
  }
}
