/** Waiting on the injected clock. */
import type { Clock } from '../clock.ts'

/** Resolves after a time, or at once when the signal is aborted. */
export async function waitFor(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const end = (): void => resolve()
  const cancel = clock.after(ms, end)
  signal.addEventListener('abort', end, { once: true })
  try {
    await promise
  } finally {
    cancel()
    signal.removeEventListener('abort', end)
  }
}
