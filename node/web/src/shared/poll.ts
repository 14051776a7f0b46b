/** Asks again and again, one request at a time, and rests while nobody looks at the page. */

/** How a {@link poll} runs. */
export interface PollInit<T> {
  /** Time from an answer to the next question. */
  readonly intervalMs: number
  /** Asks. */
  readonly ask: () => Promise<T>
  /** Takes an answer. */
  readonly onData: (data: T) => void
  /** Takes a failure; the next question comes later each time, up to eight intervals. */
  readonly onError: (error: unknown) => void
}

/** Ends a poll, or asks at once. */
export interface Poll {
  now(): void
  stop(): void
}

const backoffMax = 8

/** Starts asking at once. Pauses while the document is hidden and asks at once when it is shown again. */
export function poll<T>(init: PollInit<T>): Poll {
  let timer: ReturnType<typeof setTimeout> | undefined
  let stopped = false
  let asking = false
  let failures = 0
  const next = () => {
    if (stopped || document.hidden) return
    const factor = Math.min(backoffMax, 2 ** failures)
    timer = setTimeout(run, init.intervalMs * factor)
  }
  const run = () => {
    clearTimeout(timer)
    if (stopped || asking) return
    asking = true
    init
      .ask()
      .then(
        (data) => {
          failures = 0
          if (!stopped) init.onData(data)
        },
        (error: unknown) => {
          failures++
          if (!stopped) init.onError(error)
        },
      )
      .finally(() => {
        asking = false
        next()
      })
  }
  const onVisibility = () => {
    clearTimeout(timer)
    if (!document.hidden) run()
  }
  document.addEventListener('visibilitychange', onVisibility)
  run()
  return {
    now: run,
    stop: () => {
      stopped = true
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisibility)
    },
  }
}
