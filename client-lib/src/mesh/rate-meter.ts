/** How fast bytes flow, of late. */
import { meshLimits as limits } from './limits.ts'

/** A mean that forgets: what was long ago counts exponentially less. */
export class RateMeter {
  #bytesPerMs = 0
  #atMs = 0
  #bytes = 0

  add(bytes: number, nowMs: number): void {
    this.#decay(nowMs)
    this.#bytesPerMs += bytes / limits.rateMs
    this.#bytes += bytes
  }

  /** Bits a second. */
  bps(nowMs: number): number {
    this.#decay(nowMs)
    return this.#bytesPerMs * 8_000
  }

  /** All that was added. */
  get bytes(): number {
    return this.#bytes
  }

  #decay(nowMs: number): void {
    const sinceMs = Math.max(0, nowMs - this.#atMs)
    this.#bytesPerMs *= Math.exp(-sinceMs / limits.rateMs)
    this.#atMs = nowMs
  }
}
