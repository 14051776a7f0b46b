/**
 * Histories: what clients asked of a store and what they were told, in the order in which it happened. The checker
 * judges them; a test of real processes records one with {@link HistoryRecorder}.
 */
import assert from 'node:assert/strict'

/** One call of one client. `call` and `return` are places in one order of events: a smaller one happened earlier. */
export interface Operation<Input, Output> {
  /** Who called. A process has one call open at a time; after one of unknown outcome it calls no more. */
  readonly process: number | string
  readonly call: number
  /** `Infinity` when it is not known to have returned: it takes effect at any time after the call, or never. */
  readonly return: number
  readonly input: Input
  /** Undefined when the outcome is unknown. */
  readonly output: Output | undefined
  /** When it happened, in milliseconds of any clock. For people: the checker looks at `call` and `return` alone. */
  readonly invokedAt?: number
  readonly returnedAt?: number
}

/** A call that the recorder waits for. */
export interface OpenCall<Input> {
  readonly process: number | string
  readonly call: number
  readonly input: Input
  readonly invokedAt: number
}

/**
 * Writes down a history as it happens. All clients of one history use one recorder, so that the order of events is the
 * order of these calls; an event must be noted before the request leaves and after the answer has come.
 */
export class HistoryRecorder<Input, Output> {
  readonly #now: () => number
  readonly #open = new Map<number | string, OpenCall<Input>>()
  readonly #done: Operation<Input, Output>[] = []
  readonly #retired = new Set<number | string>()
  #events = 0

  constructor(init: { now: () => number }) {
    this.#now = init.now
  }

  /** A client is about to ask. */
  invoke(process: number | string, input: Input): OpenCall<Input> {
    assert(!this.#open.has(process), `process ${process} has a call open`)
    assert(!this.#retired.has(process), `process ${process} ended with a call of unknown outcome`)
    const call = { process, call: this.#events++, input, invokedAt: this.#now() }
    this.#open.set(process, call)
    return call
  }

  /** The answer has come. */
  ok(call: OpenCall<Input>, output: Output): void {
    this.#close(call)
    const returned = { return: this.#events++, output, returnedAt: this.#now() }
    this.#done.push({ ...call, ...returned })
  }

  /** It is certain that nothing was done: the call is as if it had never been. */
  failed(call: OpenCall<Input>): void {
    this.#close(call)
  }

  /** Nobody knows: it may have taken effect, may still, or never will. The process must not be used again. */
  unknown(call: OpenCall<Input>): void {
    this.#close(call)
    this.#retired.add(call.process)
    this.#done.push({ ...call, return: Number.POSITIVE_INFINITY, output: undefined })
  }

  /** The history so far, in the order of the calls; calls that are still open count as of unknown outcome. */
  operations(): Operation<Input, Output>[] {
    const open = [...this.#open.values()].map((call) => ({
      ...call,
      return: Number.POSITIVE_INFINITY,
      output: undefined,
    }))
    return [...this.#done, ...open].sort((a, b) => a.call - b.call)
  }

  #close(call: OpenCall<Input>): void {
    assert(this.#open.get(call.process) === call, 'a call is closed once')
    this.#open.delete(call.process)
  }
}
