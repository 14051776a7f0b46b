/** One address that is told of events: sends what waits for it, a few at a time, and tries again with growing waits. */
import { backoffMs } from '../backoff.ts'
import type { CancelTimer, Clock } from '../clock.ts'
import { isKairoError } from '../errors.ts'
import { webhookLimits as limits } from '../limits/webhooks.ts'
import type { Logger } from '../logger.ts'
import { hostOf } from '../urls.ts'
import type { Delivery, DeliveryJournal } from './journal.ts'
import { type PostAgents, post } from './post.ts'
import { signedHeaders } from './signature.ts'
import type { WebhookMetrics } from './webhook-metrics.ts'

/** Where an endpoint stands. */
export interface EndpointStatus {
  /** Scheme, host and port; the rest of the address may be secret. */
  readonly host: string
  readonly pending: number
  readonly delivered: number
  readonly failedAttempts: number
  readonly dropped: number
  /** Wall milliseconds of the last delivery; undefined before the first. */
  readonly deliveredMs: number | undefined
  /** What went wrong last; undefined after a delivery. */
  readonly error: string | undefined
}

/** What an {@link Endpoint} works with. */
export interface EndpointComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly metrics: WebhookMetrics
  readonly journal: DeliveryJournal
  readonly agents: PostAgents
}

/** One endpoint. */
export class Endpoint {
  readonly url: string
  readonly #components: EndpointComponents
  readonly #secret: string
  readonly #logger: Logger
  /** Those that may be sent now, in order. */
  readonly #due: Delivery[] = []
  /** Those that wait for their next attempt. */
  readonly #waiting = new Map<Delivery, CancelTimer>()
  readonly #inFlight = new Set<Delivery>()
  readonly #controller = new AbortController()
  #delivered = 0
  #failedAttempts = 0
  #dropped = 0
  #deliveredMs: number | undefined
  #error: string | undefined

  constructor(components: EndpointComponents, url: string, secret: string) {
    this.url = url
    this.#components = components
    this.#secret = secret
    this.#logger = components.logger.child({ endpoint: hostOf(url) })
  }

  /** Deliveries that are not done. */
  get pending(): number {
    return this.#due.length + this.#waiting.size + this.#inFlight.size
  }

  /** Takes a delivery that the journal was given. */
  add(delivery: Delivery): void {
    this.#due.push(delivery)
    this.#sendDue()
  }

  /** Lets go of the oldest delivery that is not under way; false when there is none. */
  dropOldest(): boolean {
    const all = [...this.#due, ...this.#waiting.keys()]
    const [oldest] = all.sort((a, b) => a.createdMs - b.createdMs)
    if (oldest === undefined) return false
    this.#waiting.get(oldest)?.()
    this.#waiting.delete(oldest)
    const index = this.#due.indexOf(oldest)
    if (index >= 0) this.#due.splice(index, 1)
    this.#drop(oldest, 'queue')
    return true
  }

  /** Stops; what is not done stays in the journal. */
  stop(): void {
    this.#controller.abort()
    for (const cancel of this.#waiting.values()) cancel()
    this.#waiting.clear()
    this.#due.length = 0
  }

  status(): EndpointStatus {
    return {
      host: hostOf(this.url),
      pending: this.pending,
      delivered: this.#delivered,
      failedAttempts: this.#failedAttempts,
      dropped: this.#dropped,
      deliveredMs: this.#deliveredMs,
      error: this.#error,
    }
  }

  #sendDue(): void {
    while (this.#inFlight.size < limits.inFlightMax) {
      const delivery = this.#due.shift()
      if (delivery === undefined) return
      this.#inFlight.add(delivery)
      void this.#send(delivery)
    }
  }

  async #send(delivery: Delivery): Promise<void> {
    const { clock } = this.#components
    const { id, body } = delivery
    const timestampS = Math.floor(clock.now() / 1000)
    const headers = signedHeaders(this.#secret, { id, timestampS, body })
    const { signal } = this.#controller
    let outcome: { readonly status?: number; readonly error?: unknown }
    try {
      outcome = { status: await post(this.#components, this.url, headers, body, signal) }
    } catch (error) {
      outcome = { error }
    }
    this.#inFlight.delete(delivery)
    if (signal.aborted) return
    const { status = 0, error } = outcome
    if (status >= 200 && status < 300) this.#done(delivery)
    else {
      this.#components.metrics.failedAttempts.inc({ reason: kindOf(error) })
      this.#failed(delivery, status, this.#reasonOf(error) ?? `status ${status}`)
    }
    this.#sendDue()
  }

  /** Why a request failed; one that could not even be made, for what its address holds, is no reason to end the peer. */
  #reasonOf(error: unknown): string | undefined {
    if (error === undefined) return undefined
    if (isKairoError(error)) return error.message
    // Node's words may hold the address.
    const reason = error instanceof Error ? error.name : 'unknown'
    this.#logger.error({ reason }, 'a webhook could not be sent')
    return 'the request could not be made'
  }

  #done(delivery: Delivery): void {
    const { clock, journal, metrics } = this.#components
    this.#delivered += 1
    this.#deliveredMs = clock.now()
    this.#error = undefined
    metrics.delivered.inc()
    journal.remove(delivery)
  }

  #failed(delivery: Delivery, status: number, reason: string): void {
    const { clock, journal, random } = this.#components
    this.#failedAttempts += 1
    this.#error = reason.slice(0, limits.reasonCharsMax)
    const attempts = delivery.attempts + 1
    // 410 is how an endpoint says that it wants no more of this.
    if (status === 410 || attempts >= limits.attemptsMax) {
      this.#drop(delivery, status === 410 ? 'gone' : 'attempts')
      return
    }
    const next = { ...delivery, attempts }
    journal.write(next)
    const waitMs = backoffMs(limits, delivery.attempts, random)
    const { event } = delivery
    this.#logger.warn({ event, attempts, waitMs: Math.round(waitMs) }, `webhook failed: ${reason}`)
    const cancel = clock.after(waitMs, () => {
      this.#waiting.delete(next)
      this.add(next)
    })
    this.#waiting.set(next, cancel)
  }

  #drop(delivery: Delivery, reason: 'queue' | 'gone' | 'attempts'): void {
    const { journal, metrics } = this.#components
    this.#dropped += 1
    metrics.dropped.inc({ reason })
    journal.remove(delivery)
    const { event, id } = delivery
    this.#logger.error({ event, id, reason }, 'a webhook is dropped')
  }
}

/** What kind of failure an attempt ended with, for the metric. */
function kindOf(error: unknown): 'status' | 'timeout' | 'connection' {
  if (error === undefined) return 'status'
  return isKairoError(error, 'ERR_TIMEOUT') ? 'timeout' : 'connection'
}
