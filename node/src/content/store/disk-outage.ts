/**
 * A disk that refuses to write: said once, tried again later and less often where outages recur, until a probe works.
 */
import type { CancelTimer, Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import type { StoreMetrics } from './store-metrics.ts'

/** What an outage works with. */
export interface DiskOutageComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: StoreMetrics
}

/** Whether the disk can write now. */
export class DiskOutage {
  readonly #components: DiskOutageComponents
  readonly #probe: () => Promise<void>
  #cause: NodeJS.ErrnoException | undefined
  #cancelRetry: CancelTimer | undefined
  /** Grows while outages follow each other closely, so that a disk on the brink is not tried, and logged, all the time. */
  #retryMs: number = contentLimits.diskRetryMs
  #recoveredMs = Number.NEGATIVE_INFINITY
  #stopped = false

  /** @param probe resolves when the disk works; the system's error else. */
  constructor(components: DiskOutageComponents, probe: () => Promise<void>) {
    this.#components = components
    this.#probe = probe
  }

  /** The failure that began the present outage. */
  get cause(): NodeJS.ErrnoException | undefined {
    return this.#cause
  }

  /** The disk has failed; of many failures the first begins the outage. */
  failed(error: NodeJS.ErrnoException): void {
    const { clock, logger, metrics } = this.#components
    metrics.diskErrors.inc({ code: error.code ?? 'UNKNOWN' })
    if (this.#cause !== undefined) return
    this.#cause = error
    const sinceMs = clock.monotonicMs() - this.#recoveredMs
    const isRecurring = sinceMs < contentLimits.diskRetryMsMax
    this.#retryMs = isRecurring
      ? Math.min(this.#retryMs * 2, contentLimits.diskRetryMsMax)
      : contentLimits.diskRetryMs
    metrics.degraded.set(1)
    const cause = new KairoError('ERR_STORAGE', 'the disk cache cannot write', { cause: error })
    logger.error(
      { err: cause, code: cause.code, systemCode: error.code },
      'the disk cache cannot write; serving from memory until it can',
    )
    this.#retryLater()
  }

  /** Tries no more. */
  stop(): void {
    this.#stopped = true
    this.#cancelRetry?.()
  }

  #retryLater(): void {
    if (this.#stopped) return
    this.#cancelRetry = this.#components.clock.after(this.#retryMs, () => {
      this.#retry().catch((error: NodeJS.ErrnoException) => {
        this.failed(error)
        this.#retryLater()
      })
    })
  }

  /** Only a probe ends an outage: of many writes under way some may still work on a disk that is full for the others. */
  async #retry(): Promise<void> {
    if (this.#stopped) return
    await this.#probe()
    const { clock, logger, metrics } = this.#components
    this.#cause = undefined
    this.#recoveredMs = clock.monotonicMs()
    metrics.degraded.set(0)
    logger.info({}, 'the disk cache can write again')
  }
}
