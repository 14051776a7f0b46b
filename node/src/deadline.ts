/**
 * Deadlines on the injected clock: a signal that fires after a time or with another signal, whichever is first; and
 * waiting no longer than until a signal fires.
 */
import type { Clock } from './clock.ts'
import { KairoError } from './errors.ts'

/** A signal with the means to release what it holds. */
export interface Deadline {
  readonly signal: AbortSignal
  /** True when the time ran out, rather than the parent signal. */
  readonly expired: boolean
  /** Stops the timer and lets go of the parent signal; must be called once the work is over. */
  clear(): void
}

/** A deadline `delayMs` from now, also ended by `parent`. Its reason is a KairoError `ERR_TIMEOUT` on time-out. */
export function deadline(clock: Clock, delayMs: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController()
  let expired = false
  const onParent = (): void => controller.abort(parent?.reason)
  const cancel = clock.after(delayMs, () => {
    expired = true
    controller.abort(new KairoError('ERR_TIMEOUT', `no answer within ${delayMs} ms`))
  })
  if (parent?.aborted === true) onParent()
  else parent?.addEventListener('abort', onParent, { once: true })
  return {
    signal: controller.signal,
    get expired() {
      return expired
    },
    clear: () => {
      cancel()
      parent?.removeEventListener('abort', onParent)
    },
  }
}

/**
 * What a promise resolves to, unless the signal fires first; the work itself goes on.
 * @throws what the promise is rejected with; {@link abortReason} when the signal fires, or has fired.
 */
export async function unlessAborted<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  if (signal === undefined) return await promise
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(abortReason(signal))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([aborted, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** The reason of a fired signal as a KairoError. */
export function abortReason(signal: AbortSignal): KairoError {
  const reason: unknown = signal.reason
  if (reason instanceof KairoError) return reason
  return new KairoError('ERR_TIMEOUT', 'gave up waiting', { cause: reason })
}
