/**
 * Requests that wait for a part. All that wait for the same part share one wait on the rendition, so that a live edge with
 * thousands of viewers costs the content plane one waiter; each request keeps its own deadline and its own way out.
 */
import type { Clock } from '../clock.ts'
import type { LiveRendition } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import { deliveryLimits } from '../limits.ts'
import type { HlsMetrics } from './hls-metrics.ts'

/** How a wait ended: what was waited for came (or cannot come any more), or time was up. */
export type BlockOutcome = 'woken' | 'timeout'

/** The part to wait for, and for how long. */
export interface BlockRequest {
  readonly rendition: LiveRendition
  readonly msn: number
  /** Undefined: the whole segment. */
  readonly part: number | undefined
  readonly timeoutMs: number
  /** Fires when the client is gone. */
  readonly signal: AbortSignal
}

interface SharedWait {
  readonly controller: AbortController
  readonly waiting: Set<(outcome: 'woken' | Error) => void>
}

/** The blocked requests of one handler. */
export class BlockedRequests {
  readonly #clock: Clock
  readonly #metrics: HlsMetrics
  readonly #waits = new WeakMap<LiveRendition, Map<string, SharedWait>>()
  #count = 0

  constructor(components: { readonly clock: Clock; readonly metrics: HlsMetrics }) {
    this.#clock = components.clock
    this.#metrics = components.metrics
  }

  /**
   * Waits with the others.
   * @throws KairoError what {@link LiveRendition.wait} throws, `ERR_LIMIT` when too many wait, `ERR_TIMEOUT` when the signal
   * fires.
   */
  wait(request: BlockRequest): Promise<BlockOutcome> {
    if (request.signal.aborted) return Promise.reject(clientGone())
    if (this.#count >= deliveryLimits.blockedRequestsMax) {
      return Promise.reject(
        new KairoError('ERR_LIMIT', 'too many requests wait for parts at this peer'),
      )
    }
    return new Promise((resolve, reject) => {
      const startedMs = this.#clock.monotonicMs()
      const leave = this.#join(request, (outcome) => {
        settle()
        if (outcome === 'woken') resolve('woken')
        else reject(outcome)
      })
      const cancelTimer = this.#clock.after(request.timeoutMs, () => {
        settle()
        resolve('timeout')
      })
      const onAbort = (): void => {
        settle()
        reject(clientGone())
      }
      const settle = (): void => {
        cancelTimer()
        request.signal.removeEventListener('abort', onAbort)
        leave()
        this.#count -= 1
        this.#metrics.unblocked((this.#clock.monotonicMs() - startedMs) / 1_000)
      }
      request.signal.addEventListener('abort', onAbort, { once: true })
      this.#count += 1
      this.#metrics.blocked()
    })
  }

  /** Joins the wait for a part, starting it where it is the first. Returns the way to leave, which ends a wait nobody is left in. */
  #join(request: BlockRequest, wake: (outcome: 'woken' | Error) => void): () => void {
    const { rendition, msn, part } = request
    const waits = this.#waits.get(rendition) ?? new Map<string, SharedWait>()
    this.#waits.set(rendition, waits)
    const key = part === undefined ? `${msn}` : `${msn}.${part}`
    const shared = waits.get(key) ?? this.#start(request, waits, key)
    shared.waiting.add(wake)
    return () => {
      shared.waiting.delete(wake)
      if (shared.waiting.size > 0 || waits.get(key) !== shared) return
      waits.delete(key)
      shared.controller.abort()
    }
  }

  #start(request: BlockRequest, waits: Map<string, SharedWait>, key: string): SharedWait {
    const shared: SharedWait = { controller: new AbortController(), waiting: new Set() }
    const { signal } = shared.controller
    const arrival = request.rendition.wait(request.msn, request.part, { signal })
    waits.set(key, shared)
    const wakeAll = (outcome: 'woken' | Error): void => {
      if (waits.get(key) === shared) waits.delete(key)
      for (const wake of [...shared.waiting]) wake(outcome)
    }
    arrival.then(
      () => wakeAll('woken'),
      (error: unknown) => wakeAll(error instanceof Error ? error : new Error(String(error))),
    )
    return shared
  }
}

function clientGone(): KairoError {
  return new KairoError('ERR_TIMEOUT', 'the client left before the answer was ready')
}
