/**
 * One media child as the peer sees it: the process, its pipe, and the watch over both. It waits warm, does one job, and ends;
 * whatever goes wrong with it ends in a SIGKILL and in one error for whoever ordered the job.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import { setPriority } from 'node:os'
import type { CancelTimer, Clock } from '../../clock.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { mediaChildLimits as limits } from '../../limits/media-child.ts'
import type { Logger } from '../../logger.ts'
import type { AccessUnit, TrackConfig } from '../access-unit.ts'
import { childEnvironment } from '../child-environment.ts'
import type { ChildMetrics, ChildState, ChildView, KillReason } from './child-metrics.ts'
import type { JobProgress, Json, MediaJob } from './job.ts'
import { type JobFacts, jobFacts } from './job-facts.ts'
import type { MediaRun, MediaRunHandlers } from './media-run.ts'
import { encodeMessage, encodeUnitHead, type WireItem, WireReader } from './wire.ts'

/** What a {@link MediaChild} needs. */
export interface MediaChildComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: ChildMetrics
}

/** How a {@link MediaChild} is built. */
export interface MediaChildInit {
  /** The program that the fork runs. */
  readonly childPath: string
  /** It has loaded FFmpeg and waits for a job. */
  readonly onReady: () => void
  /** Its process is gone; `worked` says whether it had a job. */
  readonly onGone: (worked: boolean) => void
}

interface Work {
  readonly job: MediaJob
  readonly facts: JobFacts
  readonly handlers: MediaRunHandlers
}

/** A forked process and at most one job. */
export class MediaChild implements MediaRun, ChildView {
  readonly done: Promise<Json>
  readonly #components: MediaChildComponents
  readonly #init: MediaChildInit
  readonly #process: ChildProcess
  readonly #pipe: Socket
  readonly #reader = new WireReader()
  readonly #outcome = Promise.withResolvers<Json>()
  readonly #gone = Promise.withResolvers<void>()
  #work: Work | undefined
  #ready = false
  #progress: JobProgress | undefined
  #rssBytes = 0
  #result: { readonly value: Json } | undefined
  /** The first thing that went wrong; what follows from it is no news. */
  #error: KairoError | undefined
  #stderr = ''
  #paused = false
  #closed = false
  #drain: PromiseWithResolvers<void> | undefined
  #heardAtMs: number
  #movedAtMs: number
  #outputSeen = false
  #finished = false
  #cancelWatchdog: CancelTimer

  constructor(components: MediaChildComponents, init: MediaChildInit) {
    this.#components = components
    this.#init = init
    this.#process = fork(init.childPath, [], {
      // Not the parent's flags: an inspector port or a test runner's loaders are not the child's.
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...childEnvironment(), UV_THREADPOOL_SIZE: String(limits.threadPoolSize) },
    })
    this.#pipe = this.#process.stdio[3] as Socket
    this.#heardAtMs = this.#movedAtMs = components.clock.monotonicMs()
    this.#cancelWatchdog = this.#watchIn(limits.startMsMax)
    this.done = this.#outcome.promise
    // Whoever ordered the job hears of its failure through `done`; nobody may be listening yet, or ever for a warm child.
    this.done.catch(() => {})
    this.#listen()
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get state(): ChildState {
    if (this.#work !== undefined) return 'working'
    return this.#ready ? 'warm' : 'starting'
  }

  get job(): MediaJob['type'] | undefined {
    return this.#work?.job.type
  }

  /** Name of the job for people; empty without one. */
  get label(): string {
    return this.#work?.facts.label ?? ''
  }

  get rssBytes(): number {
    return this.#rssBytes
  }

  /** Processor time that it has reported. */
  get cpuS(): number {
    return this.#progress?.cpuS ?? 0
  }

  get queuedBytes(): number {
    return this.#pipe.writableLength
  }

  /** Resolves when the process is gone. */
  get gone(): Promise<void> {
    return this.#gone.promise
  }

  /** Gives it its one job; it need not be ready yet. */
  assign(job: MediaJob, handlers: MediaRunHandlers): void {
    assert(this.#work === undefined, 'a media child does one job')
    const facts = jobFacts(job)
    this.#work = { job, facts, handlers }
    this.#heard()
    this.#movedAtMs = this.#heardAtMs
    this.#cancelWatchdog()
    this.#cancelWatchdog = this.#watchIn(limits.startMsMax)
    if (!facts.live && this.pid !== undefined) this.#yieldPriority(this.pid)
    this.#pipe.write(encodeMessage({ type: 'job', job }))
  }

  configure(input: number, config: TrackConfig): void {
    if (this.#closed) return
    this.#pipe.write(encodeMessage({ type: 'config', port: input, config }))
  }

  write(input: number, unit: AccessUnit): Promise<void> | undefined {
    // Its end and the next unit may cross on their way.
    if (this.#closed || this.#pipe.destroyed) return undefined
    assert(!this.#finished, 'nothing is written after finish')
    if (this.#pipe.writableLength === 0) this.#movedAtMs = this.#components.clock.monotonicMs()
    this.#pipe.cork()
    this.#pipe.write(encodeUnitHead(input, unit))
    const room = this.#pipe.write(unit.data)
    this.#pipe.uncork()
    if (this.#pipe.writableLength > limits.queuedBytesMax) {
      this.#kill('queue', 'it does not keep up with its input')
    }
    if (room || this.#closed) return undefined
    this.#drain ??= Promise.withResolvers<void>()
    return this.#drain.promise
  }

  finish(): void {
    if (this.#finished || this.#closed) return
    this.#finished = true
    this.#movedAtMs = this.#components.clock.monotonicMs()
    this.#pipe.write(encodeMessage({ type: 'finish' }))
  }

  pause(): void {
    this.#paused = true
    this.#pipe.pause()
  }

  resume(): void {
    this.#paused = false
    this.#heard()
    this.#movedAtMs = this.#heardAtMs
    this.#pipe.resume()
  }

  cancel(): void {
    this.#abandon('cancelled', 'the job was cancelled')
  }

  /** Ends it because the pool stops. */
  stop(): void {
    this.#abandon('stopped', 'the peer stops')
  }

  #listen(): void {
    const pipe = this.#pipe
    pipe.on('data', (chunk: Buffer) => this.#onData(chunk))
    pipe.on('drain', () => this.#settleDrain())
    // A pipe breaks when the child dies; its `close` tells the rest.
    pipe.on('error', (err) => this.#components.logger.debug({ err, pid: this.pid }, 'pipe broke'))
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-limits.stderrBytesMax)
    })
    this.#process.on('error', (cause) => {
      this.#error ??= new KairoError('ERR_WORKER', 'a media child reports an error', { cause })
      // Without a pid nothing was started, and no `close` follows.
      if (this.pid === undefined) this.#onClose(null, null)
    })
    this.#process.once('close', (code, signal) => this.#onClose(code, signal))
  }

  #onData(chunk: Buffer): void {
    this.#heard()
    try {
      for (const item of this.#reader.push(chunk)) {
        if (this.#error !== undefined) return
        this.#take(item)
      }
    } catch (cause) {
      assert(cause instanceof KairoError, cause as Error)
      this.#kill('garbage', cause.message)
    }
  }

  #take(item: WireItem): void {
    if (item.type !== 'progress') this.#movedAtMs = this.#heardAtMs
    switch (item.type) {
      case 'progress':
        this.#onProgress(item.progress)
        break
      case 'ready':
        this.#ready = true
        this.#rssBytes = item.rssBytes
        if (this.#work === undefined) this.#cancelWatchdog()
        this.#init.onReady()
        break
      case 'done':
        this.#result = { value: item.result }
        this.#expectEnd()
        break
      case 'failed':
        this.#error ??= new KairoError(item.code, item.message)
        this.#expectEnd()
        break
      case 'config':
      case 'unit':
      case 'blob':
      case 'note':
        this.#outputSeen = true
        this.#hand((handlers) => deliver(handlers, item))
        break
      default:
        this.#kill('garbage', `it sent a message that only the peer sends (${item.type})`)
    }
  }

  #onProgress(progress: JobProgress): void {
    const before = this.#progress
    const work = this.#work
    if (work === undefined) {
      this.#kill('garbage', 'it reports progress without a job')
      return
    }
    const { metrics } = this.#components
    const job = work.job.type
    metrics.cpu.inc({ job }, Math.max(0, progress.cpuS - (before?.cpuS ?? 0)))
    metrics.damaged.inc({ job }, Math.max(0, progress.damaged - (before?.damaged ?? 0)))
    if (before === undefined || moved(before, progress)) this.#movedAtMs = this.#heardAtMs
    this.#progress = progress
    this.#rssBytes = progress.rssBytes
    this.#hand((handlers) => handlers.onProgress?.(progress))
    if (progress.rssBytes > work.facts.rssBytesMax) {
      const mebibytes = Math.round(progress.rssBytes / 2 ** 20)
      this.#kill('memory', `it takes ${mebibytes} MiB of memory`)
    }
    const waiting = this.#pipe.writableLength > 0 || this.#finished || work.facts.ownPace
    if (waiting && this.#heardAtMs - this.#movedAtMs > limits.stuckMsMax) {
      this.#kill('stuck', 'it makes no progress')
    }
  }

  /** A receiver that throws anything else than what it has against the child is at fault itself; both cost the job and not the peer. */
  #hand(call: (handlers: MediaRunHandlers) => void): void {
    try {
      if (this.#work !== undefined) call(this.#work.handlers)
    } catch (cause) {
      if (isKairoError(cause, 'ERR_WORKER')) {
        this.#kill('garbage', cause.message)
        return
      }
      this.#components.logger.error({ err: cause, job: this.job }, 'a receiver of media failed')
      this.#kill('receiver', 'whoever takes its output failed')
    }
  }

  #heard(): void {
    this.#heardAtMs = this.#components.clock.monotonicMs()
  }

  /** Silence that is forgiven now. */
  #silenceMsMax(): number {
    if (this.#work === undefined || this.#progress === undefined) return limits.startMsMax
    const { first, later } = this.#work.facts.silenceMsMax
    return this.#outputSeen ? later : first
  }

  /** Looks again after `delayMs`; one timer for all the signs of life in between. */
  #watchIn(delayMs: number, warned = false): CancelTimer {
    return this.#components.clock.after(delayMs, () => this.#watch(warned))
  }

  #watch(warned: boolean): void {
    const limitMs = this.#silenceMsMax()
    const silentMs = this.#components.clock.monotonicMs() - this.#heardAtMs
    if (this.#paused) this.#cancelWatchdog = this.#watchIn(limitMs)
    else if (silentMs < limitMs) this.#cancelWatchdog = this.#watchIn(limitMs - silentMs)
    // The peer itself may have been held up: what the child said meanwhile waits in the pipe and is read first.
    else if (!warned) this.#cancelWatchdog = this.#watchIn(limits.watchdogGraceMs, true)
    else if (this.#progress === undefined) this.#kill('start', 'it did not start in time')
    else this.#kill('silence', `it gave no sign of life for ${Math.round(silentMs)} ms`)
  }

  /** The last message is there: the process has a moment to be gone. */
  #expectEnd(): void {
    this.#cancelWatchdog()
    this.#cancelWatchdog = this.#components.clock.after(limits.lingerMsMax, () => {
      this.#kill('linger', 'it did not end after its job')
    })
  }

  #kill(reason: KillReason, what: string): void {
    if (this.#closed) return
    if (this.#result === undefined) {
      this.#error ??= new KairoError('ERR_WORKER', `the media child was killed: ${what}`)
    }
    this.#cancelWatchdog()
    this.#components.metrics.kills.inc({ reason })
    this.#process.kill('SIGKILL')
    // What is still in the pipe is of no use to anybody, and a paused pipe would never close.
    this.#pipe.destroy()
  }

  #abandon(reason: 'cancelled' | 'stopped', what: string): void {
    if (this.#closed) return
    this.#error ??= new KairoError('ERR_STOPPED', what)
    this.#kill(reason, what)
  }

  #yieldPriority(pid: number): void {
    try {
      setPriority(pid, limits.backgroundNiceness)
    } catch (err) {
      // It may have died this moment, or the system forbids it: the job runs all the same.
      this.#components.logger.debug({ err, pid }, 'the priority of a media child stays')
    }
  }

  #settleDrain(): void {
    this.#drain?.resolve()
    this.#drain = undefined
  }

  #onClose(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#cancelWatchdog()
    this.#pipe?.destroy()
    this.#settleDrain()
    const end = `its process ended with ${signal ?? `code ${code}`}`
    const error = this.#error ?? new KairoError('ERR_WORKER', `the media child failed: ${end}`)
    const fields = { pid: this.pid, job: this.job, label: this.label, end, stderr: this.#stderr }
    const result = this.#result
    if (result !== undefined) this.#outcome.resolve(result.value)
    else {
      if (error.code === 'ERR_WORKER') {
        this.#components.logger.warn({ ...fields, err: error }, 'a media child failed')
      } else if (this.#work !== undefined) {
        this.#components.logger.debug({ ...fields, err: error }, 'a media job ended early')
      }
      this.#outcome.reject(error)
    }
    if (this.job !== undefined) {
      const failure = error.code === 'ERR_STOPPED' ? 'cancelled' : 'failed'
      const label = result === undefined ? failure : 'done'
      this.#components.metrics.jobs.inc({ job: this.job, result: label })
    }
    this.#gone.resolve()
    this.#init.onGone(this.#work !== undefined)
  }
}

function deliver(
  handlers: MediaRunHandlers,
  item: Extract<WireItem, { type: 'config' | 'unit' | 'blob' | 'note' }>,
): void {
  if (item.type === 'unit') handlers.onUnit?.(item.port, item.unit)
  else if (item.type === 'config') handlers.onConfig?.(item.port, item.config)
  else if (item.type === 'blob') handlers.onBlob?.(item.about, item.bytes)
  else handlers.onNote?.(item.note)
}

function moved(before: JobProgress, now: JobProgress): boolean {
  return (
    before.unitsIn !== now.unitsIn ||
    before.unitsOut !== now.unitsOut ||
    before.position !== now.position ||
    before.damaged !== now.damaged
  )
}
