/** The one layer that asks etcd again: package etcd3 is told to try once, on one member. */
import { ClientClosedError } from 'etcd3'
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../coordination.ts'
import { checkTimeout } from '../coordination-check.ts'
import { TrackerError } from '../errors.ts'
import { finalError, isNotDone, isTokenError, statusOf } from './etcd-errors.ts'
import { etcdLimits } from './etcd-limits.ts'

/** `again`: asking twice does no harm. `once`: it is asked again only when it is certain that it was not done. */
export type CallKind = 'again' | 'once'

/** What one attempt tells etcd: gRPC gives up at the deadline. */
export interface AttemptOptions {
  readonly deadline: Date
}

/** Calls of one client: deadlines, attempts, what ends them. */
export class EtcdCalls {
  readonly counters = { calls: 0, retries: 0, refused: 0, unknownOutcomes: 0 }
  readonly #clock: Clock
  readonly #pending = new Set<(error: TrackerError) => void>()
  #isStopped = false

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /**
   * Calls etcd until it answers, the time is up or asking again could do harm.
   * @throws TrackerError as the call's errors are described; the signal's reason when it is aborted
   */
  async run<T>(
    kind: CallKind,
    options: CallOptions,
    attempt: (options: AttemptOptions) => Promise<T>,
  ): Promise<T> {
    const { signal } = options
    const end = this.#clock.monotonicMs() + checkTimeout(options.timeoutMs)
    signal?.throwIfAborted()
    if (this.#isStopped) throw stopped()
    if (this.#pending.size >= etcdLimits.callsMax) {
      this.counters.refused += 1
      throw new TrackerError('ERR_OVERLOADED', `${etcdLimits.callsMax} calls wait for etcd already`)
    }
    this.counters.calls += 1
    return this.untilEnd(signal, this.#attempts(kind, end, signal, attempt))
  }

  /** Waits for a promise, unless the signal is aborted or the client is stopped. */
  untilEnd<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const onAbort = () => reject(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.add(reject)
      promise.then(resolve, reject).finally(() => {
        signal?.removeEventListener('abort', onAbort)
        this.#pending.delete(reject)
      })
    })
  }

  /** Passes when the time has, at once when the signal is aborted; throws when the client is stopped. */
  async pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return
    if (this.#isStopped) throw stopped()
    await this.untilEnd(
      undefined,
      new Promise<void>((resolve) => {
        const done = () => {
          cancel()
          signal?.removeEventListener('abort', done)
          resolve()
        }
        const cancel = this.#clock.after(ms, done)
        signal?.addEventListener('abort', done, { once: true })
      }),
    )
  }

  /** Ends all calls and pauses with ERR_STOPPED. */
  stop(): void {
    this.#isStopped = true
    for (const reject of this.#pending) reject(stopped())
  }

  async #attempts<T>(
    kind: CallKind,
    end: number,
    signal: AbortSignal | undefined,
    attempt: (options: AttemptOptions) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const left = end - this.#clock.monotonicMs()
      const ms = kind === 'again' ? Math.min(left, etcdLimits.attemptMs) : left
      try {
        return await attempt({ deadline: new Date(this.#clock.now() + ms) })
      } catch (error) {
        throwFinal(error)
        if (this.#isStopped) throw stopped()
        if (kind === 'once' && !isNotDone(error) && !isTokenError(error)) {
          this.counters.unknownOutcomes += 1
          throw unknownOutcome(error)
        }
        const isOver = end - this.#clock.monotonicMs() <= etcdLimits.retryMs
        if (isOver || signal?.aborted) throw unavailable(error)
      }
      this.counters.retries += 1
      await this.pause(etcdLimits.retryMs, signal)
    }
  }
}

/** The client was stopped. */
export function stopped(): TrackerError {
  return new TrackerError('ERR_STOPPED', 'coordination was stopped')
}

/** Throws what asking again does not change: what etcd refuses, and errors that are not etcd's at all. */
export function throwFinal(error: unknown): void {
  const final = finalError(error)
  if (final !== undefined) throw final
  const isOfEtcd = statusOf(error).code !== undefined || error instanceof ClientClosedError
  if (!isOfEtcd) throw error
}

function unknownOutcome(cause: unknown): TrackerError {
  const { text } = statusOf(cause)
  return new TrackerError('ERR_UNKNOWN_OUTCOME', `etcd may or may not have done it: ${text}`, {
    cause,
  })
}

function unavailable(cause: unknown): TrackerError {
  const { text } = statusOf(cause)
  return new TrackerError('ERR_UNAVAILABLE', `etcd does not answer: ${text}`, { cause })
}
