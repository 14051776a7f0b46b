/** Whether the process keeps up, by how late its timers fire and how much memory it holds. */

import { overloadLimits as limits } from '../../limits/shelter.ts'
import type { Logger } from '../../logger.ts'
import { Watermark } from './watermark.ts'

/** What there may be too much of. */
export type OverloadReason = 'event-loop' | 'memory'

/** What one look finds. */
export interface Load {
  /** How much later than it should it comes. */
  readonly lateMs: number
  /** Processor time that this process has used since the look before. */
  readonly busyMs: number
  /** Share of the memory in use, 0 to 1. */
  readonly memoryShare: number
}

/** Judges one look after the other. */
export class Overload {
  readonly #logger: Logger
  readonly #lag = new Watermark({ high: limits.lagMsHigh, low: limits.lagMsLow })
  readonly #memory = new Watermark({ high: limits.memoryShareHigh, low: limits.memoryShareLow })

  constructor(components: { readonly logger: Logger }) {
    this.#logger = components.logger
  }

  /** What there is too much of now. */
  get reason(): OverloadReason | undefined {
    if (this.#memory.isHigh) return 'memory'
    return this.#lag.isHigh ? 'event-loop' : undefined
  }

  /** Takes a look. Late by what this process did itself counts; where others have the processors, turning requests away would free none. */
  look({ lateMs, busyMs, memoryShare }: Load): void {
    const changes = [this.#lag.look(Math.min(lateMs, busyMs)), this.#memory.look(memoryShare)]
    if (!changes.includes(true)) return
    const fields = { lateMs: Math.round(lateMs), memoryShare: Math.round(memoryShare * 100) / 100 }
    if (this.reason === undefined) this.#logger.info(fields, 'the peer keeps up again')
    else this.#logger.warn({ ...fields, reason: this.reason }, 'the peer is overloaded')
  }
}
