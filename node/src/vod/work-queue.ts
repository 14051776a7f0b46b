/** Tasks worked off by a few workers side by side; the first failure ends them all. */

/** One task; `signal` fires when its result is no longer wanted. */
export type Task = (signal: AbortSignal) => Promise<void>

/**
 * Works off tasks in their order, `parallel` at a time, and resolves when all are done.
 * Rejects with the first failure, or the signal's reason, when every task under way has ended.
 */
export async function workOff(
  tasks: readonly Task[],
  parallel: number,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController()
  const wanted = AbortSignal.any([signal, stop.signal])
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const work = async (): Promise<void> => {
    for (;;) {
      const task = tasks[next]
      if (task === undefined || wanted.aborted) return
      next += 1
      try {
        await task(wanted)
      } catch (error) {
        failure ??= { error }
        stop.abort()
      }
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, parallel) }, work))
  signal.throwIfAborted()
  if (failure !== undefined) throw failure.error
}
