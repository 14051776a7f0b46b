/** Metrics of webhooks. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Counters that endpoints add to. */
export interface WebhookMetrics {
  readonly delivered: Counter
  readonly failedAttempts: Counter<'reason'>
  readonly dropped: Counter<'reason'>
  readonly unwritten: Counter
  readonly cutAnswers: Counter
}

/** Registers the metrics; `pending` is asked at each scrape. */
export function createWebhookMetrics(registry: Registry, pending: () => number): WebhookMetrics {
  const registers = [registry]
  new Gauge({
    name: 'kairo_webhooks_pending',
    help: 'Webhook deliveries that wait or are under way',
    registers,
    collect() {
      this.set(pending())
    },
  })
  return {
    delivered: new Counter({
      name: 'kairo_webhooks_delivered_total',
      help: 'Webhooks that an endpoint took',
      registers,
    }),
    failedAttempts: new Counter({
      name: 'kairo_webhooks_failed_attempts_total',
      help: 'Webhook requests that failed: by the status of the answer, no answer in time, or no connection; most are tried again',
      labelNames: ['reason'],
      registers,
    }),
    dropped: new Counter({
      name: 'kairo_webhooks_dropped_total',
      help: 'Webhooks given up: too many waiting, too many attempts, or the endpoint is gone (410)',
      labelNames: ['reason'],
      registers,
    }),
    unwritten: new Counter({
      name: 'kairo_webhooks_unwritten_total',
      help: 'Times that the disk refused to keep webhooks over a restart; they are delivered all the same',
      registers,
    }),
    cutAnswers: new Counter({
      name: 'kairo_webhooks_cut_answers_total',
      help: 'Answers of endpoints that were not read to their end because they were too long',
      registers,
    }),
  }
}
