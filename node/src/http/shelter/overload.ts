/** Whether the process keeps up, by how late its timers fire and how much memory it holds. */

import { overloadLimits as limits } from '../../limits/shelter.ts'
import type { Logger } from '../../logger.ts'
import { Watermark } from './watermark.ts'

/** What there may be too much of. */
export type OverloadReason = 'event-loop' | 'memory'

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

  /** Takes a look: how late it comes, and the share of the memory in use, 0 to 1. */
  look(lateMs: number, memoryShare: number): void {
    const changes = [this.#lag.look(lateMs), this.#memory.look(memoryShare)]
    if (!changes.includes(true)) return
    const fields = { lateMs: Math.round(lateMs), memoryShare: Math.round(memoryShare * 100) / 100 }
    if (this.reason === undefined) this.#logger.info(fields, 'the peer keeps up again')
    else this.#logger.warn({ ...fields, reason: this.reason }, 'the peer is overloaded')
  }
}
