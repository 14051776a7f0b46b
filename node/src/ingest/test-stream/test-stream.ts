/**
 * The peer's side of the built-in test stream: it forks the child that makes picture and sound, watches it, and starts it
 * again when it fails. The child publishes to the peer's own RTMP port, so the test stream takes every step that any
 * publisher's stream takes.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Counter, Gauge, type Registry } from 'prom-client'
import { backoffMs } from '../../backoff.ts'
import type { CancelTimer, Clock } from '../../clock.ts'
import { testStreamLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { childEnvironment } from '../../media/child-environment.ts'
import type { FromChild, TestStreamFormat, ToChild } from './messages.ts'

/** What a {@link TestStream} needs. */
export interface TestStreamComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
}

/** How a {@link TestStream} is built. */
export interface TestStreamInit {
  /** Address with stream key, `rtmp://127.0.0.1:1935/live/<key>`. Secret: it is handed to the child by message. */
  readonly rtmpUrl: string
  /** Default: 1280x720, 30 frames a second, 2.5 Mbit/s video, 128 kbit/s sound, a keyframe every 2 s. */
  readonly format?: Partial<TestStreamFormat>
  /** The program that the fork runs. Default: this folder's `child.ts`. */
  readonly childPath?: string
}

/** Where the test stream stands. `unavailable`: this machine cannot make it, and the peer goes on without. */
export type TestStreamState = 'stopped' | 'starting' | 'running' | 'retrying' | 'unavailable'

/** What status pages show of the test stream. */
export interface TestStreamStatus {
  readonly state: TestStreamState
  /** Why it is not running; null while all is well. */
  readonly error: string | null
}

const restartBounds = {
  retryMsMin: testStreamLimits.restartMsMin,
  retryMsMax: testStreamLimits.restartMsMax,
}

const defaultFormat: TestStreamFormat = {
  width: 1280,
  height: 720,
  frameRate: 30,
  videoBitrateBps: 2_500_000,
  audioBitrateBps: 128_000,
  gopS: 2,
}

/** Runs and watches the child. */
export class TestStream {
  readonly #components: TestStreamComponents
  readonly #logger: Logger
  readonly #start: ToChild
  readonly #childPath: string
  readonly #running: Gauge
  readonly #restarts: Counter
  readonly #frames: Counter
  readonly #skipped: Counter
  readonly #cpu: Counter
  #status: TestStreamStatus = { state: 'stopped', error: null }
  #child: ChildProcess | undefined
  #cancelWatchdog: CancelTimer | undefined
  #cancelRestart: CancelTimer | undefined
  #failures = 0

  constructor(components: TestStreamComponents, init: TestStreamInit) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:test-stream' })
    this.#start = {
      type: 'start',
      rtmpUrl: init.rtmpUrl,
      format: { ...defaultFormat, ...init.format },
    }
    this.#childPath = init.childPath ?? fileURLToPath(new URL('./child.ts', import.meta.url))
    const registers = [components.registry]
    const counter = (name: string, help: string) => new Counter({ name, help, registers })
    this.#running = new Gauge({
      name: 'kairo_test_stream_running',
      help: '1 while the built-in test stream is being published.',
      registers,
    })
    this.#restarts = counter('kairo_test_stream_restarts_total', 'Restarts of its child process.')
    this.#frames = counter('kairo_test_stream_frames_total', 'Frames published.')
    this.#skipped = counter('kairo_test_stream_frames_skipped_total', 'Frames left out, too late.')
    this.#cpu = counter('kairo_test_stream_cpu_seconds_total', 'Processor time of its child.')
  }

  /** Where it stands now. */
  get status(): TestStreamStatus {
    return this.#status
  }

  /** Starts the child; returns at once. Failures show in {@link status} and are retried. */
  start(): void {
    if (this.#status.state !== 'stopped') return
    this.#failures = 0
    this.#launch()
  }

  /** Ends the child, in order within a second or two, else by force. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#setStatus('stopped', null)
    this.#cancelWatchdog?.()
    this.#cancelRestart?.()
    const child = this.#child
    if (child === undefined) return
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
    const cancel = this.#components.clock.after(testStreamLimits.stopMsMax, () => {
      this.#logger.warn({ pid: child.pid }, 'the test stream did not end in time and is killed')
      child.kill('SIGKILL')
    })
    this.#send(child, { type: 'stop' })
    await gone
    cancel()
  }

  #launch(): void {
    this.#setStatus('starting', this.#status.error)
    const child = fork(this.#childPath, [], {
      // Not the parent's flags: an inspector port or a test runner's loaders are not the child's.
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: childEnvironment(),
      serialization: 'json',
    })
    this.#child = child
    let stderr = ''
    let failure: Extract<FromChild, { type: 'failed' }> | undefined
    let seen = { frames: 0, skipped: 0, cpuS: 0 }
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-testStreamLimits.stderrBytesMax)
    })
    child.on('message', (message: FromChild) => {
      if (message.type === 'failed') failure = message
      else if (message.type === 'publishing') this.#onPublishing(child, message.sinceForkMs)
      else {
        this.#onProgress(child, seen, message)
        seen = message
      }
    })
    child.on('error', (error) => {
      this.#logger.warn({ err: error, pid: child.pid }, 'the test stream process reports an error')
    })
    child.once('close', (code, signal) => {
      const reason = failure?.reason ?? `its process ended with ${signal ?? `code ${code}`}`
      this.#onClose(reason, failure?.unavailable ?? false, stderr.trim())
    })
    this.#watch(child, testStreamLimits.startMsMax)
    this.#send(child, this.#start)
  }

  #onPublishing(child: ChildProcess, sinceForkMs: number): void {
    if (this.#status.state !== 'starting') return
    this.#setStatus('running', null)
    this.#logger.info({ pid: child.pid, sinceForkMs }, 'the test stream is on air')
    this.#watch(child, testStreamLimits.silenceMsMax)
  }

  #onProgress(
    child: ChildProcess,
    before: { frames: number; skipped: number; cpuS: number },
    now: { frames: number; skipped: number; cpuS: number },
  ): void {
    if (this.#status.state !== 'running') return
    this.#failures = 0
    this.#frames.inc(Math.max(0, now.frames - before.frames))
    this.#skipped.inc(Math.max(0, now.skipped - before.skipped))
    this.#cpu.inc(Math.max(0, now.cpuS - before.cpuS))
    this.#watch(child, testStreamLimits.silenceMsMax)
  }

  /** Kills the child unless it is heard of again within `silenceMs`. */
  #watch(child: ChildProcess, silenceMs: number): void {
    this.#cancelWatchdog?.()
    this.#cancelWatchdog = this.#components.clock.after(silenceMs, () => {
      this.#logger.warn({ pid: child.pid, silenceMs }, 'the test stream hangs and is killed')
      child.kill('SIGKILL')
    })
  }

  #onClose(reason: string, unavailable: boolean, stderr: string): void {
    this.#child = undefined
    this.#cancelWatchdog?.()
    if (this.#status.state === 'stopped') return
    if (unavailable) {
      this.#setStatus('unavailable', reason)
      this.#logger.warn({ reason }, 'this machine cannot make the test stream; all else goes on')
      return
    }
    const waitMs = backoffMs(restartBounds, this.#failures)
    this.#failures++
    this.#restarts.inc()
    this.#setStatus('retrying', reason)
    this.#logger.warn({ reason, stderr, waitMs }, 'the test stream ended and starts again')
    this.#cancelRestart = this.#components.clock.after(waitMs, () => this.#launch())
  }

  #setStatus(state: TestStreamState, error: string | null): void {
    this.#status = { state, error }
    this.#running.set(state === 'running' ? 1 : 0)
  }

  #send(child: ChildProcess, message: ToChild): void {
    if (!child.connected) return
    child.send(message, (error) => {
      // The channel breaks when the child dies first; its `close` event tells the rest.
      if (error !== null)
        this.#logger.debug({ err: error }, 'a message to the test stream was lost')
    })
  }
}
