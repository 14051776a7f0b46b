/**
 * What an SRT receiver knows of its link: round trips, measured by acknowledgements and their answers, and the rate of what
 * comes (draft-sharabayko-srt-01 sections 3.2.4 and 4.10).
 */
import { srtLimits } from '../../limits/srt.ts'

/** Round trip assumed before the first is measured (section 4.10). */
const INITIAL_ROUND_TRIP_MS = 100
const RATE_WINDOW_MS = 1_000

/** Numbers acknowledgements and times their answers. */
export class Acknowledger {
  #roundTripMs = INITIAL_ROUND_TRIP_MS
  #varianceMs = INITIAL_ROUND_TRIP_MS / 2
  #measured = false
  #lastNumber = 0
  /** When each acknowledgement went that is not answered yet, oldest first. */
  readonly #sentMs = new Map<number, number>()

  /** Smoothed round trip. */
  get roundTripMs(): number {
    return this.#roundTripMs
  }

  /** Smoothed deviation of round trips. */
  get varianceMs(): number {
    return this.#varianceMs
  }

  /** Time in which an answer should have come. */
  get timeoutMs(): number {
    return this.#roundTripMs + 4 * this.#varianceMs
  }

  /** Numbers an acknowledgement that goes now. */
  next(nowMs: number): number {
    this.#lastNumber = (this.#lastNumber % 0x7fff_ffff) + 1
    this.#sentMs.set(this.#lastNumber, nowMs)
    if (this.#sentMs.size > srtLimits.acksAwaitedMax) {
      for (const oldest of this.#sentMs.keys()) {
        this.#sentMs.delete(oldest)
        break
      }
    }
    return this.#lastNumber
  }

  /** Takes the answer to an acknowledgement; the round trip it measures, undefined for one that is not awaited. */
  answered(number: number, nowMs: number): number | undefined {
    const sentMs = this.#sentMs.get(number)
    if (sentMs === undefined) return undefined
    for (const sent of this.#sentMs.keys()) {
      this.#sentMs.delete(sent)
      if (sent === number) break
    }
    const sampleMs = Math.max(0, nowMs - sentMs)
    if (this.#measured) {
      this.#varianceMs += (Math.abs(this.#roundTripMs - sampleMs) - this.#varianceMs) / 4
      this.#roundTripMs += (sampleMs - this.#roundTripMs) / 8
    } else {
      this.#measured = true
      this.#roundTripMs = sampleMs
      this.#varianceMs = sampleMs / 2
    }
    return sampleMs
  }
}

/** Packets and bytes a second, over the last whole second. */
export class ReceiveRate {
  #windowStartMs: number
  #packets = 0
  #bytes = 0
  packetsPerSecond = 0
  bytesPerSecond = 0

  constructor(nowMs: number) {
    this.#windowStartMs = nowMs
  }

  add(bytes: number, nowMs: number): void {
    const elapsedMs = nowMs - this.#windowStartMs
    if (elapsedMs >= RATE_WINDOW_MS) {
      this.packetsPerSecond = (this.#packets * 1_000) / elapsedMs
      this.bytesPerSecond = (this.#bytes * 1_000) / elapsedMs
      this.#packets = 0
      this.#bytes = 0
      this.#windowStartMs = nowMs
    }
    this.#packets += 1
    this.#bytes += bytes
  }
}
