/** The recent latencies of one peer. */
import { fetchLimits } from '../../limits/fetch.ts'

const QUANTILE = 0.95

/** Milliseconds from requests to the heads of their answers; of the newest only. */
export class LatencyWindow {
  readonly #samples: number[] = []
  #next = 0
  #added = 0
  #hedgeMs: number = fetchLimits.hedgeMsDefault

  /** Takes a latency. */
  add(ms: number): void {
    this.#samples[this.#next] = ms
    this.#next = (this.#next + 1) % fetchLimits.latencySamplesMax
    this.#added += 1
    // Sorting costs more than what one sample changes.
    if (this.#added % fetchLimits.hedgeSamplesMin === 0) this.#hedgeMs = this.#judge()
  }

  /** Silence after which a second provider is asked, milliseconds. */
  get hedgeMs(): number {
    return this.#hedgeMs
  }

  #judge(): number {
    if (this.#samples.length < fetchLimits.hedgeSamplesMin) return fetchLimits.hedgeMsDefault
    const sorted = [...this.#samples].sort((a, b) => a - b)
    const p95 = sorted[Math.ceil(sorted.length * QUANTILE) - 1] ?? fetchLimits.hedgeMsDefault
    return Math.min(Math.max(p95, fetchLimits.hedgeMsMin), fetchLimits.hedgeMsMax)
  }
}
