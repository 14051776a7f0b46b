/** One piece of work for all who ask for the same thing at the same time. */
import { abortReason, unlessAborted } from '../deadline.ts'
import { KairoError } from '../errors.ts'

interface Flight<V> {
  readonly result: Promise<V>
  readonly controller: AbortController
  waiting: number
}

/**
 * Runs a task once per key, however many callers wait for it. A caller that gives up leaves the others undisturbed;
 * when the last one gives up the task's own signal fires.
 */
export class SingleFlight<V> {
  readonly #flights = new Map<string, Flight<V>>()

  /** Keys being worked on. */
  get size(): number {
    return this.#flights.size
  }

  /** True while somebody waits for `key`. */
  has(key: string): boolean {
    return this.#flights.has(key)
  }

  /**
   * The result of the running task for `key`, or of `task`, started now.
   * @throws what the task throws; the signal's reason (or KairoError `ERR_TIMEOUT`) when this caller's signal fires.
   */
  async run(
    key: string,
    signal: AbortSignal | undefined,
    task: (signal: AbortSignal) => Promise<V>,
  ): Promise<V> {
    if (signal?.aborted === true) throw abortReason(signal)
    const flight = this.#flights.get(key) ?? this.#start(key, task)
    flight.waiting += 1
    try {
      return await unlessAborted(flight.result, signal)
    } finally {
      flight.waiting -= 1
      if (flight.waiting === 0) this.#leave(key, flight)
    }
  }

  #start(key: string, task: (signal: AbortSignal) => Promise<V>): Flight<V> {
    const controller = new AbortController()
    const flight: Flight<V> = { result: task(controller.signal), controller, waiting: 0 }
    // The callers see the failure; without this a failure after the last of them left would be unhandled.
    flight.result.catch(() => {}).finally(() => this.#forget(key, flight))
    this.#flights.set(key, flight)
    return flight
  }

  #leave(key: string, flight: Flight<V>): void {
    this.#forget(key, flight)
    flight.controller.abort(new KairoError('ERR_TIMEOUT', 'nobody waits for this any more'))
  }

  #forget(key: string, flight: Flight<V>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
