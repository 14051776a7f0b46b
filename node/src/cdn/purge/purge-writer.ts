/**
 * Writes this peer's own purges into the log of its region, in their order, several at a time, and again until the region has taken them: a
 * purge that was made while no region answered is written when one does, also after a restart.
 */
import type { CancelTimer, Clock } from '../../clock.ts'
import type { RegionLog } from '../../coordination/region-log.ts'
import { isKairoError } from '../../errors.ts'
import { purgeLimits } from '../../limits/purge.ts'
import { regionLogLimits } from '../../limits/region-log.ts'
import type { Logger } from '../../logger.ts'
import type { PurgeJournal } from './purge-journal.ts'
import type { KnownPurge, PurgeLedger } from './purge-ledger.ts'
import { entryOf, isEntryOf, type Purge, purgeId } from './purge-message.ts'
import type { PurgeMetrics } from './purge-metrics.ts'

/** What a writer works with. */
export interface PurgeWriterComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: PurgeMetrics
  readonly ledger: PurgeLedger
  readonly journal: PurgeJournal
  readonly log: Pick<RegionLog, 'isFollowing' | 'find' | 'add'>
  /** This peer's id. */
  readonly peerId: string
  /** The log has another purge of this one's number, and nobody waits who could be told. */
  readonly onTaken: (purge: Purge) => void
}

/** What became of a purge: `taken` when the log has another one of its number; `late` when it is to be written later. */
export type Written = 'logged' | 'taken' | 'late'

/** The writer of one peer. */
export class PurgeWriter {
  readonly #components: PurgeWriterComponents
  /** Who waits for a purge, by its id; as many as there are callers of purges. */
  readonly #waiting = new Map<string, (written: Written) => void>()
  #isWriting = false
  #isWanted = false
  #isRefused = false
  #isStopped = false
  #cancelRetry: CancelTimer | undefined

  constructor(components: PurgeWriterComponents) {
    this.#components = components
  }

  /** Writes nothing more. */
  stop(): void {
    this.#isStopped = true
    this.#cancelRetry?.()
    for (const resolve of this.#waiting.values()) resolve('late')
  }

  /** There may be something to write, or somebody to write it to. */
  wake(): void {
    this.#isWanted = true
    if (this.#isWriting || this.#isStopped) return
    this.#cancelRetry?.()
    this.#isWriting = true
    this.#isWanted = false
    this.#writeAll()
      .then(
        () => {
          this.#isRefused = false
        },
        (error: unknown) => this.#refused(error),
      )
      .finally(() => {
        this.#isWriting = false
        // What came in the very turn in which nothing more was found.
        if (this.#isWanted && !this.#isRefused) this.wake()
      })
  }

  /** Waits until an own purge is in the log: `purgeLimits.regionWriteMs` at most, and not at all while the region takes nothing. */
  async write(purge: Purge): Promise<Written> {
    const { clock, log } = this.#components
    if (!log.isFollowing || this.#isRefused || this.#isStopped) return 'late'
    const id = purgeId(purge)
    const { promise, resolve } = Promise.withResolvers<Written>()
    this.#waiting.set(id, resolve)
    const cancel = clock.after(purgeLimits.regionWriteMs, () => resolve('late'))
    this.wake()
    try {
      return await promise
    } finally {
      cancel()
      this.#waiting.delete(id)
    }
  }

  async #writeAll(): Promise<void> {
    const { journal, ledger, log, peerId, metrics, onTaken } = this.#components
    while (log.isFollowing && !this.#isStopped) {
      const mark = journal.regionMark
      if (mark === undefined) return
      const origin = { issuer: peerId, epoch: journal.epoch }
      const batch = ledger.next(origin, mark.ownThrough, regionLogLimits.addBatchMax)
      const last = batch.at(-1)
      if (last === undefined) return
      const taken = new Set(await this.#add(batch))
      const now = journal.regionMark
      // The region, or this peer's epoch, may be another one by now.
      if (now?.logId !== mark.logId || journal.epoch !== origin.epoch) continue
      journal.markRegion({ ...now, ownThrough: last.purge.sequence })
      for (const { purge } of batch) {
        const written = taken.has(purgeId(purge)) ? 'taken' : 'logged'
        metrics.regionWrites.inc({ outcome: written })
        const tell = this.#waiting.get(purgeId(purge))
        if (tell !== undefined) tell(written)
        else if (written === 'taken') onTaken(purge)
      }
    }
  }

  /** @returns ids that other purges have. */
  async #add(batch: readonly KnownPurge[]): Promise<string[]> {
    const { log } = this.#components
    const found = (known: KnownPurge) => log.find(purgeId(known.purge))
    const missing = batch.filter((known) => found(known) === undefined).map(entryOf)
    const taken = batch.filter((known) => {
      const entry = found(known)
      return entry !== undefined && !isEntryOf(known, entry)
    })
    const added = missing.length === 0 ? [] : await log.add(missing)
    return [...taken.map(({ purge }) => purgeId(purge)), ...added]
  }

  #refused(error: unknown): void {
    const { clock, logger, metrics } = this.#components
    if (this.#isStopped) return
    const outcome = isKairoError(error) ? error.code : 'ERR_INTERNAL'
    metrics.regionWrites.inc({ outcome })
    if (!this.#isRefused)
      logger.warn({ err: error }, 'the region does not take a purge for its log')
    this.#isRefused = true
    for (const resolve of this.#waiting.values()) resolve('late')
    this.#cancelRetry = clock.after(purgeLimits.regionRetryMs, () => this.wake())
  }
}
