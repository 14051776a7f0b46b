/** Webhooks: tells the operator's endpoints what happens, signed, at least once, over restarts too. */
import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { webhookLimits as limits } from '../limits/webhooks.ts'
import type { Logger } from '../logger.ts'
import { Endpoint, type EndpointComponents, type EndpointStatus } from './endpoint.ts'
import type { EmitWebhook } from './events.ts'
import { type Delivery, DeliveryJournal } from './journal.ts'
import { loadWebhookSecret } from './secret.ts'
import { isUsableSecret } from './signature.ts'
import { createWebhookMetrics } from './webhook-metrics.ts'

/** What a {@link WebhookService} works with. */
export interface WebhookComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** From 0 to 1; spreads attempts. */
  readonly random: () => number
  /** Named in every message. */
  readonly peerId: string
}

/** How a {@link WebhookService} is built; see the settings of the same names. */
export interface WebhookInit {
  readonly urls: readonly string[]
  /** Empty: the one in `secretFile` is used, and made when there is none. */
  readonly secret: string
  readonly secretFile: string
  /** Folder of deliveries that wait. */
  readonly directory: string
}

/** Tells endpoints of events. */
export class WebhookService {
  readonly #components: WebhookComponents
  readonly #init: WebhookInit
  readonly #logger: Logger
  readonly #journal: DeliveryJournal
  readonly #agents = {
    http: new HttpAgent({ keepAlive: true, maxSockets: limits.inFlightMax }),
    https: new HttpsAgent({ keepAlive: true, maxSockets: limits.inFlightMax }),
  }
  readonly #endpointComponents: EndpointComponents
  #endpoints: readonly Endpoint[] = []

  /** @throws KairoError `ERR_CONFIG` with too many addresses. */
  constructor(components: WebhookComponents, init: WebhookInit) {
    if (init.urls.length > limits.endpointsMax) {
      const words = `a peer tells at most ${limits.endpointsMax} webhook addresses`
      throw new KairoError('ERR_CONFIG', words)
    }
    this.#components = components
    this.#init = init
    const { clock, random, registry } = components
    this.#logger = components.logger.child({ name: 'kairo:webhooks' })
    const logger = this.#logger
    const metrics = createWebhookMetrics(registry, () => this.#pending)
    this.#journal = new DeliveryJournal(init.directory, { logger, metrics })
    this.#endpointComponents = {
      ...{ clock, random, logger, metrics, journal: this.#journal, agents: this.#agents },
    }
  }

  /**
   * Begins, with what was not delivered before the peer last stopped.
   * @throws KairoError `ERR_STORAGE`, `ERR_CONFIG` about the secret's file.
   */
  async start(): Promise<void> {
    const { urls, secretFile } = this.#init
    const secret = this.#init.secret || (await loadWebhookSecret(secretFile))
    if (urls.length > 0 && !isUsableSecret(secret)) {
      const words = 'the webhook secret is too short to sign with: 16 characters at least'
      throw new KairoError('ERR_CONFIG', words)
    }
    if (urls.length === 0) return
    // Read before anything new is told, which is written into the same folder.
    const deliveries = await this.#journal.open()
    this.#endpoints = [...new Set(urls)].map(
      (url) => new Endpoint(this.#endpointComponents, url, secret),
    )
    for (const delivery of deliveries) {
      const endpoint = this.#endpoints.find(({ url }) => url === delivery.url)
      // The operator took the address away: nobody waits for this any more.
      if (endpoint === undefined) this.#journal.remove(delivery)
      else endpoint.add(delivery)
    }
  }

  /** Stops; what is not delivered is on disk then, and waits for the next start. */
  async stop(): Promise<void> {
    for (const endpoint of this.#endpoints) endpoint.stop()
    this.#endpoints = []
    this.#agents.http.destroy()
    this.#agents.https.destroy()
    await this.#journal.idle()
  }

  /**
   * Tells every endpoint; returns at once and never throws for what endpoints do. The first attempt does not wait for the disk: a
   * peer that is killed before the file is written has then told its endpoints all the same, if they heard.
   */
  readonly emit: EmitWebhook = (event, data) => {
    if (this.#endpoints.length === 0) return
    const createdMs = this.#components.clock.now()
    const id = `msg_${randomUUID().replaceAll('-', '')}`
    const { peerId } = this.#components
    const createdAt = new Date(createdMs).toISOString()
    const body = JSON.stringify({ id, event, createdAt, peerId, data })
    assert(Buffer.byteLength(body) <= limits.bodyBytesMax, 'the data of an event are short')
    for (const endpoint of this.#endpoints) {
      if (this.#pending >= limits.pendingMax) this.#dropOldest()
      const key = randomUUID()
      const { url } = endpoint
      const delivery: Delivery = {
        ...{ version: 1, key, id, event, url, body, attempts: 0, createdMs },
      }
      this.#journal.write(delivery)
      endpoint.add(delivery)
    }
  }

  /** Where each endpoint stands. */
  status(): EndpointStatus[] {
    return this.#endpoints.map((endpoint) => endpoint.status())
  }

  get #pending(): number {
    return this.#endpoints.reduce((sum, { pending }) => sum + pending, 0)
  }

  /** Of the endpoint that is most behind, so that a dead one does not cost the others. */
  #dropOldest(): void {
    const byPending = this.#endpoints.toSorted((a, b) => b.pending - a.pending)
    byPending.some((endpoint) => endpoint.dropOldest())
  }
}
