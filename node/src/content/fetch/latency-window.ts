/** The recent latencies of one peer. */
import { fetchLimits } from '../../limits/fetch.ts'

const QUANTILE = 0.95

/** How many latencies are kept, and between what their 95th percentile is. */
export interface LatencyLimits {
  readonly latencySamplesMax: number
  /** Too few to judge by below this; then the default stands. */
  readonly hedgeSamplesMin: number
  readonly hedgeMsDefault: number
  readonly hedgeMsMin: number
  readonly hedgeMsMax: number
}

/** Milliseconds from requests to the heads of their answers; of the newest only. */
export class LatencyWindow {
  readonly #limits: LatencyLimits
  readonly #samples: number[] = []
  #next = 0
  #added = 0
  #hedgeMs: number

  constructor(limits: LatencyLimits = fetchLimits) {
    this.#limits = limits
    this.#hedgeMs = limits.hedgeMsDefault
  }

  /** Takes a latency. */
  add(ms: number): void {
    this.#samples[this.#next] = ms
    this.#next = (this.#next + 1) % this.#limits.latencySamplesMax
    this.#added += 1
    // Sorting costs more than what one sample changes.
    if (this.#added % this.#limits.hedgeSamplesMin === 0) this.#hedgeMs = this.#judge()
  }

  /** Silence after which a second provider is asked, milliseconds. */
  get hedgeMs(): number {
    return this.#hedgeMs
  }

  #judge(): number {
    if (this.#samples.length < this.#limits.hedgeSamplesMin) return this.#limits.hedgeMsDefault
    const sorted = [...this.#samples].sort((a, b) => a - b)
    const p95 = sorted[Math.ceil(sorted.length * QUANTILE) - 1] ?? this.#limits.hedgeMsDefault
    return Math.min(Math.max(p95, this.#limits.hedgeMsMin), this.#limits.hedgeMsMax)
  }
}
