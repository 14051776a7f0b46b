/** Requests to origins that several clients wait for. One that a purge may mean is let fly on, but nobody new joins it. */
import { abortReason, unlessAborted } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import type { EarlyHints } from '../../http/prepared-response.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import { isPurged } from '../cache/purge-match.ts'
import type { PurgeSelector } from '../purge-selector.ts'

/** What a flight is for. */
export interface FlightSubject {
  /** Cache key, and what of it: two that differ are two requests. */
  readonly id: string
  readonly key: string
  readonly host: string
}

/** What the work of a flight is given. */
export interface FlightContext {
  /** Fires when nobody waits any more. */
  readonly signal: AbortSignal
  /** Fires when another peer waits for it. */
  readonly isShield: AbortSignal
  /** Passes informational responses on to all who wait. */
  readonly hints: EarlyHints
}

/** How a caller waits. */
export interface FlightOptions {
  readonly signal: AbortSignal
  readonly hints?: EarlyHints | undefined
  /** Another peer asks. */
  readonly fromPeer?: boolean
}

class Flight<T> {
  readonly subject: FlightSubject
  readonly controller = new AbortController()
  readonly shield = new AbortController()
  readonly hints = new Set<EarlyHints>()
  result: Promise<T> | undefined
  waiting = 0
  isAirborne = true

  constructor(subject: FlightSubject) {
    this.subject = subject
  }
}

/** Flights by what they are for. */
export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>()
  /** All that have not landed, those that nobody can join any more among them. */
  #airborne = 0

  /** Requests under way. */
  get size(): number {
    return this.#airborne
  }

  /** True when a request would join another. */
  has(id: string): boolean {
    return this.#flights.has(id)
  }

  /** Nobody new joins what the purge may mean: its answer may be from before. */
  purge(selector: PurgeSelector): void {
    for (const [id, { subject }] of this.#flights) {
      if (isPurged(selector, { key: subject.key, host: subject.host, tags: undefined })) {
        this.#flights.delete(id)
      }
    }
  }

  /**
   * The result of the flight for `subject.id`, or of `work`, started now; `isLeader` tells which.
   * @throws what the work throws; KairoError `ERR_LIMIT` when too many are under way; the signal's reason.
   */
  async join(
    subject: FlightSubject,
    options: FlightOptions,
    work: (context: FlightContext) => Promise<T>,
  ): Promise<{ readonly value: T; readonly isLeader: boolean }> {
    if (options.signal.aborted) throw abortReason(options.signal)
    const known = this.#flights.get(subject.id)
    const flight = known ?? this.#start(subject, work)
    flight.waiting += 1
    const { hints } = options
    if (hints !== undefined) flight.hints.add(hints)
    if (options.fromPeer === true) flight.shield.abort()
    try {
      const value = await unlessAborted(flight.result as Promise<T>, options.signal)
      return { value, isLeader: known === undefined }
    } finally {
      if (hints !== undefined) flight.hints.delete(hints)
      flight.waiting -= 1
      if (flight.waiting === 0) this.#abandon(flight)
    }
  }

  #start(subject: FlightSubject, work: (context: FlightContext) => Promise<T>): Flight<T> {
    if (this.#airborne >= cdnLimits.flightsMax) {
      throw new KairoError('ERR_LIMIT', 'too many requests to origins are under way')
    }
    const flight = new Flight<T>(subject)
    this.#flights.set(subject.id, flight)
    this.#airborne += 1
    const hints: EarlyHints = (headers, status) => {
      for (const tell of flight.hints) tell(headers, status)
    }
    const { signal } = flight.controller
    flight.result = work({ signal, isShield: flight.shield.signal, hints })
    const land = (): void => {
      this.#airborne -= 1
      flight.isAirborne = false
      this.#forget(flight)
    }
    // Those who wait see a failure; once the last of them has left it concerns nobody.
    flight.result.then(land, land)
    return flight
  }

  /** After the landing, what the flight brought belongs to others. */
  #abandon(flight: Flight<T>): void {
    this.#forget(flight)
    if (!flight.isAirborne) return
    flight.controller.abort(new KairoError('ERR_STOPPED', 'nobody waits for this any more'))
  }

  #forget(flight: Flight<T>): void {
    if (this.#flights.get(flight.subject.id) === flight) {
      this.#flights.delete(flight.subject.id)
    }
  }
}
