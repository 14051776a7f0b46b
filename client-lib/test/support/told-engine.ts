/** An engine whose answers a test gives, and which remembers what it was told. */
import type {
  PartArrival,
  PartCallbacks,
  PartEngine,
  PartRequest,
  PartSource,
  Playing,
} from '../../src/engine/part-request.ts'

/** A request that was made. */
export interface ToldRequest extends PartRequest {
  readonly callbacks: PartCallbacks
  isCancelled: boolean
}

/** The engine. */
export class ToldEngine implements PartEngine {
  readonly requests: ToldRequest[] = []
  readonly hastened: { key: string; deadlineMs: number; isUrgent: boolean }[] = []
  readonly listed: (readonly PartSource[])[] = []
  readonly played: (Playing | undefined)[] = []

  load(request: PartRequest, callbacks: PartCallbacks): () => void {
    const told: ToldRequest = { ...request, callbacks, isCancelled: false }
    this.requests.push(told)
    return () => {
      told.isCancelled = true
    }
  }

  hasten(key: string, deadlineMs: number, isUrgent: boolean): void {
    this.hastened.push({ key, deadlineMs, isUrgent })
  }

  published(parts: readonly PartSource[]): void {
    this.listed.push(parts)
  }

  playing(now: Playing | undefined): void {
    this.played.push(now)
  }

  /** The newest request. */
  get last(): ToldRequest {
    const request = this.requests.at(-1)
    if (request === undefined) throw new Error('nothing was asked for')
    return request
  }
}

/** How a part came: all of it by HTTP within 100 ms, unless it is said otherwise. */
export function arrival(of: Partial<PartArrival> = {}): PartArrival {
  const bytes = of.bytes ?? new Uint8Array(1_000)
  return {
    ...{ bytes, httpBytes: bytes.length, peerBytes: 0, firstMs: 0, lastMs: 100, bps: 80_000 },
    ...of,
  }
}
