/**
 * One request at a time for each upload. A client that lost its connection comes back while the old request still waits for
 * bytes; so whoever waits asks the holder to let go, and queues without using the processor.
 */
import type { Lock, Locker, RequestRelease } from '@tus/server'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { uploadLimits } from '../../limits/upload.ts'
import type { UploadMetrics } from './upload-metrics.ts'

interface Held {
  release: RequestRelease
  /** Those who wait, in order; each takes over with its own way to be asked to let go. */
  readonly waiting: Set<{ readonly release: RequestRelease; readonly take: () => void }>
}

/** The locks of one server's uploads. */
export class UploadLocks implements Locker {
  readonly #clock: Clock
  readonly #metrics: UploadMetrics
  readonly #held = new Map<string, Held>()

  constructor(components: { readonly clock: Clock; readonly metrics: UploadMetrics }) {
    this.#clock = components.clock
    this.#metrics = components.metrics
  }

  /** True while a request works on the upload. */
  isHeld(id: string): boolean {
    return this.#held.has(id)
  }

  newLock(id: string): Lock {
    return {
      lock: (signal, release) => this.#lock(id, signal, release),
      unlock: async () => this.#unlock(id),
    }
  }

  /** @throws KairoError `ERR_LOCKED` when too many wait, or the holder does not let go in time. */
  async #lock(id: string, signal: AbortSignal, release: RequestRelease): Promise<void> {
    const held = this.#held.get(id)
    if (held === undefined) {
      this.#held.set(id, { release, waiting: new Set() })
      return
    }
    if (held.waiting.size >= uploadLimits.lockWaitersMax) throw this.#refused()
    void held.release()
    const limit = deadline(this.#clock, uploadLimits.lockWaitMsMax, signal)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { release, take: resolve }
    const onAbort = (): void => {
      held.waiting.delete(waiter)
      reject(signal.aborted ? locked() : this.#refused())
    }
    held.waiting.add(waiter)
    if (limit.signal.aborted) onAbort()
    else limit.signal.addEventListener('abort', onAbort, { once: true })
    try {
      await promise
    } finally {
      limit.signal.removeEventListener('abort', onAbort)
      limit.clear()
    }
  }

  #unlock(id: string): void {
    const held = this.#held.get(id)
    const [next] = held?.waiting ?? []
    if (held === undefined || next === undefined) {
      this.#held.delete(id)
      return
    }
    held.waiting.delete(next)
    held.release = next.release
    next.take()
    // Others wait behind the new holder too.
    if (held.waiting.size > 0) void next.release()
  }

  #refused(): KairoError {
    this.#metrics.uploads.inc({ outcome: 'refused-locked' })
    return locked()
  }
}

function locked(): KairoError {
  return new KairoError('ERR_LOCKED', 'another request works on this upload; try again in a moment')
}
