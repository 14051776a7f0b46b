/**
 * What hls.js is told of a load, so that its choice of a level stays sound. It takes the span from `loading.start` to the end of parsing, less the time to
 * the first byte as it knows it, as what the bytes took. Of a part that came from memory, or was pushed before it was asked for, that would be an
 * endless bandwidth; of one that waited until somebody else had fetched it, next to none. Neither says what the next level would get. So the times are made
 * from the rate at which the bytes did come, ending now: `start` then lies before the request, or after it. A part that HTTP alone brought, after it was
 * asked for, keeps its times, as hls.js' own loader has them.
 */
import type { LoaderStats } from 'hls.js'
import type { PartArrival } from '../engine/part-request.ts'
import { hlsLimits as limits } from './limits.ts'

/** When loading began, brought its first byte and ended, as hls.js has it. */
export type Loading = LoaderStats['loading']

/** Of a load that has not begun. */
export function newStats(): LoaderStats {
  return {
    ...{ aborted: false, loaded: 0, retry: 0, total: 0, chunkCount: 0, bwEstimate: 0 },
    loading: { start: 0, first: 0, end: 0 },
    parsing: { start: 0, end: 0 },
    buffering: { start: 0, first: 0, end: 0 },
  }
}

/** The times of a part that was asked for at `startMs` and is handed over at `nowMs`. */
export function loadingOf(arrival: PartArrival, startMs: number, nowMs: number): Loading {
  const { bytes, peerBytes, firstMs, lastMs, bps } = arrival
  const waitedMs = Math.max(0, firstMs - startMs)
  if (peerBytes === 0 && firstMs >= startMs) {
    return { start: startMs, first: firstMs, end: Math.max(lastMs, firstMs) }
  }
  const spanMs = bps > 0 ? (bytes.length * 8_000) / bps : Math.max(0, lastMs - firstMs)
  const first = nowMs - spanMs
  return { start: first - Math.min(waitedMs, limits.firstByteMsMax), first, end: nowMs }
}

/** Counts what HTTP brought so far, from which hls.js sees whether the load will be there in time. */
export class Progress {
  #bytes = 0
  #httpBytes = 0
  #httpSinceMs = 0

  /**
   * Some bytes came. What other pages bring is not shown by itself, since HTTP takes over where that is too slow for the buffer; once HTTP
   * brings some, all that there is is shown at HTTP's rate.
   */
  came(stats: LoaderStats, bytes: number, isHttp: boolean, nowMs: number): void {
    this.#bytes += bytes
    if (!isHttp) return
    if (this.#httpBytes === 0) this.#httpSinceMs = nowMs
    this.#httpBytes += bytes
    const spanMs = ((nowMs - this.#httpSinceMs) * this.#bytes) / this.#httpBytes
    stats.loaded = this.#bytes
    stats.chunkCount += 1
    stats.loading.first = Math.max(stats.loading.start, nowMs - spanMs)
  }
}
