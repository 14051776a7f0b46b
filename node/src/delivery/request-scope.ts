/**
 * How long one request may keep anything busy: until its client is gone, or until its deadline. The deadline's timer is only
 * started for requests that have to look something up; those answered from RAM cost none.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'

/** The bounds of one request. */
export class RequestScope {
  /** Fires when the client is gone. */
  readonly clientSignal: AbortSignal
  readonly #clock: Clock
  readonly #timeoutMs: number
  #controller: AbortController | undefined
  #cancelTimer: CancelTimer | undefined

  constructor(clock: Clock, clientSignal: AbortSignal, timeoutMs: number) {
    this.#clock = clock
    this.clientSignal = clientSignal
    this.#timeoutMs = timeoutMs
  }

  /** Fires when the client is gone or `timeoutMs` after the first use of this. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      this.#cancelTimer = this.#clock.after(this.#timeoutMs, this.#abort)
      if (this.clientSignal.aborted) this.#abort()
      else this.clientSignal.addEventListener('abort', this.#abort, { once: true })
    }
    return this.#controller.signal
  }

  /** The request is answered: no timer or listener is left behind. */
  close(): void {
    this.#cancelTimer?.()
    this.clientSignal.removeEventListener('abort', this.#abort)
  }

  readonly #abort = (): void => {
    this.#controller?.abort(new KairoError('ERR_TIMEOUT', 'no answer was found in time'))
  }
}
