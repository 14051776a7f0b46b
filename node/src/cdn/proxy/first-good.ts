/** One answer out of several ways to it: the best way first, the next beside it when it is late or has failed. The first good one counts. */
import { abortReason } from '../../deadline.ts'

/** One way to an answer. */
export interface Contender<T> {
  /** Goes that way. The signal outlives the answer: it ends what the answer brings, too. */
  run(signal: AbortSignal): Promise<T>
  /** Resolves when the next one should begin although this one has not failed; undefined lets it take its time. */
  late?(signal: AbortSignal): Promise<void>
}

interface Running<T> {
  readonly contender: Contender<T>
  readonly own: AbortController
}

type Event<T> =
  | { readonly kind: 'good'; readonly value: T; readonly winner: Running<T> }
  | { readonly kind: 'failed'; readonly loser: Running<T>; readonly error: unknown }
  | { readonly kind: 'late'; readonly laggard: Running<T> }

/**
 * The answer of the first contender that has one; all others are ended then.
 * @param contenders at least one, in the order in which they begin.
 * @throws when all have failed, what the last of them in that order throws; the signal's reason when it fires.
 */
export async function firstGood<T>(
  contenders: readonly Contender<T>[],
  signal: AbortSignal,
): Promise<T> {
  const waiting = [...contenders]
  const running = new Set<Running<T>>()
  let last: { readonly index: number; readonly error: unknown } | undefined
  // Those that are late begin no other more than once: only the newest one's lateness counts.
  let newest: Running<T> | undefined
  let isOver = false
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const startNext = (): void => {
    const contender = waiting.shift()
    if (contender === undefined) return
    newest = start(contender, signal, onEvent)
    running.add(newest)
  }
  const onEvent = (event: Event<T>): void => {
    switch (event.kind) {
      case 'good':
        // A second one is a loser whose end is on its way.
        if (isOver) return
        isOver = true
        running.delete(event.winner)
        resolve(event.value)
        return
      case 'late':
        if (event.laggard === newest) startNext()
        return
      case 'failed': {
        running.delete(event.loser)
        const index = contenders.indexOf(event.loser.contender)
        if (last === undefined || index > last.index) last = { index, error: event.error }
        if (event.loser === newest) startNext()
        if (running.size === 0) reject(last.error)
      }
    }
  }
  const onAbort = (): void => reject(abortReason(signal))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  else startNext()
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    isOver = true
    waiting.length = 0
    for (const { own } of running) own.abort(new OvertakenError())
  }
}

/** Another contender was first: no failure of the one that is told so. */
export class OvertakenError extends Error {
  constructor() {
    super('another one was faster')
  }
}

function start<T>(
  contender: Contender<T>,
  signal: AbortSignal,
  onEvent: (event: Event<T>) => void,
): Running<T> {
  const running: Running<T> = { contender, own: new AbortController() }
  // What the winner brings is ended by whoever asked, long after the others are gone.
  const whole = AbortSignal.any([signal, running.own.signal])
  const watch = new AbortController()
  contender.run(whole).then(
    (value) => {
      watch.abort()
      onEvent({ kind: 'good', value, winner: running })
    },
    (error: unknown) => {
      watch.abort()
      onEvent({ kind: 'failed', loser: running, error })
    },
  )
  contender.late?.(AbortSignal.any([whole, watch.signal])).then(
    () => onEvent({ kind: 'late', laggard: running }),
    // It has ended, and nobody needs to know any more whether it was late.
    () => {},
  )
  return running
}
