/**
 * Turns what all groups append in a turn into one sync of the log, and says when it is durable. A full disk is tried again for as
 * long as it is full; any other failure is the end of the driver.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { Message } from '../raft/types.ts'
import type { GroupAppend } from '../wal/log-tail.ts'
import { WalError } from '../wal/wal-error.ts'
import type { WriteAheadLog } from '../wal/write-ahead-log.ts'
import { driverLimits } from './driver-limits.ts'
import { WorstLately } from './worst-lately.ts'

/** What is to be said when all that was appended before is durable. */
export interface Promised<Owner> {
  readonly owner: Owner
  readonly responses: readonly Message[]
}

/** What a writer tells. */
export interface LogWriterInit<Owner> {
  readonly log: WriteAheadLog
  readonly clock: Clock
  /** Called in the order of the appends. */
  readonly onDurable: (promised: Promised<Owner>[]) => void
  /** The disk was found full (each time that it is tried), or has room again. */
  readonly onFull: (isFull: boolean) => void
  readonly onFailure: (error: unknown) => void
}

/** The one hand that writes the log. */
export class LogWriter<Owner> {
  readonly #init: LogWriterInit<Owner>
  readonly #syncMs = new WorstLately(driverLimits.timingWindowMs)
  /** Since the last sync was asked for. */
  #gathering: Promised<Owner>[] = []
  /** In syncs that found the disk full. */
  #stalled: Promised<Owner>[] = []
  #syncs = 0
  #cancelRetry: CancelTimer | undefined
  #retryMs: number = driverLimits.fullRetryMsMin
  #isFull = false
  #isStopped = false

  constructor(init: LogWriterInit<Owner>) {
    this.#init = init
  }

  get isFull(): boolean {
    return this.#isFull
  }

  /** How long a sync takes at worst, lately. */
  get syncMs(): number {
    return this.#syncMs.value(this.#init.clock.monotonicMs())
  }

  /**
   * Appends, to be durable after the next {@link LogWriter.flush}.
   * @returns false when so much waits for the disk that nothing was appended: try again when something became durable
   */
  append(append: GroupAppend): boolean {
    try {
      this.#init.log.append(append)
      return true
    } catch (error) {
      if (error instanceof WalError && error.code === 'ERR_WAL_OVERFLOW') return false
      throw error
    }
  }

  /** Has responses delivered when all that was appended before is durable. */
  promise(promised: Promised<Owner>): void {
    this.#gathering.push(promised)
  }

  /** Whether nothing is on its way to the disk, so that a promise about what was appended long ago can be kept at once. */
  get isIdle(): boolean {
    return this.#syncs === 0 && this.#gathering.length === 0 && this.#stalled.length === 0
  }

  /** The end of a turn: what was appended in it goes to the disk. */
  flush(): void {
    if (this.#gathering.length === 0 || this.#isStopped) return
    const batch = this.#gathering
    this.#gathering = []
    // While the disk is full, the retry takes all along.
    if (this.#isFull) this.#stalled.push(...batch)
    else void this.#sync(batch)
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelRetry?.()
  }

  async #sync(batch: Promised<Owner>[]): Promise<void> {
    const { clock, log } = this.#init
    const startedMs = clock.monotonicMs()
    this.#syncs += 1
    try {
      await log.sync()
    } catch (error) {
      this.#syncs -= 1
      if (this.#isStopped) return
      if (error instanceof WalError && error.code === 'ERR_WAL_FULL') this.#stall(batch)
      else this.#init.onFailure(error)
      return
    }
    this.#syncs -= 1
    if (this.#isStopped) return
    const endedMs = clock.monotonicMs()
    this.#syncMs.note(endedMs - startedMs, endedMs)
    this.#succeed(batch)
  }

  #succeed(batch: Promised<Owner>[]): void {
    const all = this.#stalled.length === 0 ? batch : [...this.#stalled, ...batch]
    this.#stalled = []
    if (this.#isFull) {
      this.#isFull = false
      this.#retryMs = driverLimits.fullRetryMsMin
      this.#cancelRetry?.()
      this.#cancelRetry = undefined
      this.#init.onFull(false)
    }
    this.#init.onDurable(all)
  }

  #stall(batch: Promised<Owner>[]): void {
    this.#stalled.push(...batch)
    if (this.#cancelRetry === undefined) {
      this.#cancelRetry = this.#init.clock.after(this.#retryMs, () => {
        this.#cancelRetry = undefined
        void this.#sync([])
      })
      this.#retryMs = Math.min(this.#retryMs * 2, driverLimits.fullRetryMsMax)
    }
    this.#isFull = true
    this.#init.onFull(true)
  }
}
