/**
 * A real HTTP server that takes webhooks as the Standard Webhooks specification 1.0 tells a receiver to: signature, age and
 * repeated ids. It shares nothing with the code that signs.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** One webhook that was taken. */
export interface ReceivedWebhook {
  readonly id: string
  readonly event: string
  readonly peerId: string
  readonly data: Record<string, unknown>
}

/** A receiver at work. */
export interface WebhookReceiver {
  readonly url: string
  /** In the order in which they came, repeats left out. */
  readonly received: readonly ReceivedWebhook[]
  /** Why requests were refused; empty while all is well. */
  readonly refused: readonly string[]
  /** The first webhook of this event whose data hold these values, come or to come. */
  waitFor(event: string, data?: Readonly<Record<string, unknown>>): Promise<ReceivedWebhook>
}

/** The specification's example of an age beyond which a message may be a replay. */
const AGE_S_MAX = 300

interface Waiter {
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
  readonly resolve: (webhook: ReceivedWebhook) => void
}

/** Starts a receiver that knows the secret, `whsec_` and base64; it ends with the test. */
export async function startWebhookReceiver(t: Test, secret: string): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = []
  const refused: string[] = []
  const waiters: Waiter[] = []
  const take = (webhook: ReceivedWebhook): void => {
    if (received.some(({ id }) => id === webhook.id)) return
    received.push(webhook)
    for (const waiter of waiters) if (fits(webhook, waiter)) waiter.resolve(webhook)
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const refusal = refusalOf(request, body, secret)
    if (refusal === undefined) take(JSON.parse(body) as ReceivedWebhook)
    else refused.push(refusal)
    response.writeHead(refusal === undefined ? 204 : 400).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    refused,
    waitFor: (event, data = {}) => {
      const { promise, resolve } = Promise.withResolvers<ReceivedWebhook>()
      const come = received.find((webhook) => fits(webhook, { event, data }))
      if (come === undefined) waiters.push({ event, data, resolve })
      else resolve(come)
      return promise
    },
  }
}

function fits(webhook: ReceivedWebhook, { event, data }: Pick<Waiter, 'event' | 'data'>): boolean {
  const wanted = Object.entries(data)
  return webhook.event === event && wanted.every(([name, value]) => webhook.data[name] === value)
}

function refusalOf({ method, headers }: IncomingMessage, body: string, secret: string) {
  if (method !== 'POST') return `the method is ${method}`
  if (headers['content-type'] !== 'application/json') return `it is ${headers['content-type']}`
  const id = headers['webhook-id']
  const timestamp = headers['webhook-timestamp']
  const age = Math.abs(Date.now() / 1000 - Number(timestamp))
  if (!(age < AGE_S_MAX)) return `its time is ${timestamp}`
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest()
  const signatures = String(headers['webhook-signature']).split(' ')
  const isSigned = signatures.some((signature) => {
    const [version, digest = ''] = signature.split(',')
    const given = Buffer.from(digest, 'base64')
    return (
      version === 'v1' &&
      given.byteLength === expected.byteLength &&
      timingSafeEqual(given, expected)
    )
  })
  if (!isSigned) return 'the signature is wrong'
  return (JSON.parse(body) as ReceivedWebhook).id === id ? undefined : 'its id is another'
}
