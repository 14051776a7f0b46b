/** The cache as one room: its index, kept over restarts, which purges act on. */
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { cdnLimits } from '../limits/cdn.ts'
import type { Logger } from '../logger.ts'
import { CacheIndex } from './cache/cache-index.ts'
import { CacheMetrics } from './cache/cache-metrics.ts'
import { IndexJournal } from './cache/index-journal.ts'
import type { PurgeService } from './purge/purge-service.ts'
import type { Purgeable, PurgeMode, PurgeSelector } from './purge-selector.ts'

/** What the cache works with. */
export interface CdnCacheComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
}

/** Where the cache is kept. */
export interface CdnCacheInit {
  readonly directory: string
}

/** Stored responses and their journal. */
export class CdnCache implements Purgeable {
  readonly index: CacheIndex
  readonly metrics: CacheMetrics
  readonly journal: IndexJournal
  readonly #clock: Clock
  readonly #logger: Logger
  #cancelWatch: CancelTimer | undefined
  /** Wall time less monotonic time, as last seen. */
  #offsetMs = 0

  constructor(components: CdnCacheComponents, init: CdnCacheInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:cdn' })
    this.metrics = new CacheMetrics(components.registry)
    this.index = new CacheIndex({ clock: this.#clock, metrics: this.metrics }, cdnLimits)
    this.journal = new IndexJournal(
      { clock: this.#clock, logger: this.#logger, metrics: this.metrics, index: this.index },
      { directory: init.directory },
    )
  }

  /** Takes over what an earlier run left. */
  async start(): Promise<void> {
    await this.journal.start()
    this.#offsetMs = this.#offset()
    this.#watchClock()
  }

  async stop(): Promise<void> {
    this.#cancelWatch?.()
    await this.journal.stop()
  }

  /**
   * Carries out the newest purges of the log once more when the run before was cut off: one may have come into the log and not have
   * reached the cache. To be called before anything is served.
   */
  catchUp(purges: Pick<PurgeService, 'generation' | 'since'>): void {
    const generation = purges.generation()
    if (!this.journal.endedInOrder) {
      // Further back lies what an earlier run has caught up with, the beginning of the log among it, which stands for everything.
      const from = Math.max(this.journal.caughtUpTo, generation - cdnLimits.purgesRepeated)
      const { everything, purges: missed } = purges.since(from)
      if (everything) this.purge({ by: 'everything' }, 'hard')
      for (const { selector, mode } of missed) this.purge(selector, mode)
    }
    this.journal.noteCaughtUp(generation)
  }

  /** URLs are meant by either scheme: whether TLS ends here or before this peer, it is the same response. */
  purge(selector: PurgeSelector, mode: PurgeMode): number {
    let count = 0
    for (const one of bothSchemes(selector)) count += this.index.purge(one, mode)
    return count
  }

  /**
   * When the wall clock goes back, responses would be taken for younger than they are; what is stored is moved along, so that it keeps its
   * age. When it goes forward they are taken for older, which is harmless.
   */
  #watchClock(): void {
    const jumpMs = this.#offset() - this.#offsetMs
    if (jumpMs < -cdnLimits.clockJumpMs) {
      this.#logger.warn({ jumpMs: Math.round(jumpMs) }, 'the clock went back')
      this.index.shiftTimes(jumpMs)
    }
    if (Math.abs(jumpMs) > cdnLimits.clockJumpMs) this.#offsetMs += jumpMs
    this.#cancelWatch = this.#clock.after(cdnLimits.clockWatchMs, () => this.#watchClock())
  }

  #offset(): number {
    return this.#clock.now() - this.#clock.monotonicMs()
  }
}

function bothSchemes(selector: PurgeSelector): readonly PurgeSelector[] {
  if (selector.by === 'url') {
    return schemes(selector.url).map((url) => ({ by: 'url', url }))
  }
  if (selector.by === 'prefix') {
    return schemes(selector.prefix).map((prefix) => ({ by: 'prefix', prefix }))
  }
  return [selector]
}

function schemes(url: string): readonly string[] {
  const rest = url.slice(url.indexOf(':'))
  return [`http${rest}`, `https${rest}`]
}
