/** Lets so many in at once; the others wait in line, a bounded number of them for a bounded time. */
import type { Clock } from '../../clock.ts'
import { abortReason } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'

/** The bounds of a gate. */
export interface GateInit {
  readonly insideMax: number
  readonly waitingMax: number
  readonly waitMsMax: number
  /** Told whenever somebody is turned away for want of room. */
  readonly onRefused: (reason: 'queue-full' | 'queue-timeout') => void
}

interface Waiter {
  readonly enter: () => void
  readonly refuse: (error: KairoError) => void
}

/** First come, first served. */
export class Gate {
  readonly #clock: Clock
  readonly #init: GateInit
  readonly #waiters = new Set<Waiter>()
  #inside = 0

  constructor(components: { readonly clock: Clock }, init: GateInit) {
    this.#clock = components.clock
    this.#init = init
  }

  /** How many are inside. */
  get inside(): number {
    return this.#inside
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.size
  }

  /**
   * Waits for room; whoever got in calls {@link leave} once.
   * @throws KairoError `ERR_OVERLOADED` when too many wait or it takes too long, or the reason of the signal.
   */
  async enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortReason(signal)
    if (this.#inside < this.#init.insideMax) {
      this.#inside += 1
      return
    }
    if (this.#waiters.size >= this.#init.waitingMax) {
      this.#init.onRefused('queue-full')
      throw new KairoError('ERR_OVERLOADED', 'too many requests wait for the origin')
    }
    await this.#wait(signal)
  }

  /** Makes room for the next in line. */
  leave(): void {
    const [next] = this.#waiters
    if (next === undefined) this.#inside -= 1
    else next.enter()
  }

  /** Turns away everybody who waits. */
  refuseWaiting(error: KairoError): void {
    for (const waiter of [...this.#waiters]) waiter.refuse(error)
  }

  #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const settle = (): void => {
      this.#waiters.delete(waiter)
      cancel()
      signal.removeEventListener('abort', onAbort)
    }
    const waiter: Waiter = {
      enter: () => {
        settle()
        resolve()
      },
      refuse: (error) => {
        settle()
        reject(error)
      },
    }
    const onAbort = (): void => waiter.refuse(abortReason(signal))
    const cancel = this.#clock.after(this.#init.waitMsMax, () => {
      this.#init.onRefused('queue-timeout')
      waiter.refuse(new KairoError('ERR_OVERLOADED', 'the origin is busy for too long'))
    })
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiters.add(waiter)
    return promise
  }
}
