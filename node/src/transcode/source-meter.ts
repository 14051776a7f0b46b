/** Measures a source while it comes in: how many pictures and bits a second it has. */
import { transcodeLimits as limits } from '../limits/transcode.ts'
import { type AccessUnit, TICKS_PER_MS, TICKS_PER_SECOND } from '../media/access-unit.ts'

/** What was measured. */
export interface SourceRate {
  /** Pictures a second; undefined when too few came. */
  readonly frameRate: number | undefined
  /** Bits a second. */
  readonly bitrateBps: number
}

/** Measures one video track. */
export class SourceMeter {
  #first: SourceRate | undefined
  #latestBps: number | undefined
  #startDts: number | undefined
  #endDts = 0
  #units = 0
  #bytes = 0

  /** The measurement of the first second; undefined until it is over. */
  get first(): SourceRate | undefined {
    return this.#first
  }

  /** Bits a second over the last whole window of ten seconds. */
  get latestBps(): number | undefined {
    return this.#latestBps
  }

  /** Takes a unit. Times that jump begin the measurement anew. */
  add({ dts, data }: AccessUnit): void {
    const gap = dts - this.#endDts
    if (this.#startDts === undefined || gap < 0 || gap > limits.measureGapMs * TICKS_PER_MS) {
      this.#begin(dts)
    }
    const elapsed = dts - (this.#startDts as number)
    const windowMs = this.#first === undefined ? limits.measureMs : limits.remeasureMs
    // The unit that ends the window belongs to the next one: n pictures last n times their distance.
    if (elapsed >= windowMs * TICKS_PER_MS) {
      const seconds = elapsed / TICKS_PER_SECOND
      const bitrateBps = Math.round((this.#bytes * 8) / seconds)
      const frameRate = this.#units < 2 ? undefined : roundRate(this.#units / seconds)
      if (this.#first === undefined) this.#first = { frameRate, bitrateBps }
      else this.#latestBps = bitrateBps
      this.#begin(dts)
    }
    this.#units += 1
    this.#bytes += data.byteLength
    this.#endDts = dts
  }

  #begin(dts: number): void {
    this.#startDts = dts
    this.#endDts = dts
    this.#units = 0
    this.#bytes = 0
  }
}

/** Rates that are meant, within what a second's measurement can tell. */
function roundRate(rate: number): number {
  const meant = [24, 25, 30, 48, 50, 60, 90, 100, 120].find(
    (usual) => Math.abs(rate / usual - 1) < 0.015,
  )
  return meant ?? rate
}
