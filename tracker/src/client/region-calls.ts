/** The one layer of the region's client that asks again: finds the leader, follows it, and never repeats what may have been done. */
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../coordination.ts'
import { checkTimeout } from '../coordination-check.ts'
import { TrackerError } from '../errors.ts'
import { type CallLane, callServices } from './call-lane.ts'
import { regionClientLimits } from './call-limits.ts'
import type { LeaderBook } from './leader-book.ts'

/** `again`: asking twice does no harm. `once`: it is asked again only when it is certain that it was not done. */
export type CallKind = 'again' | 'once'

/** What calls work with. */
export interface RegionCallsComponents {
  readonly lane: CallLane
  readonly clock: Clock
  readonly book: LeaderBook
}

/** One call until it ends. */
interface PendingCall {
  readonly kind: CallKind
  readonly service: number
  readonly group: number
  readonly request: Uint8Array
  /** Monotonic milliseconds. */
  readonly end: number
  readonly isWanted: () => boolean
}

/** What asking again does not change. A leader whose disk is full hands over, so that is not among it. */
const finalCodes: ReadonlySet<string> = new Set([
  'ERR_OVERLOADED',
  'ERR_COMPACTED',
  'ERR_LEASE_NOT_FOUND',
  'ERR_INVALID_INPUT',
  'ERR_MALFORMED',
])

/** Calls of one client. */
export class RegionCalls {
  readonly counters = { calls: 0, retries: 0, refused: 0, unknownOutcomes: 0 }
  readonly #components: RegionCallsComponents
  readonly #pending = new Set<(error: TrackerError) => void>()
  #isStopped = false

  constructor(components: RegionCallsComponents) {
    this.#components = components
  }

  /** Whether {@link stop} was called. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /**
   * Asks the leader of a group; of the coordination service unless another one is named.
   * @throws TrackerError as the call's errors are described; the signal's reason when it is aborted
   */
  run(
    kind: CallKind,
    group: number,
    request: Uint8Array,
    options: CallOptions,
    service: number = callServices.coordination,
  ): Promise<Uint8Array> {
    const { signal } = options
    const end = this.#components.clock.monotonicMs() + checkTimeout(options.timeoutMs)
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#isStopped) return Promise.reject(stopped())
    if (this.#pending.size >= regionClientLimits.callsMax) {
      this.counters.refused += 1
      const message = `${regionClientLimits.callsMax} calls wait already`
      return Promise.reject(new TrackerError('ERR_OVERLOADED', message))
    }
    this.counters.calls += 1
    return new Promise((resolve, reject) => {
      const onAbort = signal && (() => finish(() => reject(signal.reason)))
      const onStop = (error: TrackerError) => finish(() => reject(error))
      const finish = (settle: () => void) => {
        if (!this.#pending.delete(onStop)) return
        if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
        settle()
      }
      if (onAbort !== undefined) signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.add(onStop)
      const isWanted = (): boolean => this.#pending.has(onStop)
      this.#attempts({ kind, service, group, request, end, isWanted }).then(
        (answer) => finish(() => resolve(answer)),
        (error: unknown) => finish(() => reject(error)),
      )
    })
  }

  /** The number of the region, for its requests. */
  get region(): number {
    return this.#components.book.region
  }

  /** Ends all calls with ERR_STOPPED. */
  stop(): void {
    this.#isStopped = true
    for (const end of [...this.#pending]) end(stopped())
  }

  async #attempts(call: PendingCall): Promise<Uint8Array> {
    const { lane, clock, book } = this.#components
    const { kind, service, group, request, end: endMs, isWanted } = call
    let redirects = 0
    if (!book.knows(group))
      await book.changed(group, Math.min(regionClientLimits.retryMs, endMs - clock.monotonicMs()))
    for (;;) {
      const leftMs = endMs - clock.monotonicMs()
      const target = book.target(group)
      let error: TrackerError
      if (target === undefined) error = new TrackerError('ERR_UNAVAILABLE', 'no member is known')
      else {
        const [timeoutMs, hastyMs] =
          kind === 'again'
            ? [Math.min(leftMs, attemptMs), formerLeaderAgainMs]
            : [leftMs, formerLeaderOnceMs]
        try {
          return await lane.ask(target, service, request, { timeoutMs, tag: group, hastyMs })
        } catch (cause) {
          error = this.#judge(kind, cause)
        }
        const mayAskAtOnce = this.#move(group, target, error)
        redirects = mayAskAtOnce ? redirects + 1 : 0
      }
      if (!isWanted()) throw error
      const leftNow = endMs - clock.monotonicMs()
      if (leftNow <= 0) throw unavailable(error)
      this.counters.retries += 1
      if (redirects > 0 && redirects <= regionClientLimits.redirectsMax) continue
      redirects = 0
      await book.changed(group, Math.min(regionClientLimits.retryMs, leftNow))
    }
  }

  /** Throws what ends the call; returns what does not. */
  #judge(kind: CallKind, error: unknown): TrackerError {
    if (!(error instanceof TrackerError) || finalCodes.has(error.code)) throw error
    if (this.#isStopped) throw stopped()
    if (error.code !== 'ERR_UNKNOWN_OUTCOME' || kind === 'again') return error
    this.counters.unknownOutcomes += 1
    throw error
  }

  /** Finds out whom to ask next. Returns whether that one may be asked at once. */
  #move(group: number, target: string, error: TrackerError): boolean {
    const { book } = this.#components
    if (error.code === 'ERR_NOT_LEADER') return book.refused(group, target, error.leader)
    book.failed(group, target)
    return false
  }
}

const { attemptMs, formerLeaderAgainMs, formerLeaderOnceMs } = regionClientLimits

/** The client was stopped. */
export function stopped(): TrackerError {
  return new TrackerError('ERR_STOPPED', 'coordination was stopped')
}

function unavailable(cause: TrackerError): TrackerError {
  if (cause.code === 'ERR_UNAVAILABLE' || cause.code === 'ERR_NOT_A_MEMBER') return cause
  const message = `no leader with a quorum answers: ${cause.message}`
  return new TrackerError('ERR_UNAVAILABLE', message, { cause })
}
