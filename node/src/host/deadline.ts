/**
 * Deadlines on the injected clock: a signal that fires after a time or with another signal, whichever is first.
 */
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'

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
