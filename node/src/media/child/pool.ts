/**
 * The pool of media children: a few wait warm with FFmpeg loaded, each takes one job and ends, and another is made ready in
 * the background. Bounded in number; what a child may cost is bounded in {@link MediaChild}.
 */
import { fileURLToPath } from 'node:url'
import type { Registry } from 'prom-client'
import { backoffMs } from '../../backoff.ts'
import type { CancelTimer, Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { mediaChildLimits as limits } from '../../limits/media-child.ts'
import type { Logger } from '../../logger.ts'
import { type ChildMetrics, type ChildState, createChildMetrics } from './child-metrics.ts'
import type { MediaJob } from './job.ts'
import { MediaChild } from './media-child.ts'
import type { MediaJobs, MediaRun, MediaRunHandlers } from './media-run.ts'

const refillBounds = { retryMsMin: limits.refillMs, retryMsMax: limits.refillMsMax }

/** What a {@link MediaPool} needs. */
export interface MediaPoolComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
}

/** How a {@link MediaPool} is built. */
export interface MediaPoolInit {
  /** Children kept ready without a job; 0 makes each when it is wanted. */
  readonly warm: number
  /** Children at once, warm ones included. */
  readonly childrenMax: number
  /** The program that the forks run. Default: this folder's `child.ts`. */
  readonly childPath?: string
}

/** One child, for pages. */
export interface MediaChildStats {
  readonly pid: number | undefined
  readonly state: ChildState
  /** Type of its job; undefined without one. */
  readonly job: MediaJob['type'] | undefined
  /** What the job is about, without secrets. */
  readonly label: string
  /** Processor time so far. */
  readonly cpuS: number
  readonly rssBytes: number
  /** Input that it has not read yet. */
  readonly queuedBytes: number
}

/** Runs media jobs in children; see {@link MediaJobs}. */
export class MediaPool implements MediaJobs {
  readonly #components: MediaPoolComponents
  readonly #init: Required<MediaPoolInit>
  readonly #logger: Logger
  readonly #metrics: ChildMetrics
  readonly #children = new Set<MediaChild>()
  #status: 'stopped' | 'running' | 'stopping' = 'stopped'
  /** Warm children in a row that died without a job. */
  #failures = 0
  #cancelRefill: CancelTimer | undefined

  constructor(components: MediaPoolComponents, init: MediaPoolInit) {
    this.#components = components
    this.#init = {
      childPath: fileURLToPath(new URL('./child.ts', import.meta.url)),
      ...init,
    }
    this.#logger = components.logger.child({ name: 'kairo:media' })
    this.#metrics = createChildMetrics(components.registry, () => this.#children)
  }

  /** Makes the warm children, in the background. */
  start(): void {
    if (this.#status !== 'stopped') return
    this.#status = 'running'
    this.#refill()
  }

  /** Ends every child, jobs included, and resolves when no process is left. */
  async stop(): Promise<void> {
    if (this.#status === 'stopped') return
    this.#status = 'stopping'
    this.#cancelRefill?.()
    this.#cancelRefill = undefined
    const gone = [...this.#children].map((child) => {
      child.stop()
      return child.gone
    })
    await Promise.all(gone)
    this.#status = 'stopped'
  }

  run(job: MediaJob, handlers: MediaRunHandlers): MediaRun {
    if (this.#status !== 'running') {
      throw new KairoError('ERR_STOPPED', 'the peer takes no media jobs now')
    }
    const child = this.#idleChild() ?? this.#newChild()
    child.assign(job, handlers)
    this.#refillIn(limits.refillMs)
    return child
  }

  /** Every child, for pages. */
  stats(): MediaChildStats[] {
    return [...this.#children].map((child) => ({
      pid: child.pid,
      state: child.state,
      job: child.job,
      label: child.label,
      cpuS: child.cpuS,
      rssBytes: child.rssBytes,
      queuedBytes: child.queuedBytes,
    }))
  }

  /** A child without a job, a ready one before one that still loads. */
  #idleChild(): MediaChild | undefined {
    const children = [...this.#children]
    return (
      children.find((child) => child.state === 'warm') ??
      children.find((child) => child.state === 'starting')
    )
  }

  #newChild(): MediaChild {
    if (this.#children.size >= this.#init.childrenMax) {
      this.#metrics.refused.inc()
      throw new KairoError(
        'ERR_LIMIT',
        `all ${this.#init.childrenMax} media children of this peer have work`,
      )
    }
    return this.#fork()
  }

  #fork(): MediaChild {
    const child: MediaChild = new MediaChild(
      { clock: this.#components.clock, logger: this.#logger, metrics: this.#metrics },
      {
        childPath: this.#init.childPath,
        onReady: () => {
          this.#failures = 0
        },
        onGone: (worked) => this.#onGone(child, worked),
      },
    )
    this.#children.add(child)
    return child
  }

  #onGone(child: MediaChild, worked: boolean): void {
    this.#children.delete(child)
    if (this.#status !== 'running') return
    if (worked) {
      this.#refillIn(limits.refillMs)
      return
    }
    const waitMs = backoffMs(refillBounds, this.#failures)
    this.#failures += 1
    this.#metrics.restarts.inc()
    this.#cancelRefill?.()
    this.#cancelRefill = undefined
    this.#refillIn(waitMs)
  }

  #refillIn(waitMs: number): void {
    this.#cancelRefill ??= this.#components.clock.after(waitMs, () => {
      this.#cancelRefill = undefined
      this.#refill()
    })
  }

  #refill(): void {
    const { warm, childrenMax } = this.#init
    const idle = [...this.#children].filter((child) => child.state !== 'working').length
    const room = childrenMax - this.#children.size
    for (let made = idle; made < Math.min(warm, idle + room); made += 1) this.#fork()
  }
}
