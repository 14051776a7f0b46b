/**
 * Pulls one stream: a media child reads the source, this publishes what it hands out as any publisher would, paces a source that is
 * faster than real time, and tries again for as long as the stream's owner wants it.
 */
import { backoffMs } from '../../backoff.ts'
import type { CancelTimer, Clock } from '../../clock.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { pullLimits as limits } from '../../limits/pull.ts'
import type { Logger } from '../../logger.ts'
import type { AccessUnit, TrackConfig } from '../../media/access-unit.ts'
import type { Json, PullJob } from '../../media/child/job.ts'
import type { MediaJobs, MediaRun } from '../../media/child/media-run.ts'
import { readPullNote } from '../../media/child/remote/notes.ts'
import type { PublicationSink, Publishing } from '../../media/sink.ts'
import { hostOf } from '../../urls.ts'
import type { PullMetrics } from './pull-metrics.ts'
import { sourceRefusal } from './source-address.ts'

/**
 * `connecting`: a child is opening the source. `pulling`: the stream is published from it. `waiting`: for the next attempt.
 * `failed`: the address cannot be pulled from. `off`: nothing is wanted any more.
 */
export type PullState = 'connecting' | 'pulling' | 'waiting' | 'failed' | 'off'

/** Where one pulled stream stands, without its secrets. */
export interface PullStatus {
  readonly stream: string
  /** Scheme, host and port. */
  readonly host: string
  readonly state: PullState
  /** What went wrong last; undefined while all is well. */
  readonly error: string | undefined
  /** Wall milliseconds of the last change of state. */
  readonly sinceMs: number
  readonly bitrateBps: number
  /** Attempts after the first. */
  readonly retries: number
}

/** What a {@link StreamPull} works with. */
export interface StreamPullComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly media: MediaJobs
  readonly publishing: Publishing
  readonly metrics: PullMetrics
}

/** How a {@link StreamPull} is built. */
export interface StreamPullInit {
  readonly streamName: string
  /** The stream's own key, with which it is published; a secret. */
  readonly streamKey: string
  /** May hold secrets. */
  readonly url: string
}

/** The pull of one stream. */
export class StreamPull {
  readonly url: string
  readonly #components: StreamPullComponents
  readonly #init: StreamPullInit
  readonly #logger: Logger
  #state: PullState = 'off'
  #sinceMs: number
  #error: string | undefined
  #run: MediaRun | undefined
  #sink: PublicationSink | undefined
  /** What came while other peers are asked for the stream; reading is paused, so it is little. */
  #held: (() => void)[] | undefined
  /** Aborted when the pull ends, so that nobody waits for its admission any more. */
  #admission: AbortController | undefined
  #kinds = { video: true, audio: true }
  #paused = false
  #cancelRetry: CancelTimer | undefined
  #failuresInRow = 0
  #retries = 0
  #pulledSinceMs = 0
  #window = { startMs: 0, bytes: 0, bps: 0 }

  constructor(components: StreamPullComponents, init: StreamPullInit) {
    this.#components = components
    this.#init = init
    this.url = init.url
    this.#sinceMs = components.clock.now()
    const host = hostOf(init.url)
    this.#logger = components.logger.child({ stream: init.streamName, host })
  }

  /** Begins; a failure is in {@link status}. */
  start(): void {
    const refusal = sourceRefusal(this.url)
    if (refusal === undefined) this.#connect()
    else this.#become('failed', refusal)
  }

  /** Ends it: the publisher of the stream is gone. */
  stop(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    this.#letGo('closed')
    this.#become('off', undefined)
  }

  /** For pages and metrics. */
  status(): PullStatus {
    return {
      stream: this.#init.streamName,
      host: hostOf(this.url),
      state: this.#state,
      error: this.#error,
      sinceMs: this.#sinceMs,
      bitrateBps: this.#state === 'pulling' ? this.#window.bps : 0,
      retries: this.#retries,
    }
  }

  #connect(): void {
    const { openTimeoutMs, readTimeoutMs } = limits
    const job: PullJob = { type: 'pull', url: this.url, openTimeoutMs, readTimeoutMs }
    try {
      const run = this.#components.media.run(job, {
        onNote: (note) => this.#ifCurrent(run, () => this.#onNote(note)),
        onConfig: (_output, config) => this.#ifCurrent(run, () => this.#onConfig(run, config)),
        onUnit: (_output, unit) => this.#ifCurrent(run, () => this.#onUnit(run, unit)),
      })
      this.#run = run
      this.#become('connecting', this.#error)
      run.done.then(
        () => this.#onEnd(run, new KairoError('ERR_NO_PROVIDER', 'the source has ended')),
        (error: unknown) => this.#onEnd(run, error),
      )
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#fail(error)
    }
  }

  #ifCurrent(run: MediaRun, then: () => void): void {
    if (this.#run === run) then()
  }

  #onNote(note: Json): void {
    const { video, audio, leftOut } = readPullNote(note)
    this.#kinds = { video, audio: audio > 0 }
    if (leftOut === 0) return
    this.#components.metrics.leftOut.inc(leftOut)
    this.#logger.warn({ taken: audio, leftOut }, 'a pulled source has too many tracks of sound')
  }

  #onConfig(run: MediaRun, config: TrackConfig): void {
    if (this.#holds(() => this.#onConfig(run, config))) return
    if (this.#sink === undefined) this.#publish(run)
    // Others are asked, or it was refused.
    if (this.#holds(() => this.#onConfig(run, config))) return
    this.#sink?.configure(config)
  }

  #publish(run: MediaRun): void {
    const admission = new AbortController()
    this.#admission = admission
    try {
      const sink = this.#components.publishing.publish({
        streamKey: this.#init.streamKey,
        protocol: 'pull',
        remote: hostOf(this.url),
        disconnect: (reason) => this.#onDisconnect(reason),
        signal: admission.signal,
      })
      if (!(sink instanceof Promise)) {
        this.#begin(sink)
        return
      }
      this.#held = []
      run.pause()
      sink.then(
        (admitted) => this.#admitted(run, admitted),
        (error: unknown) => this.#refused(run, error),
      )
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#refused(run, error)
    }
  }

  /** True when something waits for the admission too. */
  #holds(what: () => void): boolean {
    if (this.#held === undefined) return false
    if (this.#held.length >= limits.heldMax) {
      this.#fail(new KairoError('ERR_LIMIT', 'the source sends on while its stream is asked for'))
      this.#letGo('error')
    } else this.#held.push(what)
    return true
  }

  #admitted(run: MediaRun, sink: PublicationSink): void {
    if (this.#run !== run) {
      sink.end('closed')
      return
    }
    const held = this.#held ?? []
    this.#held = undefined
    this.#begin(sink)
    for (const what of held) what()
    if (!this.#paused) run.resume()
  }

  #refused(run: MediaRun, error: unknown): void {
    if (this.#run !== run) return
    this.#held = undefined
    run.cancel()
    this.#run = undefined
    this.#fail(error)
  }

  #begin(sink: PublicationSink): void {
    const { clock } = this.#components
    sink.expect(this.#kinds)
    this.#sink = sink
    this.#pulledSinceMs = clock.monotonicMs()
    this.#window = { startMs: this.#pulledSinceMs, bytes: 0, bps: 0 }
    this.#become('pulling', undefined)
    this.#logger.info({}, 'pulling')
  }

  #onUnit(run: MediaRun, unit: AccessUnit): void {
    if (this.#holds(() => this.#onUnit(run, unit))) return
    const bytes = unit.data.byteLength
    this.#components.metrics.bytes.inc(bytes)
    this.#measure(bytes)
    const wait = this.#sink?.write(unit)
    if (wait === undefined || this.#paused) return
    this.#paused = true
    run.pause()
    void wait.then(() => {
      this.#paused = false
      run.resume()
    })
  }

  #measure(bytes: number): void {
    const nowMs = this.#components.clock.monotonicMs()
    const window = this.#window
    window.bytes += bytes
    const elapsedMs = nowMs - window.startMs
    if (elapsedMs < limits.rateWindowMs) return
    this.#window = { startMs: nowMs, bytes: 0, bps: Math.round((window.bytes * 8_000) / elapsedMs) }
  }

  /** The session is over already: the peer stops, an operator ended it, or another publisher took the stream. */
  #onDisconnect(reason: string): void {
    this.#sink = undefined
    this.#letGo(reason)
    if (this.#state === 'off') return
    if (reason === 'removed' || reason === 'stopping') this.#become('off', undefined)
    else this.#retryIn(limits.replacedMs, `the stream was taken from the pull: ${reason}`)
  }

  #onEnd(run: MediaRun, error: unknown): void {
    if (this.#run !== run) return
    this.#run = undefined
    this.#letGo('closed')
    if (isKairoError(error, 'ERR_STOPPED')) this.#become('off', undefined)
    else this.#fail(error)
  }

  #fail(error: unknown): void {
    const { clock, metrics, random } = this.#components
    const reason = error instanceof Error ? error.message : String(error)
    const code = isKairoError(error) ? error.code : 'ERR_WORKER'
    metrics.failures.inc({ code })
    const pulledMs = clock.monotonicMs() - this.#pulledSinceMs
    if (this.#state === 'pulling' && pulledMs >= limits.healthyMs) this.#failuresInRow = 0
    const waitMs = backoffMs(limits, this.#failuresInRow, random)
    this.#failuresInRow += 1
    this.#logger.warn({ code }, `a pulled source fails: ${reason}`)
    this.#retryIn(waitMs, reason)
  }

  #retryIn(waitMs: number, reason: string): void {
    this.#become('waiting', reason.slice(0, limits.reasonCharsMax))
    this.#cancelRetry = this.#components.clock.after(waitMs, () => {
      this.#cancelRetry = undefined
      this.#retries += 1
      this.#connect()
    })
  }

  #letGo(reason: string): void {
    const run = this.#run
    this.#run = undefined
    this.#paused = false
    this.#held = undefined
    this.#admission?.abort(new KairoError('ERR_STOPPED', 'the pull has ended'))
    run?.cancel()
    const sink = this.#sink
    this.#sink = undefined
    sink?.end(reason)
  }

  #become(state: PullState, error: string | undefined): void {
    this.#error = error
    if (state === this.#state) return
    this.#state = state
    this.#sinceMs = this.#components.clock.now()
  }
}
