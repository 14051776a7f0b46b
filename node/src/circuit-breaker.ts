/**
 * Whether somebody is asked at all, after Nygard's circuit breaker: closed (it is), open (it is left alone for a while, so that requests
 * to one that is dead fail at once), half-open (one request tries it, and its outcome decides for all).
 */
import { type BackoffBounds, backoffMs } from './backoff.ts'
import type { Clock } from './clock.ts'

/** What a breaker is built on. */
export interface CircuitBreakerComponents {
  readonly clock: Clock
  /** 0 to 1; needed where the bounds have a random share. */
  readonly random?: () => number
}

/** How an attempt ended. A lie counts hardest; `abandoned` says nothing of whoever was asked: it was given up here. */
export type AttemptOutcome = 'succeeded' | 'failed' | 'lied' | 'abandoned'

/** When a breaker opens; the waits are how long it stays open, longer each time that the trial fails. */
export interface CircuitBreakerInit extends BackoffBounds {
  /** Failures after which it opens. */
  readonly failuresMax: number
  /** Part of the failures that a success leaves to be counted on; 0 counts failures in a row. */
  readonly keptShare: number
  /** A lie opens it at once, and for as long as so many trials that failed. */
  readonly lieOpenings: number
  /** Called when it opens, after one that was closed or half-open. */
  readonly onOpened: (outcome: 'failed' | 'lied', openings: number) => void
}

/** One request on its way. */
export interface Attempt {
  /** Says how it ended; only the first word counts. */
  readonly end: (outcome: AttemptOutcome) => void
}

/** One breaker. */
export class CircuitBreaker {
  readonly #components: CircuitBreakerComponents
  readonly #init: CircuitBreakerInit
  #failures = 0
  /** How often it has opened without having closed since; 0 while it is closed. */
  #openings = 0
  /** Monotonic milliseconds before which nobody tries. */
  #untilMs = 0
  /** The one that tries. */
  #trial: Attempt | undefined

  constructor(components: CircuitBreakerComponents, init: CircuitBreakerInit) {
    this.#components = components
    this.#init = init
  }

  /** True while requests are refused, a trial under way or not. */
  get isOpen(): boolean {
    return this.#openings > 0
  }

  /** Leave to ask; undefined while it is left alone. Whoever gets it says how it ended. */
  begin(): Attempt | undefined {
    const isTrial = this.isOpen
    const isResting = isTrial && this.#untilMs > this.#components.clock.monotonicMs()
    if (isResting || this.#trial !== undefined) return undefined
    let isOver = false
    const attempt: Attempt = {
      end: (outcome) => {
        if (!isOver) this.#end(attempt, outcome)
        isOver = true
      },
    }
    if (isTrial) this.#trial = attempt
    return attempt
  }

  #end(attempt: Attempt, outcome: AttemptOutcome): void {
    const isTrial = this.#trial === attempt
    if (outcome === 'lied') this.#open(outcome, this.#init.lieOpenings)
    // Those that were under way when it opened prove nothing new.
    else if (this.isOpen && !isTrial) return
    else if (outcome === 'failed') this.#failed(isTrial)
    else if (outcome === 'succeeded') this.#succeeded()
    // The next one may try.
    else this.#trial = undefined
  }

  #failed(isTrial: boolean): void {
    this.#failures += 1
    if (isTrial || this.#failures >= this.#init.failuresMax) this.#open('failed', 1)
  }

  #succeeded(): void {
    this.#failures = this.isOpen ? 0 : this.#failures * this.#init.keptShare
    this.#openings = 0
    this.#trial = undefined
  }

  #open(outcome: 'failed' | 'lied', openings: number): void {
    const wasResting = this.isOpen && this.#trial === undefined
    this.#openings += openings
    this.#failures = 0
    this.#trial = undefined
    const { clock, random } = this.#components
    this.#untilMs = clock.monotonicMs() + backoffMs(this.#init, this.#openings - 1, random)
    if (!wasResting) this.#init.onOpened(outcome, this.#openings)
  }
}
